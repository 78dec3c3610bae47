import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../kernel/random.ts'
import { verifyLedger } from '../../ledger/ledger.ts'
import { verifyBooks } from '../../ledger/verify.ts'
import type { Verification } from '../../ledger/verify.ts'
import { authorize, noon, openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
  const { ledger } = world
  const commit = ledger.commit.bind(ledger)
  await commit(unit(transfer('bank', 'wallet:amal', 50_000n, { meta: { channel: 'pos', note: 'ملاحظة' } })))
  for (let index = 0; index < 5; index++) await commit(unit(transfer('wallet:amal', 'merchant:1', 10n)))
  await Promise.all(Array.from({ length: 20 }, () => commit(unit(transfer('wallet:amal', 'merchant:1', 1n)))))
  await commit(unit(transfer('wallet:badr', 'merchant:1', 1n))) // refused, and recorded
  const holds = Array.from({ length: 4 }, () => authorize('wallet:amal', 'merchant:1', 100n))
  for (const hold of holds) await commit(unit(hold))
  const [captured, voided, expired] = holds
  const on = (hold: (typeof holds)[number] | undefined) => ({ holdId: hold!.id, effectiveAt: noon })
  await commit(unit({ kind: 'capture', id: 'c', ...on(captured), amountMinor: 60n, final: true }))
  await commit(unit({ kind: 'void', id: 'v', ...on(voided) }))
  await commit(unit({ kind: 'expire', id: 'e', ...on(expired), effectiveAt: noon + 3_600_000 }))
  await commit(
    unit({
      kind: 'increment',
      id: 'i',
      ...on(holds[3]),
      legs: transfer('wallet:amal', 'merchant:1', 5n).legs,
    }),
  )
  await commit(unit({ kind: 'reverse', id: 'r', reverses: 'c', effectiveAt: noon }))
  await commit(unit({ kind: 'close', id: 'x', account: 'wallet:yen', effectiveAt: noon }))
  await commit(unit({ kind: 'release', id: 'l', ...on(holds[3]), amountMinor: 2n }))
  for (const [scope, through] of [
    ['knet', '2026-11-20'],
    ['knet', '2026-11-21'],
    ['*', '2026-10-31'],
  ] as const) {
    await commit(unit({ kind: 'closePeriod', id: scope + through, scope, through, effectiveAt: noon }))
  }
  // Whoever owns the database passes constraints too.
  await world.admin.query(`DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS rel, conname FROM pg_constraint
             WHERE connamespace = 'ledger'::regnamespace AND contype <> 'n' ORDER BY contype LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.rel, c.conname);
    END LOOP; END $$; DROP INDEX ledger.posting_reversed_once`)
})

afterAll(() => world.close())

/** What `verify` says after `statements`, which are then undone. A superuser passes grants and triggers. */
async function afterTampering(...statements: string[]): Promise<Verification> {
  const { admin } = world
  await admin.query('BEGIN')
  try {
    await admin.query('SET LOCAL session_replication_role = replica')
    for (const statement of statements) {
      const { rowCount } = await admin.query(statement)
      expect(rowCount, statement).toBeGreaterThan(0)
    }
    return await verifyBooks(admin, 0)
  } finally {
    await admin.query('ROLLBACK')
  }
}

test('books that nobody touched verify', async () => {
  const found = await verifyLedger(world.url)
  expect(found.bad).toBeUndefined()
  expect(found.blocks).toBeGreaterThan(10n)
  expect(found.accounts).toBe(8n)
  expect(found.postings).toBe(40n)
})

test('the tampering of these tests is not what verify finds', async () => {
  expect((await afterTampering('SELECT 1')).bad).toBeUndefined()
})

/** A value of the column's type that it does not have. */
const otherValue: Readonly<Record<string, string>> = {
  bigint: '= COALESCE(%, 0) + 1',
  integer: '= % + 1',
  smallint: '= % + 1',
  text: "= COALESCE(%, '') || 'x'",
  boolean: '= NOT %',
  bytea: '= set_byte(%, 3, get_byte(%, 3) # 1)',
  jsonb: `= COALESCE(%, '{}') || '{"note": "changed"}'`,
  'timestamp(3) with time zone': "= COALESCE(%, 'epoch') + interval '1 millisecond'",
  'bigint[]': '= array_append(%, 1::bigint)',
}

