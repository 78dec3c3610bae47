import type { DatabasePool } from '../../kernel/database.ts'
import {
  type CarriedItem,
  type Difference,
  match,
  type MatchItem,
  type MatchReport,
  movesMoney,
  owedFor,
} from '../matching.ts'
import type { TotalOf } from '../reconciliation.ts'
import { checkReason } from '../../kernel/reasons.ts'
import { JournalUnavailable } from '../journal.ts'
import { amountItemsStatement } from './totals.ts'

/** A business date of a destination, and what its answers say when it has done what it was asked. */
export interface MatchedDate {
  readonly destination: string
  readonly date: string
  readonly approvals: readonly string[]
}

/** How far from ours a network's date of an item may be to be the same item. */
const daysAroundMax = 7

/** Our items with terminal and date, as a statement has them: what `mafraq day items --csv` writes. */
export async function datedItems(
  pool: DatabasePool,
  { approvals, date, destination }: MatchedDate,
  rrns?: readonly string[],
): Promise<MatchItem[]> {
  const { rows } = await pool.query<Omit<MatchItem, 'date'>>(
    `SELECT item.total AS type, item."isReversal", item.rrn, btrim(coalesce(t.terminal_id, '')) AS terminal, item.currency,
        item.minor
       FROM (${amountItemsStatement}) item JOIN switch.transaction t ON t.id = item.id
      WHERE $4::text[] IS NULL OR item.rrn = ANY($4)
      ORDER BY item.rrn, item.total, item."isReversal"`,
    [destination, date, approvals, rrns ?? null],
  )
  return rows.map((row) => ({ ...row, date }))
}

/** Ours of the date against those of a statement; where they differ, what earlier matches and other dates know of it too. */
export async function matchDate(
  pool: DatabasePool,
  day: MatchedDate,
  { ours, theirs }: { readonly ours: readonly MatchItem[]; readonly theirs: readonly MatchItem[] },
): Promise<MatchReport> {
  const alone = match({ ours, theirs })
  if (alone.differing.length === 0) return alone
  const rrns = [...new Set(alone.differing.map(({ rrn }) => rrn))]
  return match({ ours, theirs, ...(await around(pool, day, rrns)) })
}

/** What other dates have under these references. Of a date that was matched only what was left open may still be met. */
async function around(
  pool: DatabasePool,
  day: MatchedDate,
  rrns: readonly string[],
): Promise<{
  readonly carried: { readonly ours: CarriedItem[]; readonly theirs: CarriedItem[] }
  readonly met: MatchItem[]
}> {
  const { destination, date } = day
  const { rows: queue } = await pool.query<QueueRow>(
    `SELECT ${queueColumns} FROM switch.unmatched
      WHERE destination = $1 AND date BETWEEN $2::date - $3::int AND $2::date + $3::int AND rrn = ANY($4)`,
    [destination, date, daysAroundMax, rrns],
  )
  const open = queue.map(unmatchedOf).filter((item) => isHalf(item, date))
  const carried = {
    ours: open.flatMap((item) => (item.ours?.date === date ? [] : halfOf(item, 'ours'))),
    theirs: open.flatMap((item) => (item.theirs?.date === date ? [] : halfOf(item, 'theirs'))),
  }
  const { rows: days } = await pool.query<{ date: string; isMatched: boolean }>(
    `SELECT d.date::text, EXISTS (
         SELECT FROM switch.match_run r WHERE r.destination = d.destination AND r.date = d.date) AS "isMatched"
       FROM switch.business_day d
      WHERE d.destination = $1 AND d.date <> $2 AND d.date BETWEEN $2::date - $3::int AND $2::date + $3::int`,
    [destination, date, daysAroundMax],
  )
  const met: MatchItem[] = []
  for (const other of days) {
    const left = carried.ours.filter((item) => item.date === other.date).map(nameOf)
    for (const item of await datedItems(pool, { ...day, date: other.date }, rrns)) {
      const at = left.indexOf(nameOf(item))
      if (at >= 0) left.splice(at, 1)
      else if (other.isMatched) met.push(item)
      else carried.ours.push(item)
    }
  }
  return { carried, met }
}

