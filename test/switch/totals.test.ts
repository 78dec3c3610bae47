import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DatabasePool, migrate, openPool } from '../../kernel/database.ts'
import { usualReconciliation } from '../../connectors/usual.ts'
import { type Ledger, migrateLedger, openLedger } from '../../ledger/ledger.ts'
import { postgresJournal } from '../../switch/ports/postgres-journal.ts'
import { postgresDayBook } from '../../switch/ports/postgres-days.ts'
import { journalRows, reconciliationHistory, reconciliationItems } from '../../switch/switch.ts'
import { openTestDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let pool: DatabasePool

beforeAll(async () => {
  database = await openTestDatabase()
  await migrateLedger(database.url)
  const folder = fileURLToPath(new URL('../../switch/migrations', import.meta.url))
  await migrate({ databaseUrl: database.url, schema: 'switch', folder })
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 2 })
  await pool.query(`INSERT INTO switch.business_day (destination, number, date, cause, who, described)
    VALUES ('knet', 1, '2026-11-22', 'start', 'node', '')`)
}, 60_000)

afterAll(async () => {
  await pool.end()
  await database.close()
})

beforeEach(async () => {
  await pool.query(`SET session_replication_role = replica;
    TRUNCATE switch.obligation, switch.leg, switch.transaction; SET session_replication_role = DEFAULT`)
})

interface Kept {
  readonly name: string
  readonly state: string
  readonly answer?: string
  readonly authId?: string
  readonly approvedMinor?: number
  readonly leg: readonly [state: string, responseCode?: string]
  /** Why its leg was undone, and what was said to that. */
  readonly undone?: readonly [cause: string, responseCode: string]
}

/** A purchase of 12.500, as it is on record. */
async function keep({ name, state, answer, authId, approvedMinor, leg, undone }: Kept): Promise<void> {
  const [id, legId] = [`md5('${name}')::uuid`, `md5('leg ${name}')::uuid`]
  await pool.query(
    `INSERT INTO switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date, received_at,
        approvable_until, rrn, kind, amount_minor, currency, request, response_code, auth_id, approved_minor, delivery,
        reversal, advice)
      VALUES (${id}, 3, $1, 'a', $2, 'f', 'n', '2026-11-22', now(), now(), $2, 'purchase', 12500, 'KWD', '{}', $3, $4, $5,
        'none', 'none', 'none')`,
    [state, name, answer ?? null, authId ?? null, approvedMinor ?? null],
  )
  await pool.query(
    `INSERT INTO switch.leg (id, transaction_id, destination, acquirer_id, stan, transmitted_at, state, response_code)
      VALUES (${legId}, ${id}, 'knet', '1', '000001', '1122000000', $1, $2)`,
    [leg[0], leg[1] ?? null],
  )
  if (undone === undefined) return
  await pool.query(
    `INSERT INTO switch.obligation (id, kind, key, transaction_id, leg_id, destination, cause, state, undone_minor, card, lane,
        next_at, response_code, closed_at)
      VALUES (gen_random_uuid(), 'reversal', $1, ${id}, ${legId}, 'knet', $2, 'acknowledged', 12500, 1, 1, now(), $3, now())`,
    [name, ...undone],
  )
}

/** What the totals of the day are made of: `debit`, or `-debit` where it was undone. */
async function counted(): Promise<string[]> {
  const items = await reconciliationItems(pool, {
    ...{ destination: 'knet', date: '2026-11-22', approvals: ['00', '10'] },
  })
  return items.map(({ isReversal, minor, rrn }) => `${isReversal ? '-' : ''}${minor} ${rrn}`).sort()
}

describe('the totals of a date', () => {
  test('have nothing of what was declined, though its undoing was acknowledged: nothing was given back', async () => {
    await keep({ name: 'kept', state: 'approved', leg: ['answered', '00'] })
    await keep({
      name: 'declined',
      state: 'reversed',
      leg: ['answered', '51'],
      undone: ['sourceReversal', '00'],
    })
    expect(await counted()).toEqual(['12500 kept'])
  })

  test('have both of what was approved and undone, and of what nobody answered and was undone', async () => {
    await keep({
      name: 'undone',
      state: 'reversed',
      leg: ['answered', '00'],
      undone: ['sourceReversal', '00'],
    })
    await keep({ name: 'silent', state: 'unknown', leg: ['maybeSent'], undone: ['timeout', '00'] })
    await keep({ name: 'never there', state: 'unknown', leg: ['maybeSent'], undone: ['timeout', '25'] })
    expect(await counted()).toEqual(['-12500 silent', '-12500 undone', '12500 silent', '12500 undone'])
  })

  test('have both of what was undone, where only a repeat of that was acknowledged: the network had it already', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['answered', '00'], undone: ['sourceReversal', '94'] })
    await keep({ name: 'b', state: 'unknown', leg: ['maybeSent'], undone: ['timeout', '94'] })
    expect(await counted()).toEqual(['-12500 a', '-12500 b', '12500 a', '12500 b'])
  })

  test('have a card that was looked at and found good, whatever the word for it', async () => {
    await keep({ name: 'bought', state: 'declined', leg: ['answered', '85'] })
    await keep({ name: 'looked at', state: 'approved', leg: ['answered', '85'] })
    await pool.query(
      `UPDATE switch.transaction SET kind = 'verification', amount_minor = 0 WHERE rrn = 'looked at'`,
    )
    expect(await counted()).toEqual(['0 looked at'])
  })

  test('have of what was settled in another currency and undone in parts no less than the whole', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['answered', '00'], undone: ['partialReversal', '00'] })
    await pool.query(`UPDATE switch.transaction SET amount_minor = 3;
      UPDATE switch.leg SET elsewhere = '{"settlement": {"amountMinor": "100", "currency": "USD"}}';
      UPDATE switch.obligation SET undone_minor = 1, actual_minor = 2;
      INSERT INTO switch.obligation (id, kind, key, transaction_id, leg_id, destination, cause, state, undone_minor, actual_minor,
          card, lane, next_at, response_code, closed_at)
        SELECT gen_random_uuid(), kind, name, transaction_id, leg_id, destination, cause, state, 1, left_minor, 1, 1, now(), '00', now()
          FROM switch.obligation, (VALUES ('second', 1), ('last', NULL)) more (name, left_minor)`)
    expect(await counted()).toEqual(['-33 a', '-33 a', '-34 a', '100 a'])
  })

  test('have nothing of what was told and is not on record there', async () => {
    await keep({ name: 'told', state: 'completed', leg: ['notSent'], undone: ['completion', '25'] })
    await keep({ name: 'known', state: 'completed', leg: ['notSent'], undone: ['completion', '94'] })
    await pool.query(
      `UPDATE switch.obligation SET kind = 'advice', advice = '{"mti": "0220", "amountMinor": "9000"}'`,
    )
    expect(await counted()).toEqual(['9000 known'])
  })

  test('have both of what was answered in a way that may have been an approval', async () => {
    await keep({ name: 'strange', state: 'unknown', leg: ['answered', '08'], undone: ['badAnswer', '00'] })
    expect(await counted()).toEqual(['-12500 strange', '12500 strange'])
  })
})

