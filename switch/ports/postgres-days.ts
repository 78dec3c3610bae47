import type { FeeRules } from '../../connectors/connector.ts'
import type { DatabasePool } from '../../kernel/database.ts'
import { closeBusinessDate, type Ledger } from '../../ledger/ledger.ts'
import { aheadDaysMax, dateAfter, daysBetween, effectiveOn, isDate } from '../business-date.ts'
import type { BusinessDay, DayBook, NewDay } from '../business-days.ts'
import { JournalUnavailable } from '../journal.ts'
import type { Balance, Reconciled, Totals } from '../reconciliation.ts'
import { obligationId } from '../transaction/owed.ts'
import { checkReason } from '../../kernel/reasons.ts'
import { itemsStatement, totalsStatement } from './totals.ts'

export interface DayBookPorts {
  /** Dates the closing entries. */
  readonly wallMs: () => number
  /** Who wants to be told the totals of a date. */
  readonly reconciledBy: (destination: string) => Reconciled | undefined
}

/** Business days in the journal's schema; their accounts are the ledger's. */
export function postgresDayBook(
  ledger: Ledger,
  pool: DatabasePool,
  { wallMs, reconciledBy }: DayBookPorts,
): DayBook {
  const ask = async <R extends object>(text: string, values: readonly unknown[]): Promise<R[]> => {
    try {
      return (await pool.query(text, [...values])).rows as R[]
    } catch {
      throw new JournalUnavailable()
    }
  }
  return {
    days: () =>
      ask<BusinessDay>(
        `SELECT destination, date::text, cause, frozen_at IS NOT NULL AS frozen,
                greatest(0, extract(epoch FROM clock_timestamp() - began_at) * 1000)::float8 AS "beganMsAgo"
           FROM switch.business_day d
          WHERE frozen_at IS NULL
             OR number = (SELECT max(number) FROM switch.business_day WHERE destination = d.destination)
          ORDER BY destination, number`,
        [],
      ),
    async begin(day) {
      const begun = await ask(beginDay, valuesOf(day))
      return begun.length === 1 ? 'begun' : 'exists'
    },
    async unresolved(destination, date) {
      const rows = await ask<{ unresolved: number }>(
        `SELECT (SELECT count(*) FROM switch.transaction t
                  WHERE t.state IN ('intent', 'reversing') AND t.business_date = $2
                    AND EXISTS (SELECT FROM switch.leg l WHERE l.transaction_id = t.id AND l.destination = $1))::int
              + (SELECT count(*) FROM switch.obligation o JOIN switch.transaction t ON t.id = o.transaction_id
                  WHERE o.state = 'due' AND o.destination = $1 AND t.business_date = $2)::int AS unresolved`,
        [destination, date],
      )
      return rows[0]!.unresolved
    },
    async isClosed(destination, date) {
      const closed = await ask(
        `SELECT FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
          WHERE b.closed AND a.path >= $1 AND a.path < $1 || '~'
         UNION ALL
         SELECT FROM ledger.period WHERE scope IN ($2, '*') AND through >= $3`,
        [`net:${destination}:${date}:`, destination, date],
      )
      return closed.length > 0
    },
    async freeze(destination, date, stragglers) {
      const effectiveAt = effectiveOn(date, wallMs())
      const closed = await closing(ledger, pool, { network: destination, date, effectiveAt })
      if (!closed) return false
      const told = await totalsOf(ask, { destination, date, reconciled: reconciledBy(destination) })
      await ask(freezeDay, [destination, date, stragglers, ...told])
      return true
    },
  }
}

type Ask = <R extends object>(text: string, values: readonly unknown[]) => Promise<R[]>

/**
 * What the network is to be told of the date, and of those before it that it named itself (DE15) and that never began here:
 * names, dates, currencies and totals of what it is told, one for each currency of a date.
 */
async function totalsOf(
  ask: Ask,
  {
    destination,
    date,
    reconciled,
  }: { readonly destination: string; readonly date: string; readonly reconciled: Reconciled | undefined },
): Promise<[string[], string[], string[], string[], string[]]> {
  const told: [string[], string[], string[], string[], string[]] = [[], [], [], [], []]
  if (reconciled === undefined) return told
  const unbegun = await ask<{ date: string }>(unbegunDates, [destination, date, aheadDaysMax])
  for (const of of [...unbegun.map((row) => row.date), date]) {
    const rows = await ask<{ currency: string } & Totals>(totalsStatement, [
      destination,
      of,
      reconciled.approvals,
      ...feeTermsOf(reconciled.fees),
    ])
    for (const { currency, ...totals } of rows) {
      const key = `reconciliation:${destination}:${of}:${currency}`
      const asText = Object.entries(totals).map(([name, total]) => [name, String(total)])
      const row = [obligationId(key), key, of, currency, JSON.stringify(Object.fromEntries(asText))]
      for (const [index, value] of row.entries()) told[index]!.push(value)
    }
  }
  return told
}

/** $1 destination, $2 date, $3 how far from ours a date may be that an answer names. */
const unbegunDates = `
  SELECT DISTINCT t.business_date::text AS date
    FROM switch.transaction t
   WHERE t.business_date < $2::date AND t.business_date >= $2::date - $3::int
     AND t.business_date > coalesce((SELECT max(date) FROM switch.business_day WHERE destination = $1 AND date < $2::date), '-infinity')
     AND EXISTS (SELECT FROM switch.leg l WHERE l.transaction_id = t.id AND l.destination = $1)
   ORDER BY 1`