/** Open on another date; or one whose other half is of this date, which is looked at now. */
function isHalf({ date, ours, state, status, theirs }: Unmatched, today: string): boolean {
  if (state === 'dateDiffers') return ours?.date === today || theirs?.date === today
  return date !== today && (status === 'open' || status === 'explained') && /Only$/.test(state)
}

function halfOf(item: Unmatched, side: 'ours' | 'theirs'): CarriedItem[] {
  const said = item[side]
  const { id: queued, isReversal, rrn, terminal, type } = item
  if (said === undefined || type === null) return []
  return [{ queued, type, isReversal: isReversal === true, rrn: rrn!, terminal: terminal ?? '', ...said }]
}

function nameOf({ type, isReversal, rrn, terminal, currency, minor }: MatchItem): string {
  return [type, isReversal, rrn, terminal, currency, minor].join('|')
}

/** More than this is no difference but another network's file, or another date's: it would bury what is in the queue. */
export const keptMax = 10_000

/** Puts what differs and moves money into the queue, and takes out what does not differ any more. */
export async function keepMatch(
  pool: DatabasePool,
  found: {
    readonly destination: string
    readonly date: string
    readonly sha256: string
    readonly who: string
    readonly agrees: boolean
    readonly report: MatchReport
  },
): Promise<'kept' | 'tooMany'> {
  const { agrees, date, destination, report, sha256, who } = found
  const differing = report.differing.filter(movesMoney)
  if (differing.length > keptMax) return 'tooMany'
  const numbers = new Map<string, number>()
  const items = differing.map((one) => {
    const subject = `${one.rrn}|${one.terminal}|${one.type}${one.isReversal ? ' reversal' : ''}`
    const number = numbers.get(subject) ?? 0
    if (one.queued === undefined) numbers.set(subject, number + 1)
    return { subject, number, ...rowOf(one) }
  })
  const summary = asJson(report.counts)
  await pool.query('SELECT switch.keep_match($1, $2, $3, $4, $5, $6, $7)', [
    ...[destination, date, sha256, who, summary, agrees, asJson(items)],
  ])
  return 'kept'
}

function rowOf({ state, type, isReversal, rrn, terminal, ours, theirs, queued }: Difference): object {
  return {
    ...{ state, type, is_reversal: isReversal, rrn, terminal, queued: queued ?? null },
    ...{ ours_currency: ours?.currency, ours_minor: ours?.minor, ours_date: ours?.date },
    ...{ theirs_currency: theirs?.currency, theirs_minor: theirs?.minor, theirs_date: theirs?.date },
  }
}

function asJson(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one))
}

/** An item of the queue: a difference, or (without a type) totals that a network did not agree to. */
export interface Unmatched {
  readonly id: string
  readonly destination: string
  readonly date: string
  readonly state: Difference['state'] | 'outOfBalance' | 'notCompared'
  readonly status: 'open' | 'explained' | 'closed' | 'gone'
  readonly type: TotalOf | null
  readonly isReversal: boolean | null
  readonly rrn: string | null
  readonly terminal: string | null
  readonly ours?: { readonly currency: string; readonly minor: bigint; readonly date: string }
  readonly theirs?: { readonly currency: string; readonly minor: bigint; readonly date: string }
  /** Of totals. */
  readonly currency: string | null
  readonly firstSeen: Date
  readonly lastSeen: Date
  readonly who: string
  readonly why: string
}

type QueueRow = Omit<Unmatched, 'ours' | 'theirs'> & {
  readonly oursCurrency: string | null
  readonly oursMinor: bigint | null
  readonly oursDate: string | null
  readonly theirsCurrency: string | null
  readonly theirsMinor: bigint | null
  readonly theirsDate: string | null
}

