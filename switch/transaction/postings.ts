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
  const { request, leg } = transaction
  assert(request !== undefined && leg !== undefined)
  const { amountMinor, currency } = request
  const kind = kindOfStored(transaction)
  if (!movesMoney(kind)) return []
  const network = networkAccount(leg.destination, transaction.businessDate, currency)
  const merchant = merchantAccount(request.merchantId, currency)
  const [debit, credit] = kinds[kind].cardholder === 'pays' ? [network, merchant] : [merchant, network]
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

/** The opposite entries; what was posted stays. */
export function unpost(transaction: Transaction, at: number): Command[] {
  const kind = kindOfStored(transaction)
  if (!movesMoney(kind)) return []
  return [
    {
      kind: 'reverse',
      id: `${transaction.id}:reversal`,
      reverses: `${transaction.id}:${kind}`,
      effectiveAt: at,
    },
  ]
}

/** What the postings of a transaction may be called. */
export function postingReferences(id: string): readonly string[] {
  return [...Object.keys(kinds), 'reversal'].map((name) => `${id}:${name}`)
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