/** One node freezes a date, and only that one says what is to be told of it. */
const freezeDay = `
  WITH frozen AS (
    UPDATE switch.business_day SET frozen_at = clock_timestamp(), stragglers = $3
     WHERE destination = $1 AND date = $2 AND frozen_at IS NULL RETURNING date::text),
  told AS (
    SELECT n.* FROM frozen,
      unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[]) AS n (id, key, date, currency, totals)),
  kept AS (
    INSERT INTO switch.reconciliation (obligation_id, destination, date, currency, totals)
    SELECT id, $1, date::date, currency, totals FROM told)
  INSERT INTO switch.obligation (id, kind, key, destination, cause, advice, card, lane, next_at)
  SELECT id, 'reconciliation', key, $1, 'cutover',
      jsonb_build_object('date', date, 'currency', currency, 'totals', totals), 0, 0, clock_timestamp() FROM told`

/** Nothing is inserted unless the date comes after every one there is; two at once find one number, and one of them loses. */
const beginDay = `
  INSERT INTO switch.business_day (destination, number, date, cause, who, described)
  SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM switch.business_day WHERE destination = $1
  HAVING coalesce(max(date) < $2::date, true)
  ON CONFLICT DO NOTHING RETURNING number`

function valuesOf({ destination, date, cause, who, described }: NewDay): unknown[] {
  return [destination, date, cause, who, described]
}

/** An answer may have named a date that never began here, so that there are accounts of dates between two of ours. */
async function closing(
  ledger: Ledger,
  pool: DatabasePool,
  day: Parameters<typeof closeBusinessDate>[2],
): Promise<boolean> {
  try {
    const { rows } = await pool.query<{ date: string }>(
      `SELECT DISTINCT ledger.date_of(a.path) AS date
         FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
        WHERE a.path >= 'net:' || $1 || ':' AND a.path < 'net:' || $1 || ':' || $2
          AND NOT b.closed ORDER BY 1`,
      [day.network, day.date],
    )
    for (const date of [...rows.map((row) => row.date), day.date]) {
      const closed = await closeBusinessDate(ledger, pool, { ...day, date })
      const outcomes = [closed.period, ...closed.accounts.map(({ outcome }) => outcome)]
      if (!outcomes.every(({ kind }) => kind === 'committed')) return false
    }
    return true
  } catch {
    throw new JournalUnavailable()
  }
}

/** A business date as it is on record. */
export interface DayOnRecord {
  readonly destination: string
  readonly date: string
  readonly beganAt: Date
  readonly cause: string
  readonly who: string
  readonly described: string
  readonly frozenAt: Date | null
  readonly stragglers: number | null
}

/** Every business date there has been, each destination's oldest first. */
export async function businessDayHistory(pool: DatabasePool): Promise<DayOnRecord[]> {
  const { rows } = await pool.query<DayOnRecord>(
    `SELECT destination, date::text, began_at AS "beganAt", cause, who, described, frozen_at AS "frozenAt", stragglers
       FROM switch.business_day ORDER BY destination, number`,
  )
  return rows
}

/** The cutover that an operator asks for: the nodes follow it within a second or two. Rejects with `ReasonRefused`. */
export async function beginByOperator(
  pool: DatabasePool,
  asked: {
    readonly destination: string
    readonly date?: string
    readonly who: string
    readonly why: string
  },
): Promise<
  | { readonly begun: true; readonly date: string }
  | {
      readonly begun: false
      readonly reason: 'no such destination' | 'no such date' | 'too far ahead' | 'it has begun'
    }
> {
  const { destination, who, why } = asked
  checkReason(asked)
  const days = (await businessDayHistory(pool)).filter((day) => day.destination === destination)
  const current = days.at(-1)?.date
  if (current === undefined) return { begun: false, reason: 'no such destination' }
  const date = asked.date ?? dateAfter(current, 1)
  if (!isDate(date)) return { begun: false, reason: 'no such date' }
  if (daysBetween(current, date) > aheadDaysMax) return { begun: false, reason: 'too far ahead' }
  const day: NewDay = { destination, date, cause: 'operator', who, described: why }
  const { rows } = await pool.query(beginDay, valuesOf(day))
  return rows.length === 1 ? { begun: true, date } : { begun: false, reason: 'it has begun' }
}

/** A day's totals in one currency, as its network was told them, and what it said to that. */
export interface ReconciliationOnRecord {
  readonly destination: string
  readonly date: string
  readonly currency: string
  readonly totals: Readonly<Record<keyof Totals, string>>
  /** null: it has not answered yet. */
  readonly balance: Balance | null
  readonly answeredAt: Date | null
}

export async function reconciliationHistory(pool: DatabasePool): Promise<ReconciliationOnRecord[]> {
  const { rows } = await pool.query<ReconciliationOnRecord>(
    `SELECT destination, date::text, currency, totals, balance, answered_at AS "answeredAt"
       FROM switch.reconciliation ORDER BY destination, date, currency`,
  )
  return rows
}

/** What the totals of a date are made of: where they don't agree with the network's, somebody looks for the difference. */
export interface ReconciliationItem {
  readonly total: string
  readonly isReversal: boolean
  readonly id: string
  readonly rrn: string
  readonly currency: string
  readonly minor: bigint
}

export async function reconciliationItems(
  pool: DatabasePool,
  {
    destination,
    date,
    approvals,
    fees,
  }: {
    readonly destination: string
    readonly date: string
    readonly approvals: readonly string[]
    readonly fees?: FeeRules
  },
): Promise<ReconciliationItem[]> {
  const { rows } = await pool.query<ReconciliationItem>(`${itemsStatement} ORDER BY currency, total, rrn`, [
    destination,
    date,
    approvals,
    ...feeTermsOf(fees),
  ])
  return rows
}

/** As `itemsStatement` wants them. */
function feeTermsOf({ inAmount = true, reversed = false }: FeeRules = {}): [boolean, boolean] {
  return [reversed, inAmount]
}
