import { uuidOf } from '../../kernel/ids.ts'
import { isHeld } from './kinds.ts'
import { legOf } from './settle.ts'
import type {
  Advice,
  AdviceCause,
  Completion,
  Obligation,
  ReversalCause,
  Transaction,
} from './transaction.ts'

/**
 * The undoing of the current leg: one for each leg, however many ask for it (R2). Only parts of it are undone one behind the
 * other, and then what is left: each is told by itself and gives back what those before it left.
 */
export function reversalOf(transaction: Transaction, cause: ReversalCause, delayMs: number): Obligation {
  const leg = legOf(transaction)
  const isFirst = transaction.reversal === 'none'
  const key = isFirst ? reversalKey(leg.id) : `${reversalKey(leg.id)}:${transaction.version + 1}`
  return {
    id: obligationId(key),
    kind: 'reversal',
    key,
    transactionId: transaction.id,
    legId: leg.id,
    destination: leg.destination,
    cause,
    delayMs,
    undoneMinor: moneyOf(transaction),
  }
}

/** The undoing of one completion of an authorization: of the advice that told it (R7). */
export function uncompletionOf(transaction: Transaction, { amountMinor, number }: Completion): Obligation {
  const { destination } = legOf(transaction)
  const key = `reversal:completion:${transaction.id}:${number}`
  return {
    id: obligationId(key),
    kind: 'reversal',
    key,
    transactionId: transaction.id,
    adviceId: obligationId(adviceKey(transaction, completionName(number))),
    destination,
    cause: 'completionReversal',
    delayMs: 0,
    undoneMinor: amountMinor,
  }
}

/** What of it is money now: of what was only set aside, what completions took. */
function moneyOf({ actualMinor, approvedMinor, completedMinor, request }: Transaction): bigint {
  if (request === undefined) return 0n
  if (isHeld(request.kind)) return completedMinor ?? 0n
  return actualMinor ?? approvedMinor ?? request.amountMinor
}

/**
 * The undoing of an approval: of its leg, or of the advice that told the issuer of it, where we approved in the issuer's
 * place or took what nobody had authorized. An advice may be undone in parts, each of which is told, in order.
 */
export function undoingOf(transaction: Transaction, cause: ReversalCause): Obligation {
  const told = toldBy(transaction)
  if (told === undefined) return reversalOf(transaction, cause, 0)
  const { destination } = legOf(transaction)
  const key = `reversal:advice:${transaction.id}:${transaction.version + 1}`
  return {
    id: obligationId(key),
    kind: 'reversal',
    key,
    transactionId: transaction.id,
    adviceId: obligationId(adviceKey(transaction, told)),
    destination,
    cause,
    delayMs: 0,
    undoneMinor: moneyOf(transaction),
  }
}

/** What the issuer is told of an approval in its place (P4). */
export function standInAdviceOf(transaction: Transaction, authId: string): Obligation {
  const request = transaction.request!
  const advice = { mti: '0220', amountMinor: request.amountMinor, authId, responseCode: '00' } as const
  return adviceOf(transaction, { name: standInName, cause: 'standIn', advice })
}

/** It was not the destination that approved it. */
export function isStandIn({ standIn }: Transaction): boolean {
  return standIn !== undefined
}

/** What its destination knows of it as an approval, it knows by our telling. */
export function isToldByAdvice(transaction: Transaction): boolean {
  return toldBy(transaction) !== undefined
}

/** The advice that was the first its destination heard of it. */
function toldBy(transaction: Transaction): string | undefined {
  if (transaction.request?.kind === 'completion') return completionName(1)
  return isStandIn(transaction) ? standInName : undefined
}

/** The completion that an advice tells of; undefined: it tells of something else. */
export function completionToldBy(transaction: Transaction, adviceId: string): Completion | undefined {
  const idOf = ({ number }: Completion): string =>
    obligationId(adviceKey(transaction, completionName(number)))
  return transaction.completions?.find((one) => idOf(one) === adviceId)
}

/** Of one of several completions of an authorization, from 1. */
export function completionName(number: number): string {
  return number === 1 ? 'completion' : `completion-${number}`
}

const standInName = 'stand-in'

function adviceKey({ id }: Transaction, name: string): string {
  return `advice:${id}:${name}`
}

export function reversalIdOf(transaction: Transaction): string {
  return obligationId(reversalKey(legOf(transaction).id))
}

/**
 * What the destination is told after the fact: it may not refuse it, and hears it until it has acknowledged. `name` tells
 * several advices of one transaction apart; the same name is the same advice.
 */
export function adviceOf(
  transaction: Transaction,
  told: {
    readonly name: string
    readonly cause: AdviceCause
    readonly advice: Advice
  },
): Obligation {
  const key = adviceKey(transaction, told.name)
  const leg = legOf(transaction)
  return {
    id: obligationId(key),
    kind: 'advice',
    key,
    transactionId: transaction.id,
    legId: leg.id,
    destination: leg.destination,
    cause: told.cause,
    delayMs: 0,
    advice: told.advice,
  }
}

/** The same obligation has the same name in every life of every node. */
export function obligationId(key: string): string {
  return uuidOf(key)
}

function reversalKey(legId: string): string {
  return `reversal:${legId}`
}
