/** One durable act: all of it or nothing, once, whatever happens to the connection. */
export interface Unit {
  /**
   * What makes the unit happen once: the same key again is answered from the record of the first (a refusal by
   * the books included); the same key with another body is refused as `keyReused`. The body is
   * all of the unit: commands with their times, and rows.
   */
  readonly key: string
  readonly commands: readonly Command[]
  /** Rows of other rooms by the name of their kind, in the columns' order of the registered `RowKind`. */
  readonly rows: readonly UnitRow[]
  /** Reversals and recovery go before other waiting work. */
  readonly urgent?: boolean
}

export interface UnitRow {
  readonly kind: string
  readonly values: readonly SqlValue[]
}

export type SqlValue = string | number | bigint | boolean | null | Uint8Array

export type UnitOutcome =
  | { readonly kind: 'committed' }
  /** Known to have changed nothing. `reason` is the ledger's own or that of the row kind's guard. */
  | { readonly kind: 'refused'; readonly reason: LedgerRefusal | (string & {}) }
  /** The commit may or may not have happened, and could not be found out in time. Say nothing, ask again by key. */
  | { readonly kind: 'unknown' }

export type LedgerRefusal =
  | 'keyReused'
  | 'unknownAccount'
  | 'closedAccount'
  | 'wrongCurrency'
  | 'unbalanced'
  | 'badAmount'
  | 'insufficientFunds'
  | 'unknownHold'
  | 'holdNotOpen'
  | 'overCapture'
  /** More is to be let go than is still set aside. */
  | 'overRelease'
  | 'unknownPosting'
  | 'alreadyReversed'
  /** The id of a command is taken by an earlier posting. */
  | 'duplicateId'
  /** A counter of an account would pass what 64 bits hold. */
  | 'overflow'
  /** The hold has not reached its time. */
  | 'holdNotExpired'
  /** What the caller asked to be true of an account is not. */
  | 'conditionFailed'
  /** The posting counts for a date that is closed, for its network or for all books. */
  | 'closedPeriod'
  /** A period ends when each account of its dates is closed, and one is not. */
  | 'openAccount'
  /** An account that still has money, or money set aside, stays open. */
  | 'accountNotEmpty'
  /** An id, a time or a text that no book could hold. */
  | 'malformed'
  /** The database itself refused it, and nothing has changed; the log has the SQLSTATE. */
  | 'rejected'
  /** The database could not be reached in time, and no commit was ever asked of it. */
  | 'unavailable'
  /** The queue is at its bound: nothing was tried. */
  | 'overloaded'

export type Command =
  | {
      readonly kind: 'post'
      readonly id: string
      readonly legs: readonly Leg[]
      /** Wall clock ms; the business time of the posting. */
      readonly effectiveAt: number
      readonly meta?: Readonly<Record<string, string>>
      readonly conditions?: readonly Condition[]
    }
  /** A hold: pending legs that set money aside. */
  | {
      readonly kind: 'authorize'
      readonly id: string
      readonly legs: readonly Leg[]
      readonly effectiveAt: number
      readonly expiresAt: number
      readonly meta?: Readonly<Record<string, string>>
      readonly conditions?: readonly Condition[]
    }
  /** Raises an open hold by more legs, and may move its end. */
  | {
      readonly kind: 'increment'
      readonly id: string
      readonly holdId: string
      readonly legs: readonly Leg[]
      readonly effectiveAt: number
      readonly expiresAt?: number
    }
  /** Moves all or part of a hold; `final` releases what remains of it. */
  | {
      readonly kind: 'capture'
      readonly id: string
      readonly holdId: string
      readonly amountMinor: bigint
      readonly final: boolean
      readonly effectiveAt: number
    }
  /** Lets go of a part of what a hold has open: the reversal of an increment, or of a part of the authorization. */
  | {
      readonly kind: 'release'
      readonly id: string
      readonly holdId: string
      readonly amountMinor: bigint
      readonly effectiveAt: number
    }
  | { readonly kind: 'void'; readonly id: string; readonly holdId: string; readonly effectiveAt: number }
  /** Lets go of a hold whose time has come; refused before that. */
  | { readonly kind: 'expire'; readonly id: string; readonly holdId: string; readonly effectiveAt: number }
  /** The opposite entries of an earlier posting. Nothing posted is ever changed. */
  | { readonly kind: 'reverse'; readonly id: string; readonly reverses: string; readonly effectiveAt: number }
  /** No posting reaches the account from now on. */
  | { readonly kind: 'close'; readonly id: string; readonly account: string; readonly effectiveAt: number }
  /**
   * No money that counts for this date or an earlier one reaches any account of the network from now on, whatever its
   * currency, and none of those dates is opened again. `*`: any account at all.
   */
  | {
      readonly kind: 'closePeriod'
      readonly id: string
      /** A network, or `*`. */
      readonly scope: string
      /** The last date that is closed, YYYY-MM-DD in Kuwait. */
      readonly through: string
      readonly effectiveAt: number
      /** Whose decision it was, and why; left out: the clock's. */
      readonly decided?: Decided
    }

