/** The full key of a request at the network: whatever has it again is the same request (DE11, 7, 32, 37, 41). */
export interface RequestName {
  readonly stan: string
  readonly transmittedAt: string
  readonly acquirer: string
  readonly rrn: string
  readonly terminal: string
}

interface Line extends RequestName {
  /** Wall clock ms. */
  readonly at: number
  readonly network: string
  /** YYYY-MM-DD: the network's business date. */
  readonly date?: string
  /** Minor units in digits. */
  readonly amountMinor: string
  /** ISO 4217 numeric. */
  readonly currency: string
}

/** What the network pays for it, or by a reversal takes back, where it settles in another currency: minor units in digits. */
interface Settling {
  readonly settledMinor?: string
  /** ISO 4217 numeric. */
  readonly settledCurrency?: string
}

/** What is charged for it, in minor units in digits; by a reversal, what of that goes back. */
export interface Charging {
  /** DE28: of the amount, what the acquirer's side charges. */
  readonly feeMinor?: string
  readonly settledFeeMinor?: string
  /** What the network charges (D) or pays (C). */
  readonly chargeMinor?: string
  readonly settledChargeMinor?: string
  readonly chargeSign?: 'C' | 'D'
}

interface DebitLine extends Line, Settling, Charging {
  readonly event: 'debit'
  /** Masked. */
  readonly card: string
  readonly authId: string
  /** Of a partial approval: what was asked for. */
  readonly askedMinor?: string
}

/** Money set aside: a completion will take it, or its time will come. */
interface HoldLine extends Omit<DebitLine, 'event'> {
  readonly event: 'hold'
}

/** More of it, with what was set aside before. */
interface RaiseLine extends Omit<DebitLine, 'event'>, Standing {
  readonly event: 'raise'
  readonly originalStan: string
  readonly originalTransmittedAt: string
  readonly originalAcquirer: string
}

/** What an authorization that is raised, or taken in parts, stands at from then on. */
interface Standing {
  readonly rootStan?: string
  readonly rootTransmittedAt?: string
  /** Minor units in digits. */
  readonly standsAtMinor?: string
}

/** Money moved from one account of the cardholder to another. */
interface TransferLine extends Omit<DebitLine, 'event'> {
  readonly event: 'transfer'
}

/** A card looked at: nothing moved. */
interface VerificationLine extends Omit<DebitLine, 'event'> {
  readonly event: 'verification'
}

/** Money given to the cardholder. */
interface CreditLine extends Omit<DebitLine, 'event'> {
  readonly event: 'credit'
}

/** A balance told: nothing moved. */
interface InquiryLine extends Omit<DebitLine, 'event'> {
  readonly event: 'inquiry'
  /** DE54 of the answer. */
  readonly additionalAmounts: string
}

interface DeclineLine extends Line {
  readonly event: 'decline'
  readonly card: string
  readonly responseCode: string
}

interface ReversalLine extends Line, Settling, Charging, Standing {
  readonly event: 'reversal'
  readonly originalStan: string
  readonly originalTransmittedAt: string
  readonly originalAcquirer: string
  readonly applied: Applied
  readonly responseCode: string
  /** Minor units in digits: what a partial reversal (DE95) leaves. */
  readonly actualMinor?: string
  /** What it undid, minor units in digits, of what had been taken or been given. */
  readonly undoneMinor?: string
  readonly undoneOf?: 'debit' | 'credit'
}

/** What was set aside is taken: so much of it. Of no authorization that is known, it is taken all the same. */
interface CompletionLine extends Line, Settling, Standing {
  readonly event: 'completion'
  readonly card: string
  readonly originalStan?: string
  readonly originalTransmittedAt?: string
  readonly originalAcquirer?: string
  readonly applied: 'taken' | 'forced' | 'again' | 'released'
  /** Others follow. */
  readonly isPart?: boolean
}

/** A reversal that was answered with a refusal and changed nothing. */
interface RefusedReversalLine extends Omit<ReversalLine, 'event' | 'applied'> {
  readonly event: 'reversalRefused'
}

export type Applied =
  /** The debit or credit was undone. */
  | 'released'
  /** A part of it was undone. */
  | 'reduced'
  /** Nothing is known of the original; should it come, it is refused. */
  | 'unknownOriginal'
  /** Undone before, by this reversal or another. */
  | 'again'
  /** The original had taken nothing. */
  | 'declinedOriginal'

export type NetworkLine =
  | DebitLine
  | CreditLine
  | InquiryLine
  | HoldLine
  | RaiseLine
  | TransferLine
  | VerificationLine
  | DeclineLine
  | ReversalLine
  | CompletionLine
  | RefusedReversalLine
