import { uuidOf } from '../../kernel/ids.ts'
import { legOf } from './settle.ts'
import type { Advice, AdviceCause, Obligation, ReversalCause, Transaction } from './transaction.ts'

/** The undoing of the current leg: one for each leg, however many ask for it (R2). */
export function reversalOf(transaction: Transaction, cause: ReversalCause, delayMs: number): Obligation {
  const leg = legOf(transaction)
  const key = reversalKey(leg.id)
  return {
    id: obligationId(key),
    kind: 'reversal',
    key,
    again: transaction.reversal !== 'none',
    transactionId: transaction.id,
    legId: leg.id,
    destination: leg.destination,
    cause,
    delayMs,
  }
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
    /** Where there was no leg. */
    readonly destination?: string
  },
): Obligation {
  const key = `advice:${transaction.id}:${told.name}`
  const { leg } = transaction
  return {
    id: obligationId(key),
    kind: 'advice',
    key,
    again: false,
    transactionId: transaction.id,
    ...(leg === undefined ? {} : { legId: leg.id }),
    destination: told.destination ?? legOf(transaction).destination,
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
