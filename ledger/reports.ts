import type { Decided } from './contract.ts'
import { databaseError } from '../kernel/database.ts'
import type { DatabaseClient, DatabasePool } from '../kernel/database.ts'

/**
 * Questions to the books that change nothing. Two clocks run in them: when something counts (`effectiveAt`, the
 * business's) and when it was written (`recordedAt`, the database's). A past balance may be asked for by either:
 * `asOf` leaves out what counts later, `knownAt` what had not been written yet. All throw `DatabaseError`.
 */
export type Reader = DatabaseClient | DatabasePool

export interface When {
  /** Wall clock ms, inclusive; left out: whatever it counts for. */
  readonly asOf?: number
  /** Wall clock ms, inclusive; left out: all that is written. */
  readonly knownAt?: number
}

export interface AccountBalance {
  readonly path: string
  readonly currency: string
  readonly normalSide: 'debit' | 'credit'
  readonly debits: bigint
  readonly credits: bigint
  /** On the account's normal side. */
  readonly balance: bigint
  /** What is set aside against it, in holds; only of a balance as it is now. */
  readonly setAside?: bigint
}

export interface HistoryLine {
  readonly version: bigint
  readonly reference: string
  readonly kind: string
  readonly effectiveAt: Date
  readonly recordedAt: Date
  readonly layer: 'posted' | 'pending'
  /** A debit is above zero. */
  readonly amount: bigint
  /** Debits minus credits, once the entry is in. */
  readonly balanceAfter: bigint
}

const far = 8_640_000_000_000_000

/** What the balances say now: they follow from the entries, which `verify` proves, and one row is quicker than all. */
const balanceNow = `
  SELECT a.path, a.currency, a.normal_side AS "normalSide", b.debits, b.credits,
         CASE a.normal_side WHEN 'debit' THEN b.debits - b.credits ELSE b.credits - b.debits END AS balance,
         CASE a.normal_side WHEN 'debit' THEN b.credits_pending ELSE b.debits_pending END AS "setAside"
    FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id`

function isNow({ asOf, knownAt }: When): boolean {
  return asOf === undefined && knownAt === undefined
}

/** Every account that had an entry by then, by path. Debits equal credits in each currency, whatever the moment. */
export async function trialBalance(reader: Reader, when: When = {}): Promise<AccountBalance[]> {
  if (isNow(when)) {
    return query(reader, `${balanceNow} WHERE b.debits <> 0 OR b.credits <> 0 ORDER BY a.path`)
  }
  return query(
    reader,
    `SELECT a.path, a.currency, a.normal_side AS "normalSide",
            s.debits::bigint, s.credits::bigint,
            (CASE a.normal_side WHEN 'debit' THEN s.debits - s.credits ELSE s.credits - s.debits END)::bigint AS balance
       FROM (SELECT e.account_id,
                    COALESCE(sum(e.amount) FILTER (WHERE e.amount > 0), 0) AS debits,
                    COALESCE(-sum(e.amount) FILTER (WHERE e.amount < 0), 0) AS credits
               FROM ledger.entry e JOIN ledger.posting p ON p.id = e.posting_id
              WHERE e.layer = 0 AND p.effective_at <= to_timestamp($1::bigint / 1000.0)
                AND p.recorded_at <= to_timestamp($2::bigint / 1000.0)
              GROUP BY e.account_id) s
       JOIN ledger.account a ON a.id = s.account_id
      ORDER BY a.path`,
    [when.asOf ?? far, when.knownAt ?? far],
  )
}

