import type { TransactionEvent } from './transaction/events.ts'
import type { Transaction } from './transaction/transaction.ts'

/** What the switch says about itself while it works: metrics and alarms. Never card data; it decides nothing. */
export interface Observer {
  /** A transaction was moved on, durably. */
  moved(transaction: Transaction, event: TransactionEvent): void
  /** The source was answered, `afterMs` from the arrival of its request. */
  answered(transaction: Transaction, afterMs: number): void
  duplicate(verdict: 'attached' | 'replayed' | 'mismatch' | 'overtaken'): void
  late(destination: string, verdict: 'matched' | 'unmatched'): void
  /** Nobody knows whether a commit happened; `what` names the event. */
  commitUnknown(what: string): void
  /** Of anything that is owed; `cause` is why. */
  reversal(destination: string, cause: string, state: 'sent' | 'acknowledged' | 'parked' | 'retry'): void
  /** A business date of a destination began. */
  cutover(destination: string, date: string, cause: string): void
  /** A message was refused before it became a transaction. */
  refused(
    source: string,
    why: 'format' | 'seal' | 'acquirer' | 'unsealable' | 'unsupported' | 'overload' | 'stale',
  ): void
  /** For people, now. */
  alarm(what: string, subject: string): void
}
