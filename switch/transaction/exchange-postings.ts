import assert from 'node:assert'
import type { Command, Leg as Side } from '../../ledger/ledger.ts'
import { effectiveOn, type PostingDays } from '../business-date.ts'
import type { Conversion } from '../conversion.ts'
import { adjustmentAccount, networkAccount } from './accounts.ts'
import { debitsFirst, exchangedOf, isOpen, type Part, requestOf } from './sides.ts'
import type { Transaction } from './transaction.ts'

/** What stood for an amount until the network said what it pays for it. */
interface Exchanged {
  readonly name: string
  /** The account that answers for it, and what of it is still claimed. */
  readonly claim: Part
  readonly settlement: Conversion
  /** What the settlement is for all of. */
  readonly ofMinor: bigint
  readonly at: number
  readonly days: PostingDays
}

/**
 * The claim becomes one of what the network pays, today (B3): that is the date on which it took what it was told of, and
 * on which totals count it (§4.15).
 */
export function exchange(
  transaction: Transaction,
  { at, claim, days, name, ofMinor, settlement }: Exchanged,
): Command & { kind: 'post' } {
  const { id, leg } = transaction
  const { rrn, terminalId } = requestOf(transaction)
  assert(leg !== undefined)
  const account = claimAccount(leg.destination, days.today, { currency: settlement.currency, days })
  const paid = exchangedOf(settlement, { ...claim, account }, ofMinor)
  return {
    kind: 'post',
    id: `${id}:${name}`,
    legs: netted([
      ...paid.network.map((part): Side => ({ ...part, side: 'debit' })),
      ...[claim, ...paid.counter].map((part): Side => ({ ...part, side: 'credit' })),
    ]),
    effectiveAt: effectiveOn(days.today, at),
    meta: { transaction: id, rrn, terminal: terminalId },
  }
}

/** What a network owes of a date, which its totals count while the books of that date take any. */
export function claimAccount(
  destination: string,
  date: string,
  { currency, days }: { readonly currency: string; readonly days: PostingDays },
): string {
  return (isOpen(date, days) ? networkAccount : adjustmentAccount)(destination, date, currency)
}

/** Both sides of one account are one: where the network pays another amount in the same currency. */
function netted(legs: readonly Side[]): Side[] {
  const sums = new Map<string, Side>()
  for (const leg of legs) {
    const known = sums.get(leg.account)
    const minor = signed(leg) + (known === undefined ? 0n : signed(known))
    sums.set(leg.account, {
      ...leg,
      side: minor < 0n ? 'credit' : 'debit',
      amountMinor: minor < 0n ? -minor : minor,
    })
  }
  return [...sums.values()].filter(({ amountMinor }) => amountMinor > 0n).sort(debitsFirst)
}

function signed({ amountMinor, side }: Side): bigint {
  return side === 'debit' ? amountMinor : -amountMinor
}

export function exchangeName(number: number): string {
  return `exchange-${number}`
}

export function unexchangeName(number: number): string {
  return `undo-exchange-${number}`
}
