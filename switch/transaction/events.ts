import type { FeeRules, LegAnswer, LegOutcome } from '../../connectors/connector.ts'
import type { PostingDays } from '../business-date.ts'
import type { HoldNow, JournalUnit } from '../journal.ts'
import type { RateBasis, SaidConversion } from '../conversion.ts'
import type { Reading, Told } from '../results.ts'
import type {
  Answer,
  CardRequest,
  Leg,
  ObligationKind,
  Part,
  StandInLimits,
  StoredCard,
  Transaction,
} from './transaction.ts'

/** The parts of a source's and a destination's rules that decide a transaction's life. */
export interface Profile extends Reading {
  /** How the source is told of outcomes, where it is otherwise than in its edition. */
  readonly told?: Told | undefined
  /** What a source is told when the destination was silent: 91, or 68 where the source's dialect prefers it. */
  readonly timeoutResponseCode: string
  /** What a request is told whose reversal came first (R5). */
  readonly overtakenResponseCode: string
  /** What a request is told that its source reversed before we had an answer (R6). */
  readonly cancelledResponseCode: string
  /** What a reversal of something we never saw is told (R5). */
  readonly unknownOriginalResponseCode: string
  /** What a reversal of something that was declined is told: success, nothing to do. */
  readonly nothingToReverseResponseCode: string
  /** Whether the source can do with a part of what it asked for. */
  readonly takesPartialApprovals: boolean
  /** How much more than is set aside a completion may take, in percent. */
  readonly tolerancePercent: number
  /** What becomes of a completion that no authorization covers: taken and flagged, or refused. */
  readonly forcedPost: 'flag' | 'refuse'
  /** Whether its rates are between whole units. Left out: they are. */
  readonly rateBasis?: RateBasis
  /** What becomes of fees at the destination. */
  readonly fees?: FeeRules
  /** How long the destination keeps money set aside for an authorization such as this. */
  readonly holdForMs: number
  /** The business dates of the destination, or of the switch where there is none. */
  readonly days: PostingDays
}

interface Occurrence {
  /** Wall clock ms. */
  readonly at: number
  readonly node: string
  /** For the journal: masked messages, durations. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>
}

export interface Arrival {
  readonly id: string
  readonly source: string
  readonly sourceKey: string
  readonly fingerprint: string
  readonly businessDate: string
  readonly approvableForMs: number
  /** Of what has not come, and its reversal has. */
  readonly named?: NonNullable<Transaction['named']>
  /** The earlier transaction that it is about. */
  readonly parentId?: string
  /** The number of the rules that decide it. */
  readonly rules?: number
}

export type TransactionEvent = Occurrence &
  (
    | {
        readonly kind: 'request'
        readonly arrival: Arrival
        readonly card: StoredCard
        readonly request: CardRequest
        readonly verdict: Verdict
      }
    | { readonly kind: 'cancelUnknown'; readonly arrival: Arrival; readonly reversal: ReversalRequest }
    | { readonly kind: 'overtaken' }
    /** `instead`: what to do where the destination can't be asked or does not answer. */
    | { readonly kind: 'legEnded'; readonly outcome: LegEnd; readonly instead?: Instead | StandIn }
    /** The approval's commit was refused: its time had passed, or the books would not have it. */
    | {
        readonly kind: 'notCommitted'
        readonly reason: 'late' | 'books'
        readonly outcome: LegEnd & { readonly kind: 'answered' }
      }
    | { readonly kind: 'cancel'; readonly reversal: ReversalRequest; readonly hold?: HoldNow | undefined }
    | {
        readonly kind: 'complete'
        readonly completion: CompletionRequest
        readonly hold?: HoldNow | undefined
      }
    /** A completion of what we never saw. Of its leg there is nothing but the name: its advice is all that is sent. */
    | {
        readonly kind: 'completeUnknown'
        readonly arrival: Arrival
        readonly card: StoredCard
        readonly request: CardRequest
        readonly completion: CompletionRequest
        readonly leg: Leg
      }
    | { readonly kind: 'late'; readonly answer: LegAnswer }
    | {
        readonly kind: 'delivery'
        readonly outcome: 'delivered' | 'failed' | 'unproven'
        readonly hold?: HoldNow | undefined
      }
    | { readonly kind: 'recovered' }
    | {
        readonly kind: 'obligationAnswered'
        readonly owed: Exclude<ObligationKind, 'reconciliation'>
        readonly verdict: 'acknowledged' | 'parked'
        /** The books would not have the entries of its acknowledgement: it waits for people, without them. */
        readonly isRefusedByBooks?: true
        readonly obligationId: string
        readonly fence: bigint
        readonly responseCode: string
        /** Of an advice: what the destination pays for what it was told of, as it says it. */
        readonly settlement?: SaidConversion
      }
  )

/** What happens in the place of a leg that did not leave, decided before the step. */
export interface Instead {
  readonly kind: 'forward'
  readonly leg: Leg
  readonly businessDate: string
}

/** We approve in the issuer's place, if the limits still allow it when it is committed. */
export interface StandIn {
  readonly kind: 'standIn'
  /** The rule it falls under, by range and currency. */
  readonly rule: string
  /** DE38 of our own. */
  readonly authId: string
  /** Whether what the destination may have is undone before it is told (P5). */
  readonly settles: 'reversalThenAdvice' | 'adviceOnly'
  readonly limits: StandInLimits
}

/** How a leg ended; a PIN block that cannot be moved into the destination's zone ends it before it starts. */
export type LegEnd = LegOutcome | { readonly kind: 'notSent'; readonly reason: 'pinBlock' }

export type Verdict =
  | { readonly kind: 'forward'; readonly leg: Leg }
  | { readonly kind: 'refuse'; readonly responseCode: string; readonly cause: string }

/** A reversal as its source sent it. */
export interface ReversalRequest {
  readonly source: string
  readonly sourceKey: string
  /** The completion that it names; absent: it is about the transaction itself. */
  readonly completionKey?: string
  readonly fingerprint: string
  /** What is to remain of the amount (DE95): nothing, unless the source reverses a part. */
  readonly actualMinor: bigint
  /** It tells, and does not ask (M3). */
  readonly isAdvice?: boolean
  /** The customer cancelled, and the business day of the original is over. */
  readonly isLateVoid?: boolean
}

/** What a source says has become of an authorization. */
export interface CompletionRequest {
  readonly source: string
  readonly sourceKey: string
  readonly fingerprint: string
  readonly mti: '0120' | '0220'
  readonly amountMinor: bigint
  /** Others follow: what it leaves of what was set aside stays so. */
  readonly isPart?: boolean
  readonly part?: Part
}

export interface Step {
  readonly transaction: Transaction
  readonly unit: JournalUnit
  readonly effects: readonly Effect[]
}

/** What to do once the unit is committed, in order. */
export type Effect =
  | { readonly kind: 'send'; readonly leg: Leg }
  /** To everybody who waits for the request. */
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'answerReversal'; readonly answer: Answer }
  /** An obligation is due: deliver without waiting for the sweeper. */
  | { readonly kind: 'wake'; readonly destination: string }