describe('every column of every table', () => {
  test('is covered: a changed value of any of them is found', async () => {
    const { rows } = await world.admin.query<{ table: string; column: string; type: string }>(
      `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND c.relname <> 'migration'`,
    )
    expect(rows.length).toBeGreaterThan(60)
    const unnoticed: string[] = []
    for (const { table, column, type } of rows) {
      const change = otherValue[type]
      expect(change, `${table}.${column} is of type ${type}`).toBeDefined()
      // One row from the start, one from the middle, one from the end.
      for (const place of ['0', '(SELECT count(*) / 2 FROM t)', '(SELECT count(*) - 1 FROM t)']) {
        const found = await afterTampering(
          `WITH t AS (SELECT ctid FROM ledger.${table})
           UPDATE ledger.${table} SET "${column}" ${change!.replaceAll('%', `"${column}"`)}
            WHERE ctid = (SELECT ctid FROM t ORDER BY ctid OFFSET ${place} LIMIT 1)`,
        )
        if (found.bad === undefined) unnoticed.push(`${table}.${column}`)
      }
    }
    expect(unnoticed).toEqual([])
  })

  test('and a row deleted from any table', async () => {
    const unnoticed: string[] = []
    for (const table of [
      'account',
      'balance',
      'block',
      'currency',
      'entry',
      'hold',
      'period',
      'posting',
      'shard',
      'unit',
    ]) {
      for (const place of ['0', '(SELECT count(*) / 2 FROM t)', '(SELECT count(*) - 1 FROM t)']) {
        const found = await afterTampering(
          `WITH t AS (SELECT ctid FROM ledger.${table})
           DELETE FROM ledger.${table} WHERE ctid = (SELECT ctid FROM t ORDER BY ctid OFFSET ${place} LIMIT 1)`,
        )
        if (found.bad === undefined) unnoticed.push(table)
      }
    }
    expect(unnoticed).toEqual([])
  })

  test('and a row that is there twice in any table', async () => {
    const unnoticed: string[] = []
    for (const table of [
      'account',
      'balance',
      'block',
      'currency',
      'entry',
      'hold',
      'period',
      'posting',
      'shard',
      'unit',
    ]) {
      const found = await afterTampering(
        `INSERT INTO ledger.${table} SELECT * FROM ledger.${table} ORDER BY ctid OFFSET 0 LIMIT 1`,
      )
      if (found.bad === undefined) unnoticed.push(table)
    }
    expect(unnoticed).toEqual([])
  })
})

/** The block that a row of each log belongs to. */
const blockOf: Readonly<Record<string, string>> = {
  account: 'block_seq',
  unit: 'block_seq',
  posting: 'block_seq',
  entry: '(SELECT block_seq FROM ledger.posting WHERE id = posting_id)',
  block: 'seq',
}

interface Place {
  readonly table: string
  readonly ctid: string
  readonly block: bigint | null
}

async function placesIn(table: string): Promise<Place[]> {
  const { rows } = await world.admin.query<{ ctid: string; block: bigint | null }>(
    `SELECT ctid::text AS ctid, ${blockOf[table] ?? 'NULL'} AS block FROM ledger.${table}`,
  )
  return rows.map((row) => ({ table, ...row }))
}

