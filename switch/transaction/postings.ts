import assert from 'node:assert'
import type { AccountSpec, Command } from '../../ledger/ledger.ts'
import { type Kind, kindOf, kinds, movesMoney } from './kinds.ts'
import type { Transaction } from './transaction.ts'

/**
 * The entries of an approval (§4.19): none where no money moves. What a cardholder pays is a claim on the network and
 * a debt to the merchant, from the business day on which the network answers for it; what a cardholder is paid is the
 * mirror of that.
 */
export function post(transaction: Transaction, at: number): Command[] {
  const { request } = transaction
  assert(request !== undefined)
  const { amountMinor, currency } = request
  const kind = kindOfStored(transaction)
  if (!movesMoney(kind)) return []
  const [debit, credit] = sidesOf(transaction)
  return [
    {
      kind: 'post',
      id: `${transaction.id}:${kind}`,
      legs: [
        { account: debit, side: 'debit', amountMinor, currency },
        { account: credit, side: 'credit', amountMinor, currency },
      ],
      effectiveAt: at,
      meta: { transaction: transaction.id, rrn: request.rrn, terminal: request.terminalId },
    },
  ]
}

/** The opposite entries of what is left; what was posted stays. */
export function unpost(transaction: Transaction, at: number): Command[] {
  const kind = kindOfStored(transaction)
  if (!movesMoney(kind)) return []
  const { actualMinor } = transaction
  if (actualMinor !== undefined) return [giveBack(transaction, 'reversal', actualMinor, at)]
  return [
    {
      kind: 'reverse',
      id: `${transaction.id}:reversal`,
      reverses: `${transaction.id}:${kind}`,
      effectiveAt: at,
    },
  ]
}

/** The opposite entries of a part, so that `actualMinor` is left. */
export function postPartialReversal(transaction: Transaction, actualMinor: bigint, at: number): Command[] {
  const backMinor = outstandingOf(transaction) - actualMinor
  assert(backMinor > 0n)
  return [giveBack(transaction, partialName(transaction.version + 1), backMinor, at)]
}

/** What an approval still holds of its amount. */
export function outstandingOf({ actualMinor, request }: Transaction): bigint {
  assert(request !== undefined)
  return actualMinor ?? request.amountMinor
}

/** What the postings of a transaction may be called, up to this version of it. */
export function postingReferences(id: string, version: number): readonly string[] {
  const partials = Array.from({ length: version }, (_, index) => partialName(index + 1))
  return [...Object.keys(kinds), 'reversal', ...partials].map((name) => `${id}:${name}`)
}

/** Entries in the other direction, of as much as is given back. */
function giveBack(transaction: Transaction, name: string, amountMinor: bigint, effectiveAt: number): Command {
  const { request } = transaction
  assert(request !== undefined)
  const { currency, rrn, terminalId } = request
  const [debit, credit] = sidesOf(transaction)
  return {
    kind: 'post',
    id: `${transaction.id}:${name}`,
    legs: [
      { account: credit, side: 'debit', amountMinor, currency },
      { account: debit, side: 'credit', amountMinor, currency },
    ],
    effectiveAt,
    meta: { transaction: transaction.id, rrn, terminal: terminalId },
  }
}

/** The accounts that its approval debits and credits. */
function sidesOf(transaction: Transaction): readonly [debit: string, credit: string] {
  const { request, leg } = transaction
  assert(request !== undefined && leg !== undefined)
  const network = networkAccount(leg.destination, transaction.businessDate, request.currency)
  const merchant = merchantAccount(request.merchantId, request.currency)
  return kinds[kindOfStored(transaction)].cardholder === 'pays' ? [network, merchant] : [merchant, network]
}

/** By the event that made it: the same amount can't be given back twice under one name. */
function partialName(version: number): string {
  return `partial-${version}`
}

/** What must be open before a request can be posted. */
export function accountsOf(request: {
  readonly kind: Kind
  readonly destination: string
  readonly businessDate: string
  readonly merchantId: string
  readonly currency: string
}): readonly AccountSpec[] {
  if (!movesMoney(request.kind)) return []
  const { currency } = request
  return [
    {
      path: networkAccount(request.destination, request.businessDate, currency),
      currency,
      normalSide: 'debit',
      limit: 'none',
    },
    { path: merchantAccount(request.merchantId, currency), currency, normalSide: 'credit', limit: 'none' },
  ]
}

/** Of a transaction that was let in, so its processing code is one of those served. */
export function kindOfStored({ request }: Transaction): Kind {
  const kind = request === undefined ? undefined : kindOf(request.processingCode)
  assert(kind !== undefined)
  return kind
}

function networkAccount(destination: string, businessDate: string, currency: string): string {
  return `net:${destination}:${businessDate}:${currency}`
}

function merchantAccount(merchantId: string, currency: string): string {
  return `merchant:${merchantId.trim()}:${currency}`
}
