/** A fee as an answer says it: D charges us, C pays us. */
export interface SaidFee {
  /** `transaction`: what the acquirer's side charges for it (DE28, DE29). `processing`: what it costs to handle (DE30, DE31). */
  readonly kind: 'transaction' | 'processing'
  /** The same fee may be said twice: in the currency of the transaction, and in that of the settlement. */
  readonly form: 'transaction' | 'settlement'
  readonly sign: 'C' | 'D'
  readonly amountMinor: bigint
  /** ISO 4217 numeric. Left out: the answer doesn't say. */
  readonly currencyNumeric?: string
}

/** `unreadable`: there is something of fees in it, and not in the form that they have. */
export type SaidFees = readonly SaidFee[] | 'unreadable'
