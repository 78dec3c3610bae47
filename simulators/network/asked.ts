import type { AmountOutcome } from '../cards.ts'
import type { Applied, RequestName } from './book-lines.ts'
import type { Settled } from './conversion.ts'
import type { Charge, Fees } from './fees.ts'

/** What issuers are asked, and what they answer. */
export interface PurchaseAsked {
  /** The class of its MTI: an authorization only sets aside. */
  readonly mtiClass: '1' | '2'
  readonly name: RequestName
  readonly pan: string
  /** DE14, where the request carries it. */
  readonly expiry?: string
  /** In clear; undefined: there was none, or none that this network's key opens. */
  readonly pin?: string
  readonly amountMinor: bigint
  readonly currency: string
  /** DE3. */
  readonly processingCode: string
  /** DE28: of the amount, what the acquirer's side charges. */
  readonly feeMinor?: bigint
  /** What a rule wants charged for it. */
  readonly charge?: Charge
  /** The authorization that it names, to have more set aside with it. */
  readonly raises?: RequestName
}

export interface ReversalAsked {
  readonly name: RequestName
  /** The key of the request that DE90 names. */
  readonly original: RequestName
  /** DE95: what is to remain; zero undoes all. */
  readonly actualMinor: bigint
}

export interface Answered {
  readonly responseCode: string
  readonly authId?: string
  /** DE54 */
  readonly additionalAmounts?: string
  /** What was approved, where that is less than was asked. */
  readonly approvedMinor?: bigint
  /** What is paid for it, where that is another currency. */
  readonly settled?: Settled
  readonly fees?: Fees
}

export type Purchased =
  | { readonly kind: 'decided'; readonly answered: Answered; readonly outcome: AmountOutcome | undefined }
  /** The same request again: the same answer. */
  | { readonly kind: 'repeat'; readonly answered: Answered }
  /** The same key with other data. */
  | { readonly kind: 'conflict' }
  /** It never reached the issuer. */
  | { readonly kind: 'lost' }

export interface Reversed {
  readonly applied: Applied
  readonly responseCode: string
  /** Whether this very reversal had been answered before. */
  readonly repeat: boolean
  readonly stands?: Standing
  /** What it undid of what had been taken, or been given. */
  readonly undone?: {
    readonly of: 'debit' | 'credit'
    readonly minor: bigint
    readonly settled?: Settled
    readonly fees?: Fees
  }
}

/** What an authorization that is raised, or taken in parts, stands at: what was taken and what is still set aside. */
export interface Standing {
  readonly root: RequestName
  readonly minor: bigint
}

export interface CompletionAsked {
  readonly name: RequestName
  /** The key of the authorization that DE90 names. */
  readonly original: RequestName | undefined
  readonly pan: string
  readonly amountMinor: bigint
  /** ISO 4217 numeric. */
  readonly currency: string
  /** DE71 and DE72 say that others follow. */
  readonly isPart: boolean
}

export interface Completed {
  readonly applied: 'taken' | 'forced' | 'again' | 'released'
  /** What is paid for it, where that is another currency. */
  readonly settled?: Settled
}
