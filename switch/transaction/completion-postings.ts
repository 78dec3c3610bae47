import assert from 'node:assert'
import type { Command, Leg as Side } from '../../ledger/ledger.ts'
import { effectiveOn, type PostingDays } from '../business-date.ts'
import type { Conversion } from '../conversion.ts'
import { authorizedAccount, holdOf, merchantAccount } from './accounts.ts'
import type { CompletionRequest } from './events.ts'
import { claimAccount, exchange, exchangeName, unexchangeName } from './exchange-postings.ts'
import { completionName } from './owed.ts'
import { legOf } from './settle.ts'
import { debitsFirst, least, legsOf, type Part, requestOf } from './sides.ts'
import type { Completion, Transaction } from './transaction.ts'

/**
 * A completion takes what was set aside, as far as it goes, and lets the rest go; from then on the network answers for
 * all of it, on the day of the completion.
 */
export function complete(
  transaction: Transaction,
  { amountMinor }: CompletionRequest,
  taken: {
    readonly at: number
    readonly days: PostingDays
    readonly openMinor: bigint
    /** The rest is let go. */
    readonly isFinal: boolean
  },
): Command[] {
  const { at, days, isFinal, openMinor } = taken
  const { id, captures = 0 } = transaction
  const number = captures + 1
  const heldMinor = least(amountMinor, openMinor)
  const holdId = holdOf(transaction)
  const effectiveAt = effectiveOn(days.today, at)
  const post = answeredFor(transaction, completionName(number), { at, days, amountMinor, heldMinor })
  if (openMinor === 0n) return post
  if (heldMinor === 0n) return [{ kind: 'void', id: `${id}:void`, holdId, effectiveAt }, ...post]
  const amounts = { amountMinor: heldMinor, final: isFinal }
  return [{ kind: 'capture', id: `${id}:${captureName(number)}`, holdId, ...amounts, effectiveAt }, ...post]
}

/**
 * Today's (B3), whatever the days of the completions were: the merchant gives back what they took, and the network answers
 * for it no more.
 */
export function uncomplete(
  transaction: Transaction,
  { at, days }: { readonly at: number; readonly days: PostingDays },
): Command[] {
  const { completedMinor: amountMinor = 0n, completions = [] } = transaction
  const taken = answeredFor(transaction, 'undo-completion', { at, days, amountMinor, heldMinor: 0n })
  const standing = completions.filter(({ isUndone }) => isUndone !== true)
  return [...taken, ...standing.flatMap((one) => exchangedFor(transaction, one, { at, days }))].map(mirrored)
}

/** The network has said what it pays for a completion. */
export function exchangeCompletion(
  transaction: Transaction,
  completion: Completion,
  {
    at,
    days,
    settlement,
  }: { readonly at: number; readonly days: PostingDays; readonly settlement: Conversion },
): Command {
  const { amountMinor, businessDate, number } = completion
  const claim = claimOf(transaction, amountMinor, { date: businessDate, days })
  return exchange(transaction, {
    ...{ name: exchangeName(number), claim, settlement, ofMinor: amountMinor, at, days },
  })
}

/** Of a completion that was exchanged, the entries of that as if it had been today. */
function exchangedFor(
  transaction: Transaction,
  { amountMinor, number, settlement }: Completion,
  { at, days }: { readonly at: number; readonly days: PostingDays },
): (Command & { kind: 'post' })[] {
  if (settlement === undefined) return []
  const claim = claimOf(transaction, amountMinor, { date: days.today, days })
  const name = unexchangeName(number)
  return [exchange(transaction, { name, claim, settlement, ofMinor: amountMinor, at, days })]
}

function claimOf(
  transaction: Transaction,
  amountMinor: bigint,
  { date, days }: { readonly date: string; readonly days: PostingDays },
): Part {
  const { currency } = requestOf(transaction)
  return {
    account: claimAccount(legOf(transaction).destination, date, { currency, days }),
    amountMinor,
    currency,
  }
}

/** What one completion took goes back, today; while others may follow it is set aside again. */
export function giveBackCompletion(
  transaction: Transaction,
  completion: Completion,
  given: { readonly at: number; readonly days: PostingDays; readonly isSetAsideAgain: boolean },
): Command[] {
  const { at, days } = given
  const { amountMinor, heldMinor, number } = completion
  const name = uncompletionName(number)
  const taken = answeredFor(transaction, name, { at, days, amountMinor, heldMinor: 0n })
  const back = [...taken, ...exchangedFor(transaction, completion, { at, days })].map(mirrored)
  if (!given.isSetAsideAgain || heldMinor === 0n) return back
  return [
    ...back,
    {
      kind: 'increment',
      id: `${transaction.id}:${setAsideAgainName(number)}`,
      holdId: holdOf(transaction),
      legs: legsOf(transaction, heldMinor, { date: days.today, days }),
      effectiveAt: effectiveOn(days.today, at),
    },
  ]
}

/** The network answers for what a completion took: what had been set aside, and what it took beyond that. */
function answeredFor(
  transaction: Transaction,
  name: string,
  taken: {
    readonly at: number
    readonly days: PostingDays
    readonly amountMinor: bigint
    readonly heldMinor: bigint
  },
): (Command & { kind: 'post' })[] {
  const { at, days, amountMinor, heldMinor } = taken
  const { id, leg } = transaction
  const { currency, merchantId, rrn, terminalId } = requestOf(transaction)
  assert(leg !== undefined)
  if (amountMinor === 0n) return []
  const side = (account: string, which: Side['side'], minor: bigint): Side[] =>
    minor === 0n ? [] : [{ account, side: which, amountMinor: minor, currency }]
  return [
    {
      kind: 'post',
      id: `${id}:${name}`,
      legs: [
        ...side(claimAccount(leg.destination, days.today, { currency, days }), 'debit', amountMinor),
        ...side(authorizedAccount(leg.destination, currency), 'credit', heldMinor),
        ...side(merchantAccount(merchantId, currency), 'credit', amountMinor - heldMinor),
      ],
      effectiveAt: effectiveOn(days.today, at),
      meta: { transaction: id, rrn, terminal: terminalId },
    },
  ]
}

function mirrored(command: Command & { kind: 'post' }): Command {
  const legs = command.legs.map((leg): Side => ({ ...leg, side: leg.side === 'debit' ? 'credit' : 'debit' }))
  return { ...command, legs: legs.sort(debitsFirst) }
}

export function captureName(number: number): string {
  return number === 1 ? 'capture' : `capture-${number}`
}

export function uncompletionName(number: number): string {
  return `undo-completion-${number}`
}

export function setAsideAgainName(number: number): string {
  return `hold-again-${number}`
}