test('a date that only the network named is told its totals with the next that began here, and once', async () => {
  const day = (number: number, date: string) =>
    pool.query(
      `INSERT INTO switch.business_day (destination, number, date, cause, who, described)
        VALUES ('benefit', ${number}, '${date}', 'network', 'node', '')`,
    )
  for (const name of ['first', 'between', 'last'])
    await keep({ name, state: 'approved', leg: ['answered', '00'] })
  await pool.query(`UPDATE switch.leg SET destination = 'benefit';
    UPDATE switch.transaction SET business_date = '2026-11-23' WHERE rrn = 'between';
    UPDATE switch.transaction SET business_date = '2026-11-24' WHERE rrn = 'last'`)
  await day(1, '2026-11-22')
  await day(2, '2026-11-24')
  await day(3, '2026-11-25')
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const ledger = await openLedger({ databaseUrl: database.url, rowKinds: journalRows, log })
  const book = postgresDayBook(ledger, pool, {
    wallMs: () => Date.parse('2026-11-25T09:00:00Z'),
    reconciledBy: () => ({ rules: usualReconciliation, approvals: ['00'] }),
  })
  for (const date of ['2026-11-22', '2026-11-24']) expect(await book.freeze('benefit', date, 0)).toBe(true)
  await ledger.close()
  const told = await reconciliationHistory(pool)
  expect(told.map(({ date, totals }) => [date, totals.debitCount])).toEqual([
    ['2026-11-22', '1'],
    ['2026-11-23', '1'],
    ['2026-11-24', '1'],
  ])
  const { rows } =
    await pool.query(`SELECT advice ->> 'date' AS date FROM switch.obligation WHERE kind = 'reconciliation'
    ORDER BY 1`)
  expect(rows).toEqual([{ date: '2026-11-22' }, { date: '2026-11-23' }, { date: '2026-11-24' }])
})

test('approvals that nobody proved to have arrived are found oldest first: those of an earlier life before those under way', async () => {
  const journal = postgresJournal({} as Ledger, pool, () => 4)
  for (const name of ['now', 'before', 'long before'])
    await keep({ name, state: 'approved', leg: ['answered', '00'] })
  await pool.query(`UPDATE switch.transaction SET received_at = now() - interval '1 h' WHERE rrn = 'before';
    UPDATE switch.transaction SET received_at = now() - interval '2 h' WHERE rrn = 'long before'`)
  const found = await journal.undeliveredOf('n', 2)
  expect(found.map(({ sourceKey }) => sourceKey)).toEqual(['long before', 'before'])
})

test('a repeat hears how much was approved and billed also where the issuer gave no authorization number', async () => {
  const journal = postgresJournal({} as Ledger, pool, () => 4)
  await keep({
    ...{ name: 'part', state: 'approved', answer: '10', approvedMinor: 6_250 },
    leg: ['answered', '10'],
  })
  await keep({
    ...{ name: 'not taken', state: 'unknown', answer: '51', approvedMinor: 6_250 },
    leg: ['answered', '10'],
  })
  await keep({ name: 'billed', state: 'approved', answer: '00', leg: ['answered', '00'] })
  const billing = { amountMinor: 4_071n, currencyNumeric: '840' }
  await pool.query(`UPDATE switch.leg l SET elsewhere = '{"billing": {"amountMinor": "4071", "currencyNumeric": "840"}}'
     FROM switch.transaction t WHERE t.id = l.transaction_id AND t.source_key = 'billed'`)
  const answerOf = async (key: string) => (await journal.transactionByKey(key))?.answer
  expect(await answerOf('billed')).toEqual({ responseCode: '00', billing })
  expect(await answerOf('part')).toEqual({ responseCode: '10', amountMinor: 6_250n })
  expect(await answerOf('not taken')).toEqual({ responseCode: '51' })
})
