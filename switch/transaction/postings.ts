import assert from 'node:assert'
import type { Command, Leg as Side } from '../../ledger/ledger.ts'
import { effectiveOn, type PostingDays } from '../business-date.ts'
import type { Conversion } from '../conversion.ts'
import type { HoldNow } from '../journal.ts'
import { exposureAccount, holdOf, places } from './accounts.ts'
import { captureName, setAsideAgainName, uncomplete, uncompletionName } from './completion-postings.ts'
import { claimAccount, exchange, exchangeName, unexchangeName } from './exchange-postings.ts'
import { isHeld, kinds } from './kinds.ts'
import { feesBackName, feesName } from './network-fees.ts'
import { completionName } from './owed.ts'
import { legOf } from './settle.ts'
import { approvedOf, debitsFirst, isOpen, least, legsOf, outstandingOf, requestOf } from './sides.ts'
import type { Transaction } from './transaction.ts'

/**
 * The entries of an approval (§4.19): none where no money moves. What a cardholder pays is a claim on the network and
 * a debt to the merchant, from the business day on which the network answers for it; what a cardholder is paid is the
 * mirror of that. What an authorization sets aside belongs to no day: that of its completion will count.
 */
export function post(
  transaction: Transaction,
  { at, holdForMs, days }: { readonly at: number; readonly holdForMs: number; readonly days: PostingDays },
): Command[] {
  const { id, businessDate } = transaction
  const { kind, rrn, terminalId } = requestOf(transaction)
  const meta = { transaction: id, rrn, terminal: terminalId }
  // What is adjusted counts from today on: the books of its own date, and of all before, may be closed for good.
  const effectiveAt = effectiveOn(isOpen(businessDate, days) ? businessDate : days.today, at)
  const legs = legsOf(transaction, outstandingOf(transaction), { date: businessDate, days })
  switch (kinds[kind].books) {
    case 'none':
      return []
    case 'post':
      return [{ kind: 'post', id: `${id}:${kind}`, legs, effectiveAt, meta }]
    case 'hold':
      return [
        {
          kind: 'authorize',
          id: holdOf(transaction),
          legs,
          effectiveAt,
          expiresAt: at + holdForMs,
          meta,
        },
      ]
    case 'raise':
      return [{ kind: 'increment', id: `${id}:${kind}`, holdId: holdOf(transaction), legs, effectiveAt }]
  }
}

/**
 * The opposite entries of what is left; what was posted stays. They are today's (B3): the date of the original may have
 * been settled. What was set aside is let go, and where a completion took it already, first the completion is undone
 * (R7): the books closed what was set aside with it.
 */
export function unpost(
  transaction: Transaction,
  undoing: { readonly at: number; readonly days: PostingDays; readonly hold: HoldNow | undefined },
): Command[] {
  const { at, days, hold } = undoing
  const { actualMinor, businessDate, completedMinor, id } = transaction
  const effectiveAt = effectiveOn(days.today, at)
  const { kind } = requestOf(transaction)
  switch (kinds[kind].books) {
    case 'none':
      return []
    case 'post':
      if (
        isElsewhere(transaction) ||
        actualMinor !== undefined ||
        businessDate !== days.today ||
        !isOpen(businessDate, days)
      )
        return [giveBack(transaction, 'reversal', { leftMinor: 0n, at, days })]
      return [{ kind: 'reverse', id: `${id}:reversal`, reverses: `${id}:${kind}`, effectiveAt }]
    case 'hold': {
      const taken = completedMinor === undefined ? [] : uncomplete(transaction, { at, days })
      if (transaction.state === 'completed' || (hold !== undefined && hold.state !== 'open')) return taken
      return [...taken, { kind: 'void', id: `${id}:void`, holdId: holdOf(transaction), effectiveAt }]
    }
    case 'raise':
      return letGo(transaction, 'void', { backMinor: outstandingOf(transaction), at, days, hold })
  }
}

/** A part of what is set aside, as far as it still is. */
function letGo(
  transaction: Transaction,
  name: string,
  {
    backMinor,
    at,
    days,
    hold,
  }: {
    readonly backMinor: bigint
    readonly at: number
    readonly days: PostingDays
    readonly hold: HoldNow | undefined
  },
): Command[] {
  const amountMinor = least(backMinor, hold?.state === 'open' ? hold.openMinor : 0n)
  if (amountMinor === 0n) return []
  const effectiveAt = effectiveOn(days.today, at)
  const [id, holdId] = [`${transaction.id}:${name}`, holdOf(transaction)]
  return [{ kind: 'release', id, holdId, amountMinor, effectiveAt }]
}

/** A completion of nothing that we know: the whole of it is owed to the merchant, and the network answers for it. */
export function force(
  transaction: Transaction,
  { at, days }: { readonly at: number; readonly days: PostingDays },
): Command[] {
  const { id, businessDate } = transaction
  const { destination } = legOf(transaction)
  const { amountMinor, currency, kind, merchantId, rrn, terminalId } = requestOf(transaction)
  const isFrozen = !isOpen(businessDate, days)
  const { network, counter } = places({ kind, destination, businessDate, merchantId, currency, isFrozen })
  return [
    {
      kind: 'post',
      id: `${id}:${kind}`,
      legs: [
        { account: network, side: 'debit', amountMinor, currency },
        { account: counter, side: 'credit', amountMinor, currency },
      ],
      effectiveAt: effectiveOn(businessDate, at),
      meta: { transaction: id, rrn, terminal: terminalId },
    },
  ]
}

