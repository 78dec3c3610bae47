import assert from 'node:assert'
import type { AccountSpec, Command } from '../../ledger/ledger.ts'
import type { Transaction } from './transaction.ts'

/**
 * The entries of a transaction's life (§4.19). An approved purchase is a claim on the network and a debt to the
 * merchant, from the business day on which the network answers for it.
 */
export function postPurchase(transaction: Transaction, at: number): Command {
  const { request, leg } = transaction
  assert(request !== undefined && leg !== undefined)
  const { amountMinor, currency } = request
  return {
    kind: 'post',
    id: `${transaction.id}:purchase`,
    legs: [
      {
        account: networkAccount(leg.destination, transaction.businessDate, currency),
        side: 'debit',
        amountMinor,
        currency,
      },
      { account: merchantAccount(request.merchantId, currency), side: 'credit', amountMinor, currency },
    ],
    effectiveAt: at,
    meta: { transaction: transaction.id, rrn: request.rrn, terminal: request.terminalId },
  }
}

/** The opposite entries; what was posted stays. */
export function reversePurchase(transaction: Transaction, at: number): Command {
  return {
    kind: 'reverse',
    id: `${transaction.id}:reversal`,
    reverses: `${transaction.id}:purchase`,
    effectiveAt: at,
  }
}

/** What must be open before a purchase can be posted. */
export function accountsOf(purchase: {
  readonly destination: string
  readonly businessDate: string
  readonly merchantId: string
  readonly currency: string
}): readonly AccountSpec[] {
  const { currency } = purchase
  return [
    {
      path: networkAccount(purchase.destination, purchase.businessDate, currency),
      currency,
      normalSide: 'debit',
      limit: 'none',
    },
    { path: merchantAccount(purchase.merchantId, currency), currency, normalSide: 'credit', limit: 'none' },
  ]
}

function networkAccount(destination: string, businessDate: string, currency: string): string {
  return `net:${destination}:${businessDate}:${currency}`
}

function merchantAccount(merchantId: string, currency: string): string {
  return `merchant:${merchantId.trim()}:${currency}`
}
