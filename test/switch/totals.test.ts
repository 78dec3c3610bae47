import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import type { FeeRules } from '../../connectors/connector.ts'
import { usualReconciliation } from '../../connectors/usual.ts'
import { type Ledger, openLedger } from '../../ledger/ledger.ts'
import { postgresJournal } from '../../switch/ports/postgres-journal.ts'
import { postgresDayBook } from '../../switch/ports/postgres-days.ts'
import { totalsStatement } from '../../switch/ports/totals.ts'
import { journalRows, reconciliationHistory, reconciliationItems } from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool

beforeAll(async () => {
  database = await openSwitchDatabase()
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
async function counted(fees: FeeRules = {}): Promise<string[]> {
  const items = await reconciliationItems(pool, {
    ...{ destination: 'knet', date: '2026-11-22', approvals: ['00', '10'], fees },
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

  test('have both of what was undone before anything was known of its answer: the date may freeze meanwhile', async () => {
    await keep({ name: 'a', state: 'reversing', leg: ['intent'], undone: ['sourceReversal', '00'] })
    await keep({ name: 'b', state: 'intent', leg: ['intent'] })
    expect(await counted()).toEqual(['-12500 a', '12500 a'])
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

  test('have what completions took and gave back in one currency, whatever its authorization was said to be settled in', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['answered', '00'], undone: ['sourceReversal', '00'] })
    await pool.query(`UPDATE switch.transaction SET kind = 'authorization', completed_minor = 0;
      UPDATE switch.leg SET elsewhere = '{"settlement": {"amountMinor": "40000", "currency": "USD"}}';
      UPDATE switch.obligation SET undone_minor = 9000;
      INSERT INTO switch.obligation (id, kind, key, transaction_id, leg_id, destination, cause, state, advice, card, lane, next_at,
          response_code, closed_at)
        SELECT gen_random_uuid(), 'advice', 'completion', transaction_id, leg_id, destination, 'completion', state,
          '{"mti": "0220", "amountMinor": "9000"}', 1, 1, now(), '00', now() FROM switch.obligation`)
    const items = await reconciliationItems(pool, {
      ...{ destination: 'knet', date: '2026-11-22', approvals: ['00'] },
    })
    const money = items.filter(({ total }) => total === 'debit')
    expect(money.map(({ currency, isReversal, minor }) => [currency, isReversal, minor])).toEqual([
      ['KWD', false, 9_000n],
      ['KWD', true, 9_000n],
    ])
  })

  test('have what an advice told and its reversal undid in one currency, though an earlier leg was settled in another', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['maybeSent'], undone: ['sourceReversal', '00'] })
    await pool.query(`UPDATE switch.leg SET elsewhere = '{"settlement": {"amountMinor": "40000", "currency": "USD"}}';
      UPDATE switch.obligation SET advice_id = leg_id, leg_id = NULL`)
    expect(await counted()).toEqual(['-12500 a'])
  })

  test('have what was told and what undoes that in the currency that was said for it, in parts no less than the whole', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['notSent'], undone: ['partialReversal', '00'] })
    await pool.query(`INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, state, advice, settlement,
          card, lane, next_at, response_code, closed_at)
        SELECT gen_random_uuid(), 'advice', 'told', transaction_id, destination, 'standIn', state,
          '{"mti": "0220", "amountMinor": "3"}', '{"amountMinor": "100", "currency": "USD"}', 1, 1, now(), '00', now()
          FROM switch.obligation`)
    await pool.query(`UPDATE switch.obligation SET leg_id = NULL, undone_minor = 1, actual_minor = 2,
          advice_id = (SELECT id FROM switch.obligation WHERE kind = 'advice') WHERE kind = 'reversal';
      INSERT INTO switch.obligation (id, kind, key, transaction_id, advice_id, destination, cause, state, undone_minor, actual_minor,
          card, lane, next_at, response_code, closed_at)
        SELECT gen_random_uuid(), kind, 'rest', transaction_id, advice_id, destination, cause, state, 2, NULL, 1, 1, now(), '00', now()
          FROM switch.obligation WHERE kind = 'reversal'`)
    expect(await counted()).toEqual(['-33 a', '-67 a', '100 a'])
  })

  test('have of an authorization that is undone whole what each of its completions was paid with, and no more of what was undone alone', async () => {
    await keep({ name: 'a', state: 'reversed', leg: ['answered', '00'], undone: ['sourceReversal', '00'] })
    await pool.query(`UPDATE switch.transaction SET kind = 'authorization', completed_minor = 0;
      UPDATE switch.obligation SET undone_minor = 9000;
      INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, state, advice, settlement, card, lane,
          next_at, response_code, closed_at)
        SELECT gen_random_uuid(), 'advice', name, transaction_id, destination, 'completion', state, jsonb_build_object('amountMinor', minor),
            taken.paid::jsonb, 1, 1, now(), '00', now()
          FROM switch.obligation, (VALUES ('one', '4000', '{"amountMinor": "1302", "currency": "USD"}'),
            ('two', '2000', '{"amountMinor": "651", "currency": "USD"}'), ('three', '3000', NULL),
            ('alone', '1000', '{"amountMinor": "325", "currency": "USD"}')) taken (name, minor, paid)`)
    await pool.query(`INSERT INTO switch.obligation (id, kind, key, transaction_id, advice_id, destination, cause, state, undone_minor,
          card, lane, next_at, response_code, closed_at)
        SELECT gen_random_uuid(), 'reversal', 'of one', transaction_id, id, destination, 'completionReversal', state, 1000, 1, 1,
            now(), '00', now() FROM switch.obligation WHERE key = 'alone'`)
    const items = await reconciliationItems(pool, {
      ...{ destination: 'knet', date: '2026-11-22', approvals: ['00'] },
    })
    const back = items.filter(({ isReversal }) => isReversal)
    expect(back.map(({ currency, minor }) => `${minor} ${currency}`).sort()).toEqual([
      '1953 USD',
      '3000 KWD',
      '325 USD',
    ])
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

describe('the fees of a date', () => {
  const charged = '[{"kind": "processing", "sign": "D", "amountMinor": "50", "currency": "KWD"}]'
  const paid = '[{"kind": "processing", "sign": "C", "amountMinor": "7", "currency": "USD"}]'
  const undone = ['sourceReversal', '00'] as const

  async function feesOf(name: string, fees: string): Promise<void> {
    await pool.query(
      `UPDATE switch.leg SET elsewhere = jsonb_build_object('fees', $1::jsonb)
      WHERE id = md5('leg ${name}')::uuid`,
      [fees],
    )
  }

  async function charging(name: string, more: object = {}): Promise<void> {
    await keep({ name, state: 'approved', leg: ['answered', '00'], ...more })
    await pool.query(`UPDATE switch.transaction SET request = '{"feeMinor": "250"}'`)
  }

  test('are items of their own, by their sign, and stay with the network that gives none back', async () => {
    await keep({ name: 'a', state: 'approved', leg: ['answered', '00'] })
    await keep({ name: 'b', state: 'reversed', leg: ['answered', '00'], undone })
    await feesOf('a', paid)
    await feesOf('b', charged)
    expect(await counted()).toEqual(['-12500 b', '-7 a', '12500 a', '12500 b', '50 b'])
  })

  test('count on the other side where the undoing of the whole gave them back, and not with a part of it', async () => {
    await keep({ name: 'b', state: 'reversed', leg: ['answered', '00'], undone })
    await feesOf('b', charged)
    expect(await counted({ reversed: true })).toEqual(['-12500 b', '-50 b', '12500 b', '50 b'])
    await pool.query(`UPDATE switch.obligation SET actual_minor = 5000, undone_minor = 7500`)
    expect(await counted({ reversed: true })).toEqual(['-7500 b', '12500 b', '50 b'])
  })

  test('are none of what was declined, and none of what was only set aside', async () => {
    await keep({ name: 'declined', state: 'declined', leg: ['answered', '51'] })
    await keep({ name: 'held', state: 'approved', leg: ['answered', '00'] })
    await pool.query(`UPDATE switch.transaction SET kind = 'authorization' WHERE rrn = 'held'`)
    await feesOf('declined', charged)
    await feesOf('held', charged)
    expect(await counted()).toEqual(['12500 held'])
  })

  test('that terminals charge are in the amounts or beside them, and go back last', async () => {
    await charging('c')
    expect(await counted()).toEqual(['12500 c', '250 c'])
    expect(await counted({ inAmount: false })).toEqual(['12250 c', '250 c'])
    await charging('d', { state: 'reversed', undone })
    expect(await counted({ inAmount: false })).toEqual(
      ['-12250 d', '-250 d', '12250 c', '12250 d', '250 c', '250 d'].sort(),
    )
    await pool.query(`UPDATE switch.obligation SET actual_minor = 100, undone_minor = 12400`)
    expect((await counted({ inAmount: false })).filter((item) => item.startsWith('-'))).toEqual([
      '-12250 d',
      '-150 d',
    ])
  })

  test('that terminals charge count in the currency that is settled', async () => {
    await charging('e', { state: 'reversed', undone })
    await pool.query(`UPDATE switch.leg SET elsewhere =
      '{"settlement": {"amountMinor": "4000", "currency": "USD", "roundingMinor": "0", "feeMinor": "80"}}'`)
    expect(await counted()).toEqual(['-4000 e', '-80 e', '4000 e', '80 e'])
    expect(await counted({ inAmount: false })).toEqual(['-3920 e', '-80 e', '3920 e', '80 e'])
  })

  test('are told in DE82 to DE85', async () => {
    await charging('c')
    await feesOf('c', charged)
    await keep({ name: 'f', state: 'approved', leg: ['answered', '00'] })
    await feesOf('f', '[{"kind": "processing", "sign": "C", "amountMinor": "7", "currency": "KWD"}]')
    const { rows } = await pool.query<Record<string, bigint>>(totalsStatement, [
      ...['knet', '2026-11-22', ['00'], false, true],
    ])
    expect(rows).toEqual([
      expect.objectContaining({
        ...{ debitMinor: 25_000n, debitCount: 2n, debitProcessingFeeMinor: 50n },
        ...{ creditProcessingFeeMinor: 7n, debitTransactionFeeMinor: 250n, creditTransactionFeeMinor: 0n },
      }),
    ])
  })
})