/** The opposite entries of a part, so that `actualMinor` is left. */
export function postPartialReversal(
  transaction: Transaction,
  actualMinor: bigint,
  { at, days, hold }: { readonly at: number; readonly days: PostingDays; readonly hold: HoldNow | undefined },
): Command[] {
  const backMinor = outstandingOf(transaction) - actualMinor
  assert(backMinor > 0n)
  const name = partialName(transaction.version + 1)
  if (isHeld(requestOf(transaction).kind)) return letGo(transaction, name, { backMinor, at, days, hold })
  return [giveBack(transaction, name, { leftMinor: actualMinor, at, days })]
}

/** What the postings of a transaction may be called, up to this version of it. */
export function postingReferences(id: string, version: number): readonly string[] {
  const numbers = Array.from({ length: version }, (_, index) => index + 1)
  const numbered = numbers.flatMap((number) => [
    partialName(number),
    captureName(number),
    completionName(number),
    uncompletionName(number),
    setAsideAgainName(number),
    exchangeName(number),
    unexchangeName(number),
  ])
  return [
    ...Object.keys(kinds),
    'hold',
    'void',
    'undo-completion',
    'undo-capture',
    'reversal',
    takenOver,
    feesName,
    feesBackName,
    ...numbered,
  ].map((name) => `${id}:${name}`)
}

/** Entries in the other direction, of as much as is given back. */
function giveBack(
  transaction: Transaction,
  name: string,
  { leftMinor, at, days }: { readonly leftMinor: bigint; readonly at: number; readonly days: PostingDays },
): Command {
  const { id } = transaction
  const { rrn, terminalId } = requestOf(transaction)
  const on = { date: days.today, days }
  const left = new Map(legsOf(transaction, leftMinor, on).map((leg) => [leg.account, leg.amountMinor]))
  const legs = legsOf(transaction, outstandingOf(transaction), on).map(
    (leg): Side => ({
      ...leg,
      side: leg.side === 'debit' ? 'credit' : 'debit',
      amountMinor: leg.amountMinor - (left.get(leg.account) ?? 0n),
    }),
  )
  return {
    kind: 'post',
    id: `${id}:${name}`,
    legs: legs.filter(({ amountMinor }) => amountMinor > 0n).sort(debitsFirst),
    effectiveAt: effectiveOn(days.today, at),
    meta: { transaction: id, rrn, terminal: terminalId },
  }
}

/** It is not where it was first posted any more: the acknowledgement of its advice has moved it. */
function isElsewhere({ advice, leg, request, standIn }: Transaction): boolean {
  if (advice !== 'acknowledged') return false
  return standIn !== undefined || (request?.kind === 'completion' && leg?.settlement !== undefined)
}

/** The issuer answers from now on for what is left of an approval in its place: today's (B3), by what it says it pays. */
export function takeOver(
  transaction: Transaction,
  {
    at,
    days,
    settlement,
  }: { readonly at: number; readonly days: PostingDays; readonly settlement?: Conversion },
): Command {
  const amountMinor = outstandingOf(transaction)
  const { destination } = legOf(transaction)
  const { currency, rrn, terminalId } = requestOf(transaction)
  const claim = { account: exposureAccount(destination, currency), amountMinor, currency }
  if (settlement !== undefined) {
    const ofMinor = approvedOf(transaction)
    return exchange(transaction, { name: takenOver, claim, settlement, ofMinor, at, days })
  }
  const account = claimAccount(destination, days.today, { currency, days })
  return {
    kind: 'post',
    id: `${transaction.id}:${takenOver}`,
    legs: [
      { ...claim, account, side: 'debit' },
      { ...claim, side: 'credit' },
    ],
    effectiveAt: effectiveOn(days.today, at),
    meta: { transaction: transaction.id, rrn, terminal: terminalId },
  }
}

/** The network has said what it pays for what nobody had authorized and it took all the same: for what is left of it. */
export function exchangeForced(
  transaction: Transaction,
  {
    at,
    days,
    settlement,
  }: { readonly at: number; readonly days: PostingDays; readonly settlement: Conversion },
): Command {
  const { businessDate } = transaction
  const { currency } = requestOf(transaction)
  const account = claimAccount(legOf(transaction).destination, businessDate, { currency, days })
  const claim = { account, amountMinor: outstandingOf(transaction), currency }
  const ofMinor = approvedOf(transaction)
  return exchange(transaction, { name: exchangeName(1), claim, settlement, ofMinor, at, days })
}

const takenOver = 'taken-over'

/** By the event that made it: the same amount can't be given back twice under one name. */
function partialName(version: number): string {
  return `partial-${version}`
}