const queueColumns = `id::text, destination, date::text, state, status, type, is_reversal AS "isReversal", rrn, terminal,
  ours_currency AS "oursCurrency", ours_minor AS "oursMinor", ours_date::text AS "oursDate",
  theirs_currency AS "theirsCurrency", theirs_minor AS "theirsMinor", theirs_date::text AS "theirsDate",
  CASE WHEN type IS NULL THEN ours_currency END AS currency, first_seen AS "firstSeen", last_seen AS "lastSeen",
  changed_by AS who, changed_why AS why`

function unmatchedOf(row: QueueRow): Unmatched {
  const { oursCurrency, oursMinor, oursDate, theirsCurrency, theirsMinor, theirsDate, ...item } = row
  return {
    ...item,
    ...(oursMinor !== null && { ours: { currency: oursCurrency!, minor: oursMinor, date: oursDate! } }),
    ...(theirsMinor !== null && {
      theirs: { currency: theirsCurrency!, minor: theirsMinor, date: theirsDate! },
    }),
  }
}

/** `live`: open or explained, which is what is left to do; the oldest first. */
export async function unmatchedItems(
  pool: DatabasePool,
  wanted: { readonly live: boolean; readonly destination?: string },
): Promise<Unmatched[]> {
  const { rows } = await pool.query<QueueRow>(
    `SELECT ${queueColumns} FROM switch.unmatched
      WHERE ($1 = false OR status IN ('open', 'explained')) AND ($2::text IS NULL OR destination = $2)
      ORDER BY first_seen, id LIMIT 20000`,
    [wanted.live, wanted.destination ?? null],
  )
  return rows.map(unmatchedOf)
}

/** What became of one of them. */
export interface UnmatchedEvent {
  readonly at: Date
  readonly status: Unmatched['status']
  readonly state: Unmatched['state']
  readonly who: string
  readonly why: string
}

export async function unmatchedHistory(pool: DatabasePool, id: string): Promise<UnmatchedEvent[]> {
  const { rows } = await pool.query<UnmatchedEvent>(
    `SELECT at, status, state, who, why FROM switch.unmatched_event WHERE item_id = $1 ORDER BY id`,
    [id],
  )
  return rows
}

interface Word {
  readonly id: string
  readonly who: string
  readonly why: string
}

/** Says why it differs: it pages no more. Rejects with `ReasonRefused`. */
export async function explainUnmatched(
  pool: DatabasePool,
  { id, who, why }: Word,
): Promise<'done' | 'unknown' | 'over'> {
  checkReason({ who, why })
  const { rows } = await pool.query<{ outcome: 'done' | 'unknown' | 'over' }>(
    'SELECT switch.explain_unmatched($1, $2, $3) AS outcome',
    [id, who, why],
  )
  return rows[0]!.outcome
}

/** Settles what another person has explained. Rejects with `ReasonRefused`. */
export async function closeUnmatched(
  pool: DatabasePool,
  { id, who, why }: Word,
): Promise<'done' | 'unknown' | 'over' | 'unexplained' | 'samePerson'> {
  checkReason({ who, why })
  const { rows } = await pool.query<{ outcome: 'done' | 'unknown' | 'over' | 'unexplained' | 'samePerson' }>(
    'SELECT switch.close_unmatched($1, $2, $3) AS outcome',
    [id, who, why],
  )
  return rows[0]!.outcome
}

/** What one of the four books says that the network owes for a date, in one currency. */
export interface BookTotal {
  readonly currency: string
  readonly minor: bigint
}

/** Where journal and another of our books differ on a transaction of the date. */
export interface BookDifference {
  readonly rrn: string
  readonly id: string
  readonly currency: string
  readonly journalMinor: bigint
  readonly otherMinor: bigint
}

