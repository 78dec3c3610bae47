import type { CurrencyCode } from '../../kernel/money.ts'
import type { Conversion, SaidConversion } from '../conversion.ts'
import type { Fee } from '../fees.ts'
import type { Kind } from './kinds.ts'

/**
 * One inbound request and what became of it: the record from which answers, reversals and entries are made. It
 * holds no track, PIN block or card number; those live only in the memory of the request being served.
 */
export interface Transaction {
  readonly id: string
  /** How many events made it; every write names the version it expects (compare and set). */
  readonly version: number
  readonly state: State
  readonly source: string
  /** What names the request at its source (U1): the same key is the same request. */
  readonly sourceKey: string
  /** What repeats must agree in; empty on a tombstone, which has not seen its request. */
  readonly fingerprint: string
  readonly node: string
  /** YYYY-MM-DD of the destination's business day. */
  readonly businessDate: string
  /** Wall clock ms. */
  readonly receivedAt: number
  /** How long after commit 1 an approval may still be committed. The database counts it on its own clock. */
  readonly approvableForMs: number
  readonly card?: StoredCard
  readonly request?: CardRequest
  /** Of a tombstone: what its reversal called it, so that people find it. */
  readonly named?: Pick<CardRequest, 'rrn' | 'terminalId'>
  readonly leg?: Leg
  /** What the source was told or is to be told. */
  readonly answer?: Answer
  /** What the destination approved, where that is less than was asked; absent: all of it. */
  readonly approvedMinor?: bigint
  /** What is left of what was approved after partial reversals; absent: all of it. */
  readonly actualMinor?: bigint
  /** What its completion made of an authorization, and how much of that had been set aside. */
  readonly completedMinor?: bigint
  readonly capturedMinor?: bigint
  /** How many completions have taken of it; absent: none. */
  readonly captures?: number
  /** What each of them took, in order. */
  readonly completions?: readonly Completion[]
  /** What refunds have given back of it, or may give back. Only they change it; absent: nothing. */
  readonly refundedMinor?: bigint
  /** The earlier transaction that this one is about. */
  readonly parentId?: string
  /** The number of the rules that it was decided by; absent: it came before there was a decision. */
  readonly rules?: number
  /** We approved it in the issuer's place: the rule, by range and currency. */
  readonly standIn?: string
  /** Taken although a rule speaks against it; for people to look at. Words, with a space between two. */
  readonly flag?: string
  readonly delivery: Delivery
  /** Of the latest, if several. */
  readonly reversal: ReversalProgress
  /** The latest of what is owed to undo it, or a part of it. */
  readonly reversalId?: string
  /** Of what the destination is told after the fact: a completion, an approval in its stead. Of the latest, if several. */
  readonly advice: AdviceProgress
}

/** What one completion took of an authorization: a source may undo it alone. */
export interface Completion {
  /** From 1. */
  readonly number: number
  readonly sourceKey: string
  readonly amountMinor: bigint
  /** How much of that had been set aside. */
  readonly heldMinor: bigint
  /** The date on which it is accounted for. */
  readonly businessDate: string
  readonly isUndone?: true
  /** What its destination pays for it, as it said when it acknowledged it: the claim has been exchanged for that. */
  readonly settlement?: Conversion
  /** It came after what was set aside had expired. */
  readonly isLate?: true
}

/** The states of the request itself. Its reversal, once owed, runs on its own (`ReversalProgress`). */
export type State =
  /** A reversal came first; the request will be declined if it ever comes (R5). */
  | 'tombstone'
  /** Declined by us; nothing was sent. */
  | 'refused'
  /** Committed before the first byte left: without an outcome it is a reversal we owe (J1). */
  | 'intent'
  /** The source reversed it while the leg was in flight (R6). */
  | 'reversing'
  | 'approved'
  | 'declined'
  /** Nobody knows what the destination did: declined at the source, reversed at the destination. */
  | 'unknown'
  /** Approved once, undone since. */
  | 'reversed'
  /** An authorization whose money has been taken. */
  | 'completed'
  /** An authorization whose time ended before anybody took its money. */
  | 'expired'

export type Delivery =
  | 'none'
  | 'delivered'
  /** Known not to have reached the source (D1). */
  | 'failed'
  /** We crashed between the commit and the evidence; the source's repeat or reversal will tell (D3). */
  | 'unproven'

/** `closed`: by people, in another way than through the destination. */
export type ReversalProgress = 'none' | 'owed' | 'acknowledged' | 'parked' | 'notNeeded' | 'closed'

export type AdviceProgress = ReversalProgress

export interface StoredCard {
  /** Absent where no route wanted the card: a number we don't serve is not put into the vault. */
  readonly token?: string
  /** First six and last four digits. */
  readonly mask: string
}