/** Undefined when there is no such account. */
export async function balanceOf(
  reader: Reader,
  path: string,
  when: When = {},
): Promise<AccountBalance | undefined> {
  if (isNow(when)) {
    const [now] = await query<AccountBalance>(reader, `${balanceNow} WHERE a.path = $1`, [path])
    return now
  }
  const [balance] = await query<AccountBalance>(
    reader,
    `SELECT a.path, a.currency, a.normal_side AS "normalSide",
            s.debits::bigint, s.credits::bigint,
            (CASE a.normal_side WHEN 'debit' THEN s.debits - s.credits ELSE s.credits - s.debits END)::bigint AS balance
       FROM ledger.account a CROSS JOIN LATERAL (
            SELECT COALESCE(sum(e.amount) FILTER (WHERE e.amount > 0), 0) AS debits,
                   COALESCE(-sum(e.amount) FILTER (WHERE e.amount < 0), 0) AS credits
              FROM ledger.entry e JOIN ledger.posting p ON p.id = e.posting_id
             WHERE e.account_id = a.id AND e.layer = 0
               AND p.effective_at <= to_timestamp($2::bigint / 1000.0)
               AND p.recorded_at <= to_timestamp($3::bigint / 1000.0)) s
      WHERE a.path = $1`,
    [path, when.asOf ?? far, when.knownAt ?? far],
  )
  return balance
}

/** Debits minus credits posted, after the account's first `version` entries: one index look-up. */
export async function balanceAtVersion(
  reader: Reader,
  path: string,
  version: bigint,
): Promise<bigint | undefined> {
  if (version === 0n) return 0n
  const [row] = await query<{ balance_after: bigint }>(
    reader,
    `SELECT e.balance_after FROM ledger.account a JOIN ledger.entry e ON e.account_id = a.id
      WHERE a.path = $1 AND e.account_version = $2`,
    [path, version],
  )
  return row?.balance_after
}

/** What happened to an account, in the order in which it was written; `after` and `limit` page through it. */
export async function accountHistory(
  reader: Reader,
  path: string,
  page: { readonly after?: bigint; readonly limit?: number } = {},
): Promise<HistoryLine[]> {
  return query(
    reader,
    `SELECT e.account_version AS version, p.reference, p.kind, p.effective_at AS "effectiveAt",
            p.recorded_at AS "recordedAt", CASE e.layer WHEN 0 THEN 'posted' ELSE 'pending' END AS layer,
            e.amount, e.balance_after AS "balanceAfter"
       FROM ledger.account a
       JOIN ledger.entry e ON e.account_id = a.id
       JOIN ledger.posting p ON p.id = e.posting_id
      WHERE a.path = $1 AND e.account_version > $2
      ORDER BY e.account_version LIMIT $3`,
    [path, page.after ?? 0n, page.limit ?? 1_000],
  )
}

/** One movement and its sides. */
export interface PostingView {
  readonly reference: string
  readonly kind: string
  readonly effectiveAt: Date
  readonly recordedAt: Date
  readonly block: bigint
  readonly meta: Readonly<Record<string, string>> | undefined
  readonly entries: readonly {
    readonly account: string
    readonly currency: string
    readonly layer: 'posted' | 'pending'
    /** A debit is above zero. */
    readonly amount: bigint
  }[]
}

/** The posting that a command with this id made, or undefined. */
export async function postingOf(reader: Reader, reference: string): Promise<PostingView | undefined> {
  const [posting] = await query<
    Omit<PostingView, 'entries' | 'meta'> & { id: bigint; meta: PostingView['meta'] | null }
  >(
    reader,
    `SELECT id, reference, kind, effective_at AS "effectiveAt", recorded_at AS "recordedAt", block_seq AS block, meta
       FROM ledger.posting WHERE reference = $1`,
    [reference],
  )
  if (posting === undefined) return undefined
  const entries = await query<PostingView['entries'][number]>(
    reader,
    `SELECT a.path AS account, e.currency, CASE e.layer WHEN 0 THEN 'posted' ELSE 'pending' END AS layer, e.amount
       FROM ledger.entry e JOIN ledger.account a ON a.id = e.account_id WHERE e.posting_id = $1 ORDER BY e.seq`,
    [posting.id],
  )
  return { ...posting, meta: posting.meta ?? undefined, entries }
}

/** Up to which date the books of a network are closed, or under `*` all of them. */
export async function closedPeriods(reader: Reader): Promise<ClosedPeriod[]> {
  const rows = await query<{ scope: string; through: string; meta: Partial<Decided> | null }>(
    reader,
    `SELECT q.scope, q.through, p.meta FROM ledger.period q LEFT JOIN ledger.posting p ON p.id = q.posting_id
      ORDER BY q.scope, q.shard`,
  )
  return rows.map(({ meta, ...closed }) => {
    const { by, why } = meta ?? {}
    return by === undefined || why === undefined ? closed : { ...closed, by, why }
  })
}