export interface OwnBooks {
  /** Of the accounts of network and date, and of what was adjusted to it. */
  readonly ledger: readonly BookTotal[]
  readonly ledgerDiffers: readonly BookDifference[]
  /** What each source was told, of the date's transactions in the currency that it asked in. */
  readonly sources: readonly (BookTotal & {
    readonly source: string
    readonly transactions: number
    /** Undone or completed on another date, or not yet: there is nothing to compare them with. */
    readonly otherDates: number
  })[]
  readonly sourcesDiffer: readonly BookDifference[]
}

/** The ledger's and the sources' side of a date. */
export async function ownBooks(
  pool: DatabasePool,
  day: MatchedDate,
  journal: readonly BookTotal[],
): Promise<OwnBooks> {
  const { approvals, date, destination } = day
  const values = [destination, date, approvals]
  const { rows: ledger } = await pool.query<BookTotal>(
    `SELECT currency, sum(amount)::bigint AS minor FROM (${ledgerEntries}) entry GROUP BY 1`,
    [destination, date],
  )
  const differs = !isSame(summed(ledger), summed(journal))
  const { rows: ledgerDiffers } = differs
    ? await pool.query<BookDifference>(ledgerDifferences, values)
    : { rows: [] }
  const { rows: told } = await pool.query<OwnBooks['sources'][number]>(
    `WITH ${toldStatement}
     SELECT source, currency, sum(minor)::bigint AS minor, count(*)::int AS transactions,
         (count(*) FILTER (WHERE NOT settled))::int AS "otherDates"
       FROM told GROUP BY 1, 2 ORDER BY 1, 2`,
    values,
  )
  const { rows: sourcesDiffer } = await pool.query<BookDifference>(
    `WITH ${toldStatement}
     SELECT rrn, id, currency, journal AS "journalMinor", minor AS "otherMinor" FROM told
      WHERE settled AND NOT elsewhere AND journal <> minor ORDER BY rrn LIMIT 1000`,
    values,
  )
  return { ledger: totalsOf(summed(ledger)), ledgerDiffers, sources: told, sourcesDiffer }
}

/** What a book comes to, currency by currency. */
export function journalTotals(items: readonly MatchItem[]): BookTotal[] {
  return totalsOf(summed(items.map((item) => ({ currency: item.currency, minor: owedFor(item) }))))
}

function summed(totals: readonly BookTotal[]): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const { currency, minor } of totals) sums.set(currency, (sums.get(currency) ?? 0n) + minor)
  return sums
}

function totalsOf(sums: ReadonlyMap<string, bigint>): BookTotal[] {
  return [...sums]
    .map(([currency, minor]) => ({ currency, minor }))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1))
}

function isSame(one: ReadonlyMap<string, bigint>, other: ReadonlyMap<string, bigint>): boolean {
  return [...new Set([...one.keys(), ...other.keys()])].every(
    (currency) => (one.get(currency) ?? 0n) === (other.get(currency) ?? 0n),
  )
}

/** What an item is to us: as `owedFor` says. */
const owed = `CASE WHEN total NOT IN ('debit', 'credit') THEN 0
  WHEN (total = 'debit') = "isReversal" THEN -minor ELSE minor END`

/** What closing a date carries over to its settlement is still what the network owed for it. */
const ledgerEntries = `
  SELECT split_part(p.reference, ':', 1) AS id, e.currency, e.amount
    FROM ledger.account a JOIN ledger.entry e ON e.account_id = a.id AND e.layer = 0
      JOIN ledger.posting p ON p.id = e.posting_id
   WHERE p.reference NOT LIKE 'cutover:%'
     -- Statements have amounts. What a network charges for them is in its totals.
     AND p.reference NOT LIKE '%:network-fees%'
     AND (a.path LIKE 'net:' || $1 || ':' || $2 || ':%' OR a.path LIKE 'adjustment:' || $1 || ':' || $2 || ':%')`

