/**
 * The ledger room: double-entry books on PostgreSQL, and the one writer that commits to them. What must be
 * durable together is one *unit*: ledger commands, and rows that other rooms registered a kind for. The ledger
 * knows of those rooms only that such rows exist.
 */

import { fileURLToPath } from 'node:url'
import type { Clock } from '../kernel/clock.ts'
import { systemClock } from '../kernel/clock.ts'
import { migrate } from '../kernel/database.ts'
import type { Ledger, RowKind } from './contract.ts'
import { compileKinds } from './rowkinds.ts'
import { Writer } from './writer.ts'
import type { LedgerLog } from './writer.ts'

export { AnchorError, anchorHead, checkAnchors, publicKeyPem } from './anchor.ts'
export type { AnchorFault, AnchorFinding, Checkpoint, Sign } from './anchor.ts'
export { closeAccount, closeBusinessDate, closeDueDates, closePeriod } from './closing.ts'
export type { Closing, DateClosed } from './closing.ts'
export { exchange } from './exchange.ts'
export type { Exchange } from './exchange.ts'
export {
  accountHistory,
  balanceAtVersion,
  balanceOf,
  closedPeriods,
  postingOf,
  rebuildDifferences,
  statementOf,
  trialBalance,
} from './reports.ts'
export type {
  AccountBalance,
  Difference,
  HistoryLine,
  PostingView,
  Reader,
  Statement,
  When,
} from './reports.ts'
export { holdOf, openHolds } from './holds.ts'
export type { HoldView } from './holds.ts'
export { keepBooks } from './keeping.ts'
export type { Keeping, KeepingOptions } from './keeping.ts'
export { expireHolds } from './sweep.ts'
export type { DueHold, Sweep, SweepOptions } from './sweep.ts'
export { verifyLedger } from './verify.ts'
export type { BadPlace } from './finding.ts'
export type { Verification } from './verify.ts'
export type { LedgerLog } from './writer.ts'
export type {
  AccountSpec,
  Command,
  Condition,
  Ledger,
  LedgerRefusal,
  Leg,
  RowKind,
  SqlValue,
  Unit,
  UnitOutcome,
  UnitRow,
} from './contract.ts'

export interface LedgerOptions {
  readonly databaseUrl: string
  /** The other rooms' rows, written in this order. */
  readonly rowKinds: readonly RowKind[]
  readonly log: LedgerLog
  readonly clock?: Clock
  /** After this long the server cancels a statement. */
  readonly statementDeadlineMs?: number
  /** After this long without a known outcome a unit is answered with `unknown`, or with `unavailable`. */
  readonly outcomeDeadlineMs?: number
  /** More waiting units than this are refused as `overloaded`. */
  readonly waitingMax?: number
  readonly batchMax?: number
}

/**
 * The writer of the books, on books that `migrateLedger` has made. Throws `DatabaseError` when the database cannot
 * be reached, is not migrated, or may forget what it has acknowledged.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  return Writer.open({
    databaseUrl: options.databaseUrl,
    kinds: compileKinds(options.rowKinds),
    log: options.log,
    clock: options.clock ?? systemClock,
    statementDeadlineMs: options.statementDeadlineMs ?? 2_000,
    outcomeDeadlineMs: options.outcomeDeadlineMs ?? 10_000,
    waitingMax: options.waitingMax ?? 4_000,
    batchMax: options.batchMax ?? 512,
  })
}

/** Makes the books, or brings them up to date; before the migrations of any room whose rows commit with them. */
export async function migrateLedger(databaseUrl: string): Promise<void> {
  const folder = fileURLToPath(new URL('migrations', import.meta.url))
  await migrate({ databaseUrl, schema: 'ledger', folder })
}