/** The data elements that a reversal must say again, by their meaning. */
export interface CardRequest {
  /** What all of it amounts to, decided once on arrival (`kindOf`). */
  readonly kind: Kind
  readonly mti: string
  /** DE3 */
  readonly processingCode: string
  /** DE4; zero where nothing is moved. */
  readonly amountMinor: bigint
  /** DE49 */
  readonly currency: CurrencyCode
  /** DE7, MMDDhhmmss as the source wrote it */
  readonly transmittedAt: string
  /** DE11 */
  readonly stan: string
  /** DE12, DE13 */
  readonly localTime: string
  readonly localDate: string
  /** DE18, DE22, DE25 */
  readonly merchantType?: string
  readonly entryMode: string
  readonly conditionCode: string
  /** DE32 of the source */
  readonly acquirerId?: string
  /** DE37, DE41, DE42 */
  readonly rrn: string
  readonly terminalId: string
  readonly merchantId: string
  /** DE38 of a message about an earlier one: the authorization that it names. */
  readonly authId?: string
  /** Of what is about an earlier transaction: how the destination knows that one. */
  readonly original?: Original
  /** Of a purchase with cash, the part that is cash (DE54). */
  readonly cashMinor?: bigint
  /** Of the amount, what the terminal's side charges for the transaction (DE28). */
  readonly feeMinor?: bigint
  /** DE102 and DE103: accounts of the cardholder by the names that the parties use, never card numbers. */
  readonly fromAccount?: string
  readonly toAccount?: string
}

/** An earlier leg, as later messages to its destination name it. */
export interface Original extends Pick<Leg, 'stan' | 'transmittedAt' | 'acquirerId' | 'authId' | 'trace'> {
  readonly mti: string
}

/** One exchange with one destination. */
export interface Leg {
  readonly id: string
  readonly destination: string
  readonly acquirerId: string
  /** DE11 and DE7 of the leg: ours, never the source's. */
  readonly stan: string
  readonly transmittedAt: string
  readonly state: 'intent' | 'notSent' | 'maybeSent' | 'answered'
  readonly responseCode?: string
  readonly authId?: string
  /** What its destination pays for it, where that is another currency: by its answer, or by that to the advice that told it. */
  readonly settlement?: Conversion
  /** What the cardholder is charged, as the destination says it. */
  readonly billing?: SaidConversion
  /** What its destination charges or pays us for it. */
  readonly fees?: readonly Fee[]
  /** What its answer said of itself and later messages repeat, by the paths of the destination's profile. */
  readonly trace?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly responseCode: string
  readonly authId?: string
  /** DE54 as the destination wrote it, for the kinds that ask for it. */
  readonly additionalAmounts?: string
  /** What was approved, where that is not what was asked. */
  readonly amountMinor?: bigint
  /** What the cardholder is charged in another currency, as the destination says it. */
  readonly billing?: SaidConversion
}

/**
 * What a destination must acknowledge, however long it takes. What a transaction owes it owes in the order in which it
 * was committed: of two reversals that each leave less, both are told.
 */
export interface Obligation {
  /** Made of the key (`obligationId`). */
  readonly id: string
  readonly kind: ObligationKind
  /** What it is about. The database refuses a second of the same key (R2). */
  readonly key: string
  readonly transactionId: string
  /** The leg it is about; absent: nothing was ever sent of what it tells. */
  readonly legId?: string
  /** Of a reversal: the advice that it undoes, where what happened was told by one. */
  readonly adviceId?: string
  readonly destination: string
  readonly cause: ReversalCause | AdviceCause
  /** Wait before the first delivery: the leg may still be in flight. */
  readonly delayMs: number
  /** Of a reversal: what is to remain (DE95); absent: nothing. */
  readonly actualMinor?: bigint
  /** Of a reversal: what goes back of what was money, beyond all that earlier ones gave back. */
  readonly undoneMinor?: bigint
  /** Of an advice. */
  readonly advice?: Advice
}

export type ObligationKind = 'reversal' | 'advice' | 'reconciliation'

/** What an advice says otherwise than the request of its transaction did. */
export interface Advice {
  readonly mti: '0120' | '0220'
  /** DE4 */
  readonly amountMinor: bigint
  /** DE38 */
  readonly authId?: string
  /** DE39 */
  readonly responseCode?: string
  /** DE71 and DE72: which of several completions it is, and of how many, where the source says so. */
  readonly part?: Part
}

export interface Part {
  readonly number: string
  readonly last?: string
}

/** What an approval in an issuer's place adds to what we may lose, or what is left of it. */
export type Exposure =
  | {
      readonly kind: 'new'
      readonly rule: string
      readonly cardToken: string
      readonly currency: CurrencyCode
      readonly amountMinor: bigint
      readonly limits: StandInLimits
    }
  | { readonly kind: 'change'; readonly amountMinor: bigint }

export interface StandInLimits {
  readonly perCardMinorMax: bigint
  readonly perCardCountMax: number
  readonly perEpisodeMinorMax: bigint
  readonly perHourMinorMax: bigint
}

export type AdviceCause = 'completion' | 'standIn'

export type ReversalCause =
  | 'timeout'
  | 'linkLost'
  | 'badAnswer'
  | 'wrongAmount'
  | 'partialApproval'
  | 'postingRefused'
  | 'undelivered'
  | 'sourceReversal'
  | 'partialReversal'
  | 'completionReversal'
  | 'recovered'

/** What a source said about an earlier transaction, and what it was told: its repeats are answered from here. */
export interface SourceAct {
  /** `overtaken`: a completion whose reversal came first; it is not to be taken any more. */
  readonly kind: 'reversal' | 'completion' | 'overtaken'
  readonly source: string
  readonly sourceKey: string
  readonly fingerprint: string
  readonly transactionId: string
  readonly answer: Answer
}
