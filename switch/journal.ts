import type { LegIdentity } from '../connectors/connector.ts'
import type { Command } from '../ledger/ledger.ts'
import type { Conversion } from './conversion.ts'
import type { Balance, Reconciliation } from './reconciliation.ts'
import type {
  Advice,
  Exposure,
  Leg,
  Obligation,
  ObligationKind,
  SourceAct,
  Transaction,
} from './transaction/transaction.ts'

/**
 * What the switch remembers. Everything a step changes is one unit: committed together with its ledger entries, or
 * not at all.
 */
export interface Journal {
  /** False while the database is known to be away: then nothing new is begun. */
  readonly available: boolean
  /** One attempt; what makes it happen once is the version it expects. Never rejects. */
  commit(unit: JournalUnit): Promise<CommitOutcome>
  /** Rejects with `JournalUnavailable` when the database can't be asked: then nobody knows, and nobody may guess. */
  transactionByKey(sourceKey: string): Promise<Transaction | undefined>
  transactionById(id: string): Promise<Transaction | undefined>
  sourceAct(sourceKey: string): Promise<SourceAct | undefined>
  /** What a source names by its DE37 and the DE38 that it was told. */
  authorization(named: {
    readonly source: string
    readonly rrn: string
    readonly authId: string
  }): Promise<Transaction | undefined>
  /** What the books have set aside under this name. */
  holdOf(reference: string): Promise<HoldNow | undefined>
  /**
   * Transactions that wait for an outcome nobody will bring: those of `node` from an earlier life when `ownPast`, and
   * those of any node whose time to be approved has passed.
   */
  stranded(query: {
    readonly node: string
    readonly ownPast: boolean
    readonly limit: number
  }): Promise<Transaction[]>
  /** Approvals of `node` without evidence of delivery; the oldest first, so that those of an earlier life are among them. */
  undeliveredOf(node: string, limit: number): Promise<Transaction[]>
  /** Takes what may go now (`lanes.ts`) under a lease; the attempt is counted before the caller sends. */
  claim(query: ClaimQuery): Promise<Claimed[]>
  /**
   * Keeps the numbers of first deliveries, before the caller sends: repeats carry the same. Resolves to the ids of those
   * that it kept; of the others somebody else has the lease by now, and sends them under numbers of its own.
   */
  name(claimed: readonly Named[]): Promise<ReadonlySet<string>>
  /** Puts a claimed obligation back, to be tried again later. */
  postpone(claimed: Claimed, postponement: Postponement): Promise<void>
  /** Keeps a network's word on the totals of a date. False: somebody else holds the obligation now. */
  reconciled(claimed: ClaimedReconciliation, answer: ReconciliationAnswer): Promise<boolean>
  /** What has waited for too long since this was last asked: each obligation is counted once at each age. */
  overdue(): Promise<readonly Overdue[]>
}

/** What the books have set aside for an authorization when its event is judged. A commit sees to it that it still is so. */
export interface HoldNow {
  readonly state: 'open' | 'captured' | 'voided' | 'expired'
  readonly openMinor: bigint
}

export class JournalUnavailable extends Error {
  constructor() {
    super('the journal cannot be asked')
    this.name = 'JournalUnavailable'
  }
}

export interface JournalUnit {
  readonly transaction: Transaction
  /** `undefined`: the transaction is new, and its source key must be too. */
  readonly expectedVersion: number | undefined
  /** The unit may only commit while the transaction can still be approved (rule C of presumed decline). */
  readonly onlyWhileApprovable: boolean
  readonly event: JournalEvent
  /** A leg that did not leave; that of the transaction is a new one in its place. */
  readonly ended?: Leg
  /** In the order in which the destination is to hear of it. */
  readonly owe: readonly Obligation[]
  readonly obligation?: ObligationChange
  readonly exposure?: Exposure
  readonly parent?: ParentChange
  readonly sourceAct?: SourceAct
  /** The act that may not come any more, since its reversal came first: whichever of the two commits first has the key. */
  readonly overtakes?: SourceAct
  readonly commands: readonly Command[]
  readonly urgent: boolean
}

/**
 * What a refund changes of the transaction it is about, whatever version that has come to. More than was taken of that
 * can't be claimed: the commit sees to it.
 */
