import assert from 'node:assert'
import type { Leg as Side } from '../../ledger/ledger.ts'
import type { PostingDays } from '../business-date.ts'
import { type Conversion, shareOf } from '../conversion.ts'
import {
  cashAccount,
  exposureAccount,
  feeAccount,
  places,
  positionAccount,
  roundingAccount,
} from './accounts.ts'
import { type Kind, kinds } from './kinds.ts'
import type { CardRequest, Transaction } from './transaction.ts'

/** The date of entries, and which dates still take any. */
interface OnDate {
  readonly date: string
  readonly days: PostingDays
}

/** Both sides of an amount, debits first: who pays, and who is paid. */
export function legsOf(transaction: Transaction, amountMinor: bigint, on: OnDate): Side[] {
  const request = requestOf(transaction)
  const { currency } = request
  const places = placesOf(transaction, on)
  const cashMinor = request.cashMinor === undefined ? 0n : least(request.cashMinor, amountMinor)
  // What is charged for it is charged for a part of it too.
  const feeMinor = least(request.feeMinor ?? 0n, amountMinor - cashMinor)
  // The cash has been handed out: of a smaller amount it comes first, and the goods are the rest.
  const parts = [
    { account: places.counter, amountMinor: amountMinor - cashMinor - feeMinor },
    { account: cashAccount(request), amountMinor: cashMinor },
    { account: feeAccount(request), amountMinor: feeMinor },
  ].filter((part) => part.amountMinor > 0n)
  const whole = { account: places.network, amountMinor, currency }
  const settlement = settlementOf(transaction)
  const exchanged =
    settlement === undefined || amountMinor === 0n
      ? { network: [whole], counter: [] }
      : exchangedOf(settlement, whole, approvedOf(transaction))
  const isPaid = kinds[request.kind].cardholder === 'isPaid'
  const ours = [...parts.map((part) => ({ ...part, currency })), ...exchanged.counter]
  const [debits, credits] = isPaid ? [ours, exchanged.network] : [exchanged.network, ours]
  return [
    ...debits.map((part): Side => ({ ...part, side: 'debit' })),
    ...credits.map((part): Side => ({ ...part, side: 'credit' })),
  ].filter((side) => side.amountMinor > 0n)
}

export type Part = Omit<Side, 'side'>

/**
 * What a network pays in another currency, or otherwise than was asked for, is a claim of that: each currency sums to zero
 * by itself over the positions between the two, and what the network rounded otherwise than half up is on an account of
 * its own (A3). `whole`: the claim as it would be without; `ofMinor`: what of it the settlement is for all of.
 */
export function exchangedOf(
  settlement: Conversion,
  whole: Part,
  ofMinor: bigint,
): { readonly network: readonly Part[]; readonly counter: readonly Part[] } {
  const { amountMinor } = whole
  const { currency, roundingMinor } = settlement
  const isOwn = currency === whole.currency
  const paidMinor = shareOf(settlement.amountMinor, { minor: amountMinor, ofMinor })
  const moreMinor = roundingMinor > 0n ? least(roundingMinor, paidMinor) : 0n
  const lessMinor = roundingMinor < 0n ? -roundingMinor : 0n
  const exchanged = { givenMinor: amountMinor, takenMinor: paidMinor - moreMinor + lessMinor }
  // In one currency the two are on one account: what is left between them is what the network keeps, or gives beyond.
  const bothMinor = isOwn ? least(exchanged.givenMinor, exchanged.takenMinor) : 0n
  return {
    network: [
      { account: whole.account, amountMinor: paidMinor, currency },
      { account: roundingAccount(currency), amountMinor: lessMinor, currency },
      {
        account: positionAccount(whole.currency),
        amountMinor: exchanged.givenMinor - bothMinor,
        currency: whole.currency,
      },
    ],
    counter: [
      { account: positionAccount(currency), amountMinor: exchanged.takenMinor - bothMinor, currency },
      { account: roundingAccount(currency), amountMinor: moreMinor, currency },
    ],
  }
}

/** Of money that moved by the destination's own word; of what was approved in its place, once it has said so. */
function settlementOf(transaction: Transaction): Conversion | undefined {
  const { leg, request } = transaction
  if (request === undefined || kinds[request.kind].books !== 'post' || isOnOurAccount(transaction))
    return undefined
  return kinds[request.kind].cardholder === 'moves' ? undefined : leg?.settlement
}

/** The account that answers for the cardholder, and the one over the counter. */
function placesOf(
  transaction: Transaction,
  { date, days }: OnDate,
): { readonly network: string; readonly counter: string } {
  const { leg } = transaction
  const request = requestOf(transaction)
  assert(leg !== undefined)
  const isFrozen = !isOpen(date, days)
  const { destination } = leg
  const paidIn = settlementOf(transaction)?.currency
  const where = { destination, businessDate: date, isFrozen }
  const placed = places({ ...request, ...where, ...(paidIn === undefined ? {} : { paidIn }) })
  return isOnOurAccount(transaction)
    ? { ...placed, network: exposureAccount(destination, request.currency) }
    : placed
}

/** Approved in the issuer's place, and the issuer has not said yet that it knows (§4.19): nobody but us answers for it. */
function isOnOurAccount({ advice, standIn }: Transaction): boolean {
  return standIn !== undefined && advice !== 'acknowledged'
}

/** What an approval still holds of its amount. */
export function outstandingOf(transaction: Transaction): bigint {
  return transaction.actualMinor ?? approvedOf(transaction)
}

/** What was approved of what was asked. */
export function approvedOf(transaction: Transaction): bigint {
  return transaction.approvedMinor ?? requestOf(transaction).amountMinor
}

export function isOpen(date: string, { closed = [], open, today }: PostingDays): boolean {
  return open.includes(date) || (date > today && !closed.includes(date))
}

/** Of a transaction that was let in. */
export function requestOf({ request }: Transaction): CardRequest {
  assert(request !== undefined)
  return request
}

export function kindOfStored(transaction: Transaction): Kind {
  return requestOf(transaction).kind
}

export function debitsFirst(one: Side, other: Side): number {
  return one.side === other.side ? 0 : one.side === 'debit' ? -1 : 1
}

export function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}
