import assert from 'node:assert'
import type { CurrencyCode } from '../../kernel/money.ts'
import type { AccountSpec, Command, Leg as Side } from '../../ledger/ledger.ts'
import { effectiveOn, type PostingDays } from '../business-date.ts'
import { type Conversion, shareOf } from '../conversion.ts'
import type { HoldNow } from '../journal.ts'
import type { CompletionRequest } from './events.ts'
import { isHeld, type Kind, kinds, movesMoney } from './kinds.ts'
import { completionName } from './owed.ts'
import { legOf } from './settle.ts'
import type { CardRequest, Completion, Transaction } from './transaction.ts'

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
  const effectiveAt = effectiveOn(businessDate, at)
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
function uncomplete(
  transaction: Transaction,
  { at, days }: { readonly at: number; readonly days: PostingDays },
): Command[] {
  const { completedMinor: amountMinor = 0n } = transaction
  return answeredFor(transaction, 'undo-completion', { at, days, amountMinor, heldMinor: 0n }).map(mirrored)
}

/** What one completion took goes back, today; while others may follow it is set aside again. */
export function giveBackCompletion(
  transaction: Transaction,
  { amountMinor, heldMinor, number }: Completion,
  given: { readonly at: number; readonly days: PostingDays; readonly isSetAsideAgain: boolean },
): Command[] {
  const { at, days } = given
  const name = uncompletionName(number)
  const back = answeredFor(transaction, name, { at, days, amountMinor, heldMinor: 0n }).map(mirrored)
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

function uncompletionName(number: number): string {
  return `undo-completion-${number}`
}

function setAsideAgainName(number: number): string {
  return `hold-again-${number}`
}

function captureName(number: number): string {
  return number === 1 ? 'capture' : `capture-${number}`
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
  const dated = isOpen(days.today, days) ? networkAccount : adjustmentAccount
  const side = (account: string, which: Side['side'], minor: bigint): Side[] =>
    minor === 0n ? [] : [{ account, side: which, amountMinor: minor, currency }]
  return [
    {
      kind: 'post',
      id: `${id}:${name}`,
      legs: [
        ...side(dated(leg.destination, days.today, currency), 'debit', amountMinor),
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

/** A completion of nothing that we know: the whole of it is owed to the merchant, and the network answers for it. */
export function force(transaction: Transaction, at: number): Command[] {
  const { id, businessDate } = transaction
  const { destination } = legOf(transaction)
  const { amountMinor, currency, kind, merchantId, rrn, terminalId } = requestOf(transaction)
  const { network, counter } = places({ kind, destination, businessDate, merchantId, currency })
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

/** What was approved of what was asked. */
function approvedOf(transaction: Transaction): bigint {
  return transaction.approvedMinor ?? requestOf(transaction).amountMinor
}

/** What an approval still holds of its amount. */
export function outstandingOf(transaction: Transaction): bigint {
  return transaction.actualMinor ?? approvedOf(transaction)
}

/** What the money that an authorization sets aside is called in the books: of a raise, that of what it raises. */
export function holdOf({ id, parentId, request }: Transaction): string {
  return `${request?.kind === 'incremental' ? (parentId ?? id) : id}:hold`
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
  ])
  return [
    ...Object.keys(kinds),
    'hold',
    'void',
    'undo-completion',
    'undo-capture',
    'reversal',
    takenOver,
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

/** The date of entries, and which dates still take any. */
interface OnDate {
  readonly date: string
  readonly days: PostingDays
}

/** Both sides of an amount, debits first: who pays, and who is paid. */
function legsOf(transaction: Transaction, amountMinor: bigint, on: OnDate): Side[] {
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
  const exchanged = exchangedOf(transaction, amountMinor, whole)
  const isPaid = kinds[request.kind].cardholder === 'isPaid'
  const ours = [...parts.map((part) => ({ ...part, currency })), ...exchanged.counter]
  const [debits, credits] = isPaid ? [ours, exchanged.network] : [exchanged.network, ours]
  return [
    ...debits.map((part): Side => ({ ...part, side: 'debit' })),
    ...credits.map((part): Side => ({ ...part, side: 'credit' })),
  ].filter((side) => side.amountMinor > 0n)
}

type Part = Omit<Side, 'side'>

/**
 * What a network pays in another currency is a claim in that one: each currency sums to zero by itself over the positions
 * between the two, and what the network rounded otherwise than half up is on an account of its own (A3).
 */
function exchangedOf(
  transaction: Transaction,
  amountMinor: bigint,
  whole: Part,
): { readonly network: readonly Part[]; readonly counter: readonly Part[] } {
  const settlement = settlementOf(transaction)
  if (settlement === undefined || amountMinor === 0n) return { network: [whole], counter: [] }
  const { currency, roundingMinor } = settlement
  const paidMinor = shareOf(settlement.amountMinor, { minor: amountMinor, ofMinor: approvedOf(transaction) })
  const moreMinor = roundingMinor > 0n ? least(roundingMinor, paidMinor) : 0n
  const lessMinor = roundingMinor < 0n ? -roundingMinor : 0n
  return {
    network: [
      { account: whole.account, amountMinor: paidMinor, currency },
      { account: roundingAccount(currency), amountMinor: lessMinor, currency },
      { account: positionAccount(whole.currency), amountMinor, currency: whole.currency },
    ],
    counter: [
      { account: positionAccount(currency), amountMinor: paidMinor - moreMinor + lessMinor, currency },
      { account: roundingAccount(currency), amountMinor: moreMinor, currency },
    ],
  }
}

/** Of money that moved by the destination's own word. */
function settlementOf({ leg, request, standIn }: Transaction): Conversion | undefined {
  if (standIn !== undefined || request === undefined || kinds[request.kind].books !== 'post') return undefined
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

/** It is not where it was first posted any more. */
function isElsewhere({ advice, standIn }: Transaction): boolean {
  return standIn !== undefined && advice === 'acknowledged'
}

/** The issuer answers from now on for what is left of an approval in its place: today's (B3). */
export function takeOver(
  transaction: Transaction,
  { at, days }: { readonly at: number; readonly days: PostingDays },
): Command[] {
  const amountMinor = outstandingOf(transaction)
  const { destination } = legOf(transaction)
  const { currency, rrn, terminalId } = requestOf(transaction)
  return [
    {
      kind: 'post',
      id: `${transaction.id}:${takenOver}`,
      legs: [
        { account: networkAccount(destination, days.today, currency), side: 'debit', amountMinor, currency },
        { account: exposureAccount(destination, currency), side: 'credit', amountMinor, currency },
      ],
      effectiveAt: effectiveOn(days.today, at),
      meta: { transaction: transaction.id, rrn, terminal: terminalId },
    },
  ]
}

const takenOver = 'taken-over'

/** What must be open before anything is approved in an issuer's place. */
export function exposureAccountsOf(destination: string, currency: CurrencyCode): readonly AccountSpec[] {
  return [{ path: exposureAccount(destination, currency), currency, normalSide: 'debit', limit: 'none' }]
}

interface Placed extends Pick<CardRequest, 'kind' | 'merchantId' | 'currency' | 'cashMinor' | 'feeMinor'> {
  readonly fromAccount?: string
  readonly toAccount?: string
  readonly destination: string
  readonly businessDate: string
  readonly isFrozen?: boolean
  /** The currency that the network pays in, where it is another. */
  readonly paidIn?: CurrencyCode
}

function places(placed: Placed): { readonly network: string; readonly counter: string } {
  const { kind, destination, businessDate, currency, merchantId, fromAccount, toAccount } = placed
  if (kinds[kind].cardholder === 'moves') {
    assert(fromAccount !== undefined && toAccount !== undefined)
    return {
      network: holderAccount(destination, fromAccount, currency),
      counter: holderAccount(destination, toAccount, currency),
    }
  }
  const dated = placed.isFrozen === true ? adjustmentAccount : networkAccount
  return {
    network: isHeld(kind)
      ? authorizedAccount(destination, currency)
      : dated(destination, businessDate, placed.paidIn ?? currency),
    counter: merchantAccount(merchantId, currency),
  }
}

function debitsFirst(one: Side, other: Side): number {
  return one.side === other.side ? 0 : one.side === 'debit' ? -1 : 1
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}

function isOpen(date: string, { today, open }: PostingDays): boolean {
  return date > today || open.includes(date)
}

/** Those accounts of a unit's entries that an answer decided on: of its business date, and of the currency that is paid in. */
export function datedAccountsOf(commands: readonly Command[]): readonly AccountSpec[] {
  const dated: AccountSpec[] = []
  for (const command of commands) {
    if (command.kind !== 'post') continue
    for (const { account, currency } of command.legs) {
      if (isOfAnswer.some((word) => account.startsWith(word)))
        dated.push({ path: account, currency, normalSide: 'debit', limit: 'none' })
    }
  }
  return dated
}

const isOfAnswer = ['net:', 'adjustment:', 'fx:', 'rounding:']

/** By the event that made it: the same amount can't be given back twice under one name. */
function partialName(version: number): string {
  return `partial-${version}`
}

/** What must be open before a request can be posted. */
export function accountsOf(placed: Placed): readonly AccountSpec[] {
  if (!movesMoney(placed.kind)) return []
  const { currency } = placed
  const { network, counter } = places(placed)
  const open = (path: string, normalSide: 'debit' | 'credit'): AccountSpec => ({
    path,
    currency,
    normalSide,
    limit: 'none',
  })
  const networkSide = kinds[placed.kind].cardholder === 'moves' ? 'credit' : 'debit'
  return [
    open(network, networkSide),
    open(counter, 'credit'),
    ...(placed.cashMinor === undefined ? [] : [open(cashAccount(placed), 'credit')]),
    ...(placed.feeMinor === undefined ? [] : [open(feeAccount(placed), 'credit')]),
  ]
}

/** Of a transaction that was let in. */
export function requestOf({ request }: Transaction): CardRequest {
  assert(request !== undefined)
  return request
}

export function kindOfStored(transaction: Transaction): Kind {
  return requestOf(transaction).kind
}

function networkAccount(destination: string, businessDate: string, currency: string): string {
  return `net:${destination}:${businessDate}:${currency}`
}

/** What belongs to a business date and came after its totals were frozen (B4). */
function adjustmentAccount(destination: string, businessDate: string, currency: string): string {
  return `adjustment:${destination}:${businessDate}:${currency}`
}

/** What a network has authorized and nobody has taken yet. */
function authorizedAccount(destination: string, currency: string): string {
  return `authorized:${destination}:${currency}`
}

/** What was approved in the place of a network's issuers and they have not acknowledged. */
function exposureAccount(destination: string, currency: string): string {
  return `standin:${destination}:${currency}`
}

/** What we are long or short of in a currency because networks paid in another. */
function positionAccount(currency: string): string {
  return `fx:position:${currency}`
}

function roundingAccount(currency: string): string {
  return `rounding:${currency}`
}

function merchantAccount(merchantId: string, currency: string): string {
  return `merchant:${merchantId.trim()}:${currency}`
}

/** What merchants handed out of their tills. */
function cashAccount({ merchantId, currency }: Pick<CardRequest, 'merchantId' | 'currency'>): string {
  return `cashback:${merchantId.trim()}:${currency}`
}

/** What merchants and operators of machines charge for transactions: a line of its own (§4.13). */
function feeAccount({ merchantId, currency }: Pick<CardRequest, 'merchantId' | 'currency'>): string {
  return `fees:${merchantId.trim()}:${currency}`
}

/** A cardholder's account at a network, by the name the parties use for it. */
function holderAccount(destination: string, name: string, currency: string): string {
  return `holder:${destination}:${name.trim()}:${currency}`
}