const ledgerDifferences = `
  WITH journal AS (
    SELECT id::text, currency, sum(${owed})::bigint AS minor FROM (${amountItemsStatement}) item GROUP BY 1, 2),
  book AS (
    SELECT id, currency, sum(amount)::bigint AS minor FROM (${ledgerEntries}) entry GROUP BY 1, 2)
  SELECT coalesce(t.rrn, '') AS rrn, one.id, one.currency, one."journalMinor", one."otherMinor"
    FROM (SELECT id, currency, coalesce(journal.minor, 0) AS "journalMinor", coalesce(book.minor, 0) AS "otherMinor"
            FROM journal FULL JOIN book USING (id, currency)) one
      LEFT JOIN switch.transaction t ON t.id::text = one.id
   WHERE one."journalMinor" <> one."otherMinor" ORDER BY 1, 2 LIMIT 1000`

/** What is left of a transaction by what its source was told. What was only set aside is worth what completions took. */
const toldStatement = `
  item AS (
    SELECT t.id, sum(i.minor) FILTER (WHERE i.currency = t.currency)::bigint AS minor, bool_or(i.currency <> t.currency) AS elsewhere
      FROM (SELECT id, currency, ${owed} AS minor FROM (${amountItemsStatement}) item) i JOIN switch.transaction t ON t.id = i.id
     GROUP BY 1),
  told AS (
    SELECT t.id, t.rrn, t.source, t.currency,
        CASE WHEN t.state NOT IN ('approved', 'completed') OR t.kind IN ('transfer', 'balance', 'verification') THEN 0
             WHEN t.kind IN ('authorization', 'preauthorization', 'incremental') THEN coalesce(t.completed_minor, 0)
             WHEN t.kind IN ('refund', 'deposit') THEN -coalesce(t.actual_minor, t.approved_minor, t.amount_minor)
             ELSE coalesce(t.actual_minor, t.approved_minor, t.amount_minor) END AS minor,
        coalesce(item.minor, 0) AS journal, coalesce(item.elsewhere, false) AS elsewhere,
        NOT EXISTS (
          SELECT FROM switch.obligation o
           WHERE o.transaction_id = t.id AND o.kind IN ('reversal', 'advice')
             AND (o.state IN ('due', 'parked') OR o.closed_at < (SELECT began_at FROM switch.business_day d
                    WHERE d.destination = $1 AND d.date = $2)
               OR o.closed_at >= coalesce((SELECT min(n.began_at) FROM switch.business_day n
                    WHERE n.destination = $1 AND n.date > $2), 'infinity'))) AS settled
      FROM switch.transaction t LEFT JOIN item ON item.id = t.id
     WHERE t.business_date = $2 AND t.state NOT IN ('intent', 'reversing', 'tombstone', 'refused')
       AND EXISTS (SELECT FROM switch.leg l WHERE l.transaction_id = t.id AND l.destination = $1))`

/** Which of the dates around were ever compared with the network's statement. */
export interface MatchRun {
  readonly destination: string
  readonly date: string
  readonly at: Date
  readonly who: string
}

export async function matchRuns(pool: DatabasePool): Promise<MatchRun[]> {
  const { rows } = await pool.query<MatchRun>(
    `SELECT DISTINCT ON (destination, date) destination, date::text, at, who FROM switch.match_run
      ORDER BY destination, date, id DESC`,
  )
  return rows
}

/** What nobody has explained for so long; each is told again after as long a time, by one node. Rejects with `JournalUnavailable`. */
export async function overdueUnmatched(
  pool: DatabasePool,
  afterMs: number,
): Promise<{ readonly destination: string; readonly count: number }[]> {
  try {
    const { rows } = await pool.query<{ destination: string; count: number }>(overdue, [afterMs])
    return rows
  } catch {
    throw new JournalUnavailable()
  }
}

const overdue = `
  WITH told AS (
    UPDATE switch.unmatched SET alarmed_at = clock_timestamp()
     WHERE status = 'open' AND first_seen < clock_timestamp() - $1 * interval '1 ms'
       AND (alarmed_at IS NULL OR alarmed_at < clock_timestamp() - $1 * interval '1 ms') RETURNING destination)
  SELECT destination, count(*)::int AS count FROM told GROUP BY 1 ORDER BY 1`
