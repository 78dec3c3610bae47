import assert from 'node:assert'
import type { CurrencyCode } from '../../kernel/money.ts'
import type { AccountSpec, Command } from '../../ledger/ledger.ts'
import { isHeld, kinds, movesMoney } from './kinds.ts'
import type { CardRequest, Transaction } from './transaction.ts'

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

/** What must be open before anything is approved in an issuer's place. */
export function exposureAccountsOf(destination: string, currency: CurrencyCode): readonly AccountSpec[] {
  return [{ path: exposureAccount(destination, currency), currency, normalSide: 'debit', limit: 'none' }]
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

const isOfAnswer = ['net:', 'adjustment:', 'fx:', 'rounding:', 'scheme:']

interface Placed extends Pick<CardRequest, 'kind' | 'merchantId' | 'currency' | 'cashMinor' | 'feeMinor'> {
  readonly fromAccount?: string
  readonly toAccount?: string
  readonly destination: string
  readonly businessDate: string
  readonly isFrozen?: boolean
  /** The currency that the network pays in, where it is another. */
  readonly paidIn?: CurrencyCode
}

export function places(placed: Placed): { readonly network: string; readonly counter: string } {
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

/** What the money that an authorization sets aside is called in the books: of a raise, that of what it raises. */
export function holdOf({ id, parentId, request }: Transaction): string {
  return `${request?.kind === 'incremental' ? (parentId ?? id) : id}:hold`
}

export function networkAccount(destination: string, businessDate: string, currency: string): string {
  return `net:${destination}:${businessDate}:${currency}`
}

/** What belongs to a business date and came after its totals were frozen (B4). */
export function adjustmentAccount(destination: string, businessDate: string, currency: string): string {
  return `adjustment:${destination}:${businessDate}:${currency}`
}

/** What a network has authorized and nobody has taken yet. */
export function authorizedAccount(destination: string, currency: string): string {
  return `authorized:${destination}:${currency}`
}

/** What was approved in the place of a network's issuers and they have not acknowledged. */
export function exposureAccount(destination: string, currency: string): string {
  return `standin:${destination}:${currency}`
}

/** What we are long or short of in a currency because networks paid in another. */
export function positionAccount(currency: string): string {
  return `fx:position:${currency}`
}

export function roundingAccount(currency: string): string {
  return `rounding:${currency}`
}

export function merchantAccount(merchantId: string, currency: string): string {
  return `merchant:${merchantId.trim()}:${currency}`
}

/** What merchants handed out of their tills. */
export function cashAccount({ merchantId, currency }: Pick<CardRequest, 'merchantId' | 'currency'>): string {
  return `cashback:${merchantId.trim()}:${currency}`
}

/** What merchants and operators of machines charge for transactions: a line of its own (§4.13). */
export function feeAccount({ merchantId, currency }: Pick<CardRequest, 'merchantId' | 'currency'>): string {
  return `fees:${merchantId.trim()}:${currency}`
}

/** What a network charges us, less what it pays us: an expense. */
export function schemeAccount(destination: string, currency: string): string {
  return `scheme:${destination}:${currency}`
}

/** A cardholder's account at a network, by the name the parties use for it. */
function holderAccount(destination: string, name: string, currency: string): string {
  return `holder:${destination}:${name.trim()}:${currency}`
}