test('of a thousand tamperings drawn by lot a thousand are found, each in its block', async () => {
  const random = seededRandom(20_261_122)
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!
  const { rows: columns } = await world.admin.query<{ table: string; column: string; type: string }>(
    `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND c.relname <> 'migration'`,
  )
  const places = new Map<string, Place[]>()
  for (const { table } of columns) if (!places.has(table)) places.set(table, await placesIn(table))
  const missed: string[] = []
  for (let drawn = 0; drawn < 1_000; drawn++) {
    const { table, column, type } = pick(columns)
    const [at, other] = [pick(places.get(table)!), pick(places.get(table)!)]
    const [row, second] = [`ctid = '${at.ctid}'`, `ctid = '${other.ctid}'`]
    const differ = await world.admin.query(
      `SELECT FROM ledger.${table} a, ledger.${table} b WHERE a.${row} AND b.${second} AND a."${column}" IS DISTINCT FROM b."${column}"`,
    )
    const ways = [
      `UPDATE ledger.${table} SET "${column}" ${otherValue[type]!.replaceAll('%', `"${column}"`)} WHERE ${row}`,
      `DELETE FROM ledger.${table} WHERE ${row}`,
      `INSERT INTO ledger.${table} SELECT * FROM ledger.${table} WHERE ${row}`,
      // The two change places.
      `UPDATE ledger.${table} t SET "${column}" = o."${column}" FROM ledger.${table} o
        WHERE (t.${row} AND o.${second}) OR (t.${second} AND o.${row})`,
    ]
    // Two currencies of as many decimals can change places without anything being different.
    const way = ways[random.below(differ.rowCount === 0 || table === 'currency' ? 3 : 4)]!
    const { bad } = await afterTampering(way)
    // The first of the two places is the one to name; a block's own number may be what is wrong.
    const first = way === ways[3] && other.block !== null && other.block < at.block! ? other.block : at.block
    const found = bad !== undefined && (first === null || Math.abs(Number((bad.block ?? first) - first)) <= 1)
    if (!found) missed.push(`${way} of block ${first}: ${bad?.row} ${bad?.what}`)
  }
  expect(missed).toEqual([])
}, 900_000)

describe('the place is named', () => {
  test.each([
    [
      'an amount',
      'UPDATE ledger.entry SET amount = amount + 1 WHERE posting_id = 3 AND seq = 0',
      'unbalanced',
      'posting 3',
    ],
    [
      'a whole posting made larger',
      'UPDATE ledger.entry SET amount = amount * 2 WHERE posting_id = 3',
      'altered',
      'entry 0 of posting 3',
    ],
    ['a posting that is gone', 'DELETE FROM ledger.posting WHERE id = 9', 'missing', 'posting 9'],
    [
      'an entry that is gone',
      'DELETE FROM ledger.entry WHERE posting_id = 9 AND seq = 0',
      'missing',
      'entry 0 of posting 9',
    ],
    [
      'the name of a posting',
      `UPDATE ledger.posting SET reference = 'other' WHERE id = 4`,
      'altered',
      'block 5',
    ],
    [
      'a balance',
      `UPDATE ledger.balance SET debits = debits + 1, credits = credits + 1 WHERE account_id = 2`,
      'altered',
      'account 2',
    ],
    [
      'a posting out of nowhere',
      `INSERT INTO ledger.posting SELECT 999, 'forged', kind, hold_id, reverses, effective_at, expires_at, meta, shard, block_seq, recorded_at
         FROM ledger.posting WHERE id = 1`,
      'extra',
      'posting 999',
    ],
    [
      'the last block',
      'DELETE FROM ledger.block WHERE seq = (SELECT max(seq) FROM ledger.block)',
      'missing',
      'block',
    ],
  ])('%s', async (_, statement, kind, row) => {
    const { bad } = await afterTampering(statement)
    expect(bad?.kind).toBe(kind)
    expect(bad?.row).toContain(row)
  })

  test('two postings that have changed places', async () => {
    const { bad } = await afterTampering(
      'UPDATE ledger.entry SET posting_id = -posting_id WHERE posting_id IN (10, 11)',
      'UPDATE ledger.entry SET posting_id = 21 + posting_id WHERE posting_id IN (-10, -11)',
    )
    expect(bad?.row).toBe('entry 0 of posting 10')
  })
})

test('a database that cannot be reached is not called tampered', async () => {
  const url = new URL(world.url)
  url.pathname = '/no_such_database'
  await expect(verifyLedger(url.toString())).rejects.toMatchObject({ fault: 'unavailable' })
})