export interface ParentChange {
  readonly id: string
  /** How much more, or less, it claims. */
  readonly refundMinor: bigint
  /** The refund. */
  readonly child: string
  readonly at: number
  readonly node: string
}

export interface JournalEvent {
  /** The number of the event in its transaction, from 1: the transaction's version after it. */
  readonly sequence: number
  readonly kind: string
  readonly at: number
  readonly node: string
  /** The date on which it is accounted for; of a reversal not that of its original. */
  readonly businessDate: string
  readonly cause: string
  /** For `explain`: masked messages, times in ms, codes. Never card data. */
  readonly detail: Readonly<Record<string, string | number | boolean>>
}

export type ObligationChange =
  /** The leg has ended: deliver now. */
  | { readonly kind: 'due'; readonly id: string }
  /** The leg turned out not to have been sent. */
  | { readonly kind: 'notNeeded'; readonly id: string }
  /** Only the holder of the lease may close it (`fence`). */
  | {
      readonly kind: 'acknowledged' | 'parked'
      readonly id: string
      readonly fence: bigint
      readonly responseCode: string
      /** Of an advice: what the destination pays for it, where that is another currency or another amount. */
      readonly settlement?: Conversion
    }

export type CommitOutcome =
  | { readonly kind: 'committed' }
  | { readonly kind: 'refused'; readonly reason: CommitRefusal }
  | { readonly kind: 'unknown' }

export type CommitRefusal =
  /** The source key of a new transaction, or of a source's reversal, is there already. */
  | 'exists'
  /** Someone else moved the transaction on. */
  | 'moved'
  /** Someone else holds the obligation now. */
  | 'fenced'
  /** Another has taken this node's place: nothing that it writes counts. */
  | 'ousted'
  /** The time to be approved has passed. */
  | 'late'
  | 'overloaded'
  /** The business date that the entries are for has been closed. */
  | 'closed'
  /** The books refused the entries. */
  | 'books'
  /** An approval in the issuer's place would be more than the limits allow. */
  | 'exposure'
  /** A refund would be of more than was taken. */
  | 'overRefund'

export interface ClaimQuery {
  readonly destination: string
  readonly lanes: number
  readonly order: 'card' | 'strict'
  readonly limit: number
  readonly leaseMs: number
}

export interface Postponement {
  readonly delayMs: number
  readonly cause: string
  /** `unsent`: the attempt was none. `refused`: an answer said to try again. */
  readonly kind: 'unsent' | 'silent' | 'refused'
}

export interface Overdue {
  readonly destination: string
  readonly age: '1 min' | '10 min' | '24 h'
  readonly count: number
}

interface ClaimedAny {
  readonly id: string
  readonly cause: string
  readonly attempts: number
  /** How often it was answered that it should be tried again. */
  readonly refusals: number
  readonly fence: bigint
  /** DE11 and DE7 of its first delivery; absent: there was none. */
  readonly identity?: LegIdentity
}

/** The totals of a date: nobody's transaction. */
export interface ClaimedReconciliation extends ClaimedAny {
  readonly kind: 'reconciliation'
  readonly reconciliation: Reconciliation
}

export interface ReconciliationAnswer {
  readonly balance: Balance
  readonly responseCode: string
  readonly described: string
}

export interface ClaimedObligation extends ClaimedAny {
  readonly kind: Exclude<ObligationKind, 'reconciliation'>
  /** Of a reversal: what is to remain (DE95); absent: nothing. */
  readonly actualMinor?: bigint
  /** Of an advice. */
  readonly advice?: Advice
  readonly transaction: Transaction
  /** The leg it is about. */
  readonly leg?: Leg
  /** Of a reversal: the first delivery of the advice that it undoes, and what that said. */
  readonly undone?: LegIdentity & Partial<Pick<Advice, 'mti' | 'amountMinor'>>
}

export type Claimed = ClaimedObligation | ClaimedReconciliation
export type NamedObligation = ClaimedObligation & { readonly identity: LegIdentity }
export type NamedReconciliation = ClaimedReconciliation & { readonly identity: LegIdentity }
export type Named = NamedObligation | NamedReconciliation