/** Kept in the chain with what was decided. */
export interface Decided {
  readonly by: string
  readonly why: string
}

/** One side of a posting. The amount is above zero; the side says which way it goes. */
export interface Leg {
  /** For example `merchant:000000000000001` or `net:knet:2026-11-22`. */
  readonly account: string
  readonly side: 'debit' | 'credit'
  readonly amountMinor: bigint
  readonly currency: string
}

/** What must be true of an account just before the posting, or it is refused as `conditionFailed`. */
export interface Condition {
  readonly account: string
  /** At least this much is there to take: the balance on the account's normal side less what is set aside. */
  readonly availableMinor?: bigint
  /** The account has had exactly this many entries. */
  readonly version?: bigint
}

export interface AccountSpec {
  readonly path: string
  readonly currency: string
  readonly normalSide: 'debit' | 'credit'
  readonly limit: 'none' | 'noOverdraft'
}

/**
 * Rows of another room that commit with the books. Plain data, so that the writer may live on a thread of its own.
 * The writer makes one statement of all rows of a kind in a batch: `input` is a common table expression with the
 * kind's columns and `ordinal` (bigint, from 1).
 */
export interface RowKind {
  readonly name: string
  /** Column name and PostgreSQL type, in the order of `UnitRow.values`. */
  readonly columns: readonly (readonly [name: string, type: string])[]
  /**
   * A statement over `input` that returns `(ordinal, reason)` for each row that must not be written. A unit with such a
   * row is refused with the reason. It looks its rows up through an index, as the writer's own statements do: plans
   * are made once, and may be made on an empty table.
   */
  readonly guard?: string
  /**
   * Either an insert of every row as it is given: a table with its columns, and what goes into them as expressions over
   * the kind's columns. Or a statement over `input` that writes the rows; it must affect exactly as many rows as it is
   * given, which the server counts by a RETURNING that is added to it: it has none of its own. Both ask everything
   * again that the guard asks, and fail or leave out the row that the guard would refuse: between the two another
   * process may have written, and a batch that can be decided from what the writer knows is written without asking
   * the guards first.
   */
  readonly write: string | { readonly into: string; readonly values: string }
  /**
   * Columns whose names and values together say what the row is about, whichever kind has them. Two units that name
   * the same thing never share a batch: the second waits for the next one and is judged by its guard there.
   */
  readonly claims?: readonly string[]
}

/** Kinds are written in the order they were registered in, so a row may refer to one of an earlier kind. */
export interface Ledger {
  /** Never rejects: a fault of the database is the outcome `unknown`, or `refused` when nothing was tried. */
  commit(unit: Unit): Promise<UnitOutcome>
  /**
   * Opens what is not open yet; an account that exists with other terms is a bug of the caller. One of a date that is
   * closed is not opened: a posting to it is then answered `closedPeriod`.
   */
  openAccounts(accounts: readonly AccountSpec[]): Promise<void>
  status(): { readonly waiting: number; readonly writing: number; readonly state: 'up' | 'down' }
  /** Writes what waits, then ends. */
  close(): Promise<void>
}