/** Without a name it was closed by the clock. */
export interface ClosedPeriod extends Partial<Decided> {
  readonly scope: string
  readonly through: string
}

export interface Statement {
  readonly opening: bigint
  readonly lines: readonly HistoryLine[]
  readonly closing: bigint
}

/**
 * What counted for an account in a period (from inclusive, to exclusive, wall clock ms), by the time it counts, between
 * the balances before and after, as it was known at a moment. Balances are on the account's normal side. Undefined when
 * there is no such account.
 */
export async function statementOf(
  reader: Reader,
  path: string,
  period: { readonly from: number; readonly to: number; readonly knownAt?: number },
): Promise<Statement | undefined> {
  const { knownAt = far } = period
  const opening = await balanceOf(reader, path, { asOf: period.from - 1, knownAt })
  const closing = await balanceOf(reader, path, { asOf: period.to - 1, knownAt })
  if (opening === undefined || closing === undefined) return undefined
  const lines = await query<HistoryLine>(
    reader,
    `SELECT e.account_version AS version, p.reference, p.kind, p.effective_at AS "effectiveAt",
            p.recorded_at AS "recordedAt", 'posted' AS layer, e.amount, e.balance_after AS "balanceAfter"
       FROM ledger.account a
       JOIN ledger.entry e ON e.account_id = a.id AND e.layer = 0
       JOIN ledger.posting p ON p.id = e.posting_id
      WHERE a.path = $1 AND p.effective_at >= to_timestamp($2::bigint / 1000.0)
        AND p.effective_at < to_timestamp($3::bigint / 1000.0)
        AND p.recorded_at <= to_timestamp($4::bigint / 1000.0)
      ORDER BY p.effective_at, e.account_version`,
    [path, period.from, period.to, knownAt],
  )
  return { opening: opening.balance, lines, closing: closing.balance }
}

export interface Difference {
  readonly account: string
  readonly column: string
  readonly stored: bigint
  readonly computed: bigint
}

/** Every balance recomputed from entries alone, in SQL and so apart from our own code; the ones that differ. */
export async function rebuildDifferences(reader: Reader): Promise<Difference[]> {
  return query(
    reader,
    `WITH effect AS (
       SELECT e.account_id,
              CASE WHEN e.layer = 0 AND e.amount > 0 THEN e.amount ELSE 0 END AS debits,
              CASE WHEN e.layer = 0 AND e.amount < 0 THEN -e.amount ELSE 0 END AS credits,
              CASE WHEN e.layer = 1 AND back = (e.amount < 0) THEN e.amount ELSE 0 END AS debits_pending,
              CASE WHEN e.layer = 1 AND back = (e.amount > 0) THEN -e.amount ELSE 0 END AS credits_pending
         FROM ledger.entry e
         JOIN (SELECT id, kind IN ('capture', 'release', 'void', 'expire') AS back FROM ledger.posting) p ON p.id = e.posting_id
     ), computed AS (
       SELECT account_id, sum(debits) AS debits, sum(credits) AS credits, sum(debits_pending) AS debits_pending,
              sum(credits_pending) AS credits_pending, count(*) AS version
         FROM effect GROUP BY account_id)
     SELECT a.path AS account, d.name AS column, d.stored, COALESCE(d.computed, 0)::bigint AS computed
       FROM ledger.balance b
       JOIN ledger.account a ON a.id = b.account_id
       LEFT JOIN computed c USING (account_id)
      CROSS JOIN LATERAL (VALUES
            ('debits', b.debits, c.debits), ('credits', b.credits, c.credits),
            ('debits_pending', b.debits_pending, c.debits_pending),
            ('credits_pending', b.credits_pending, c.credits_pending),
            ('version', b.version, c.version)) AS d(name, stored, computed)
      WHERE d.stored <> COALESCE(d.computed, 0)
      ORDER BY a.path, d.name`,
  )
}

async function query<T extends object>(reader: Reader, text: string, values: unknown[] = []): Promise<T[]> {
  try {
    const { rows } = await reader.query<T>(text, values)
    return rows
  } catch (error) {
    throw databaseError(error)
  }
}
