import type { Command, Leg as Side } from '../../ledger/ledger.ts'
import { effectiveOn, type PostingDays } from '../business-date.ts'
import type { Fee } from '../fees.ts'
import { schemeAccount } from './accounts.ts'
import { claimAccount } from './exchange-postings.ts'
import { isHeld } from './kinds.ts'
import { debitsFirst, isOpen, requestOf } from './sides.ts'
import type { Transaction } from './transaction.ts'

interface Booking {
  readonly at: number
  readonly days: PostingDays
}

/**
 * What the network charges for it, or pays, as lines of their own (§4.13): an expense against what it owes us on the date of
 * the transaction. What is only set aside has no fees yet.
 */
export function postFees(transaction: Transaction, { at, days }: Booking): Command[] {
  const { businessDate } = transaction
  const effectiveAt = effectiveOn(isOpen(businessDate, days) ? businessDate : days.today, at)
  return booked(transaction, feesName, { date: businessDate, effectiveAt, days, isBack: false })
}

/** All of it in the other direction, today (B3). Only the undoing of the whole gives fees back, and not everywhere. */
export function giveBackFees(transaction: Transaction, { at, days }: Booking): Command[] {
  const effectiveAt = effectiveOn(days.today, at)
  return booked(transaction, feesBackName, { date: days.today, effectiveAt, days, isBack: true })
}

export const feesName = 'network-fees'
export const feesBackName = 'network-fees-back'

function booked(
  transaction: Transaction,
  name: string,
  on: {
    readonly date: string
    readonly effectiveAt: number
    readonly days: PostingDays
    readonly isBack: boolean
  },
): Command[] {
  const { id, leg } = transaction
  const { kind, rrn, terminalId } = requestOf(transaction)
  const { fees = [] } = leg ?? {}
  if (leg === undefined || fees.length === 0 || isHeld(kind)) return []
  const legs = fees.flatMap(({ amountMinor, currency, sign }: Fee): Side[] => {
    const isCharged = (sign === 'D') !== on.isBack
    const [scheme, network] = isCharged ? (['debit', 'credit'] as const) : (['credit', 'debit'] as const)
    return [
      { account: schemeAccount(leg.destination, currency), side: scheme, amountMinor, currency },
      {
        account: claimAccount(leg.destination, on.date, { currency, days: on.days }),
        side: network,
        amountMinor,
        currency,
      },
    ]
  })
  return [
    {
      kind: 'post',
      id: `${id}:${name}`,
      legs: legs.sort(debitsFirst),
      effectiveAt: on.effectiveAt,
      meta: { transaction: id, rrn, terminal: terminalId },
    },
  ]
}
