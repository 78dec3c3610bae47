import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseError, openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { closeBusinessDate } from '../../ledger/ledger.ts'
import { countOf, faultOf, openWorld, ownedBy, transfer, unit } from './world.ts'
import type { World } from './world.ts'

let world: World
let writer: DatabaseClient
let owner: DatabaseClient
let reader: DatabaseClient

beforeAll(async () => {
  world = await openWorld()
  await world.ledger.commit(unit(transfer('bank', 'wallet:amal', 1_000n)))
  await world.ledger.commit(unit(transfer('wallet:amal', 'merchant:1', 100n)))
  await world.ledger.openAccounts(
    ['net:knet:2026-11-20:KWD', 'net:knet:2026-11-21:KWD', 'settlement:knet:KWD'].map((path) => {
      return { path, currency: 'KWD', normalSide: 'debit', limit: 'none' }
    }),
  )
  await closeBusinessDate(world.ledger, world.admin, {
    network: 'knet',
    date: '2026-11-20',
    effectiveAt: Date.UTC(2026, 10, 22),
  })
  const as = async (role: string): Promise<DatabaseClient> => {
    const client = await openClient({ databaseUrl: world.url, applicationName: 'test' })
    await client.query(`SET ROLE ${role}`)
    return client
  }
  writer = await as('ledger_writer')
  owner = await as('ledger_owner')
  reader = await as('ledger_reader')
})

afterAll(async () => {
  await Promise.all([writer.end(), owner.end(), reader.end()])
  await world.close()
})

async function attempt(client: DatabaseClient, statement: string): Promise<string> {
  await client.query('BEGIN')
  try {
    await client.query(statement)
    return 'done'
  } catch (error) {
    return faultOf(databaseError(error))
  } finally {
    await client.query('ROLLBACK')
  }
}

const logs = ['account', 'unit', 'posting', 'entry', 'block', 'currency']
const projections = ['balance', 'hold', 'period', 'shard']

describe('the writer, with SQL of its own', () => {
  test.each(logs)('cannot change, delete or empty ledger.%s', async (table) => {
    for (const statement of [
      `UPDATE ledger.${table} SET ${table === 'currency' ? 'exponent' : 'shard'} = 0`,
      `DELETE FROM ledger.${table}`,
      `TRUNCATE ledger.${table} CASCADE`,
    ]) {
      expect(await attempt(writer, statement), statement).toMatch(/denied|badStatement/)
    }
  })

  test.each(projections)('cannot take away from ledger.%s', async (table) => {
    expect(await attempt(writer, `DELETE FROM ledger.${table}`)).toBe('denied')
    expect(await attempt(writer, `TRUNCATE ledger.${table}`)).toBe('denied')
  })

  const posting = (id: number, block: string): string =>
    `INSERT INTO ledger.posting (id, reference, kind, effective_at, shard, block_seq, recorded_at)
     VALUES (${id}, 'direct-${id}', 'post', now(), 0, ${block}, now())`
  const nextBlock = '(SELECT head_seq + 1 FROM ledger.shard)'
  const entries = (id: number, ...amounts: number[]): string =>
    `INSERT INTO ledger.entry VALUES ${amounts
      .map((amount, seq) => `(${id}, ${seq}, 0, ${seq + 1}, 'KWD', ${amount}, ${900 + seq}, 0, 0, 0)`)
      .join(', ')}`

  /** One statement with two entries of each posting: a check of many rows may go another way than that of one posting. */
  const entriesOfTwo = (one: number, other: number, left = 7, right = 7): string =>
    `INSERT INTO ledger.entry VALUES (${one}, 8, 0, 1, 'KWD', ${left}, 900, 0, 0, 0), (${one}, 9, 0, 2, 'KWD', -7, 901, 0, 0, 0),
       (${other}, 8, 0, 1, 'KWD', ${right}, 902, 0, 0, 0), (${other}, 9, 0, 2, 'KWD', -7, 903, 0, 0, 0)`

  const entriesOn = (path: string): string =>
    `INSERT INTO ledger.entry SELECT 99, side, 0, a.id, 'KWD', CASE side WHEN 0 THEN 5 ELSE -5 END, 900 + side, 0, 0, 0
       FROM ledger.account a, generate_series(0, 1) AS side WHERE path = '${path}'`
  const periodPosting = (through: string): string =>
    `INSERT INTO ledger.posting (id, reference, kind, effective_at, meta, shard, block_seq, recorded_at)
     VALUES (99, 'direct', 'closePeriod', now(), '{"scope": "knet", "through": "${through}"}', 0, ${nextBlock}, now())`

  test.each([
    ['add entries that do not sum to zero', `${posting(99, nextBlock)}; ${entries(99, 100, -99)}`, 'refused'],
    ['add one side of a posting', `${posting(99, nextBlock)}; ${entries(99, 100)}`, 'refused'],
    [
      'add balanced entries to an old posting',
      entries(1, 0 + 7, -7)
        .replaceAll(', 0, 0, 1,', ', 10, 0, 1,')
        .replaceAll(', 1, 0, 2,', ', 11, 0, 2,'),
      'refused',
    ],
    ['add entries to no posting', entries(77, 7, -7), 'refused'],
    [
      'owe one posting what another has too much',
      `${posting(98, nextBlock)}; ${posting(99, nextBlock)}; ${entriesOfTwo(98, 99, 8, 6)}`,
      'refused',
    ],
    [
      'add balanced entries to a new posting and an old one',
      `${posting(99, nextBlock)}; ${entriesOfTwo(99, 1)}`,
      'refused',
    ],
    ['add entries to a posting and to none', `${posting(98, nextBlock)}; ${entriesOfTwo(98, 99)}`, 'refused'],
    [
      'post to a network for a date that is closed, beside what is right',
      `${posting(98, nextBlock)}; ${posting(99, nextBlock).replace('now(), 0', `'2026-11-20T20:59:59Z', 0`)};
       INSERT INTO ledger.entry SELECT made, side, 0, a.id, 'KWD', CASE side WHEN 0 THEN 5 ELSE -5 END, 10 * made + side, 0, 0, 0
         FROM ledger.account a, generate_series(0, 1) AS side, generate_series(98, 99) AS made
        WHERE path = 'settlement:knet:KWD'`,
      'refused',
    ],
    ['add an entry of nothing', `${posting(99, nextBlock)}; ${entries(99, 0, 0)}`, 'check'],
    ['add a posting to a closed block', posting(99, '1'), 'refused'],
    [
      'write an account version twice',
      `${posting(99, nextBlock)}; ${entries(99, 7, -7).replaceAll('900', '1').replaceAll('901', '1')}`,
      'duplicate',
    ],
    [
      'give an account money',
      'UPDATE ledger.balance SET credits = credits + 1, version = version + 1 WHERE NOT no_overdraft',
      'refused',
    ],
    ['set a balance back', 'UPDATE ledger.balance SET version = version - 1 WHERE version > 0', 'refused'],
    ['lift the limit of an account', 'UPDATE ledger.balance SET no_overdraft = false', 'refused'],
    [
      'overdraw an account',
      `UPDATE ledger.balance SET debits = 5000, version = version + 1
        WHERE account_id = (SELECT id FROM ledger.account WHERE path = 'wallet:amal')`,
      'check',
    ],
    [
      'open an account that has money',
      `INSERT INTO ledger.balance (account_id, credits, no_overdraft, normal_debit) VALUES (1, 5, false, false)`,
      'refused',
    ],
    [
      'add a block that does not follow',
      `INSERT INTO ledger.block VALUES (0, 50, decode(repeat('00', 32), 'hex'), decode(repeat('01', 32), 'hex'), 0, 0, 0, now())`,
      'refused',
    ],
    ['point the head elsewhere', 'UPDATE ledger.shard SET head_seq = head_seq - 1', 'refused'],
    [
      'use a key twice',
      `INSERT INTO ledger.unit SELECT key, body_hash, refusal, shard, ${nextBlock}, 0, 0, 0 FROM ledger.unit LIMIT 1`,
      'duplicate',
    ],
    [
      'post to a network for a date that is closed',
      `${posting(99, nextBlock).replace('now(), 0', `'2026-11-20T20:59:59Z', 0`)}; ${entriesOn('settlement:knet:KWD')}`,
      'refused',
    ],
    [
      'open an account of a date that is closed',
      `INSERT INTO ledger.account SELECT 999, 'net:knet:2026-11-20:USD', 'USD', 'debit', 'none', 0, head_seq + 1 FROM ledger.shard`,
      'refused',
    ],
    [
      'touch an account that is closed',
      `UPDATE ledger.balance SET version = version + 1 WHERE closed`,
      'refused',
    ],
    ['open an account again', `UPDATE ledger.balance SET closed = false WHERE closed`, 'refused'],
    ['open a period again', `UPDATE ledger.period SET through = '2026-11-19'`, 'refused'],
    [
      'close a period without a posting',
      `UPDATE ledger.period SET through = '2026-11-22', open_from = ledger.end_of('2026-11-22')`,
      'refused',
    ],
    [
      'close a period that has an open account',
      `${periodPosting('2026-11-21')};
       UPDATE ledger.period SET through = '2026-11-21', open_from = ledger.end_of('2026-11-21'), posting_id = 99`,
      'refused',
    ],
    [
      'close a period at another time than its end',
      `INSERT INTO ledger.period VALUES (0, 'visa', '2026-11-21', '2026-11-21T00:00:00Z', 1)`,
      'check',
    ],
    ['turn the triggers off', 'ALTER TABLE ledger.entry DISABLE TRIGGER ALL', 'denied'],
    ['turn all triggers off', 'SET session_replication_role = replica', 'denied'],
  ])('cannot %s', async (_, statement, fault) => {
    expect(await attempt(writer, statement)).toBe(fault)
  })

  test('can add entries of two postings that are right', async () => {
    const right = `${posting(98, nextBlock)}; ${posting(99, nextBlock)}; ${entriesOfTwo(98, 99)}`
    expect(await attempt(writer, right)).toBe('done')
  })

  test('can do what the ones above would do if they were right', async () => {
    expect(await attempt(writer, `${posting(99, nextBlock)}; ${entries(99, 100, -100)}`)).toBe('done')
    const open = posting(99, nextBlock).replace('now(), 0', `'2026-11-20T21:00:00Z', 0`)
    expect(await attempt(writer, `${open}; ${entriesOn('settlement:knet:KWD')}`)).toBe('done')
    const earlier = `'2026-11-20T20:59:59Z', 0`
    const elsewhere = posting(99, nextBlock).replace('now(), 0', earlier)
    expect(await attempt(writer, `${elsewhere}; ${entriesOn('merchant:1')}`)).toBe('done')
    expect(
      await attempt(
        writer,
        `${periodPosting('2026-11-21').replace('knet', 'visa')};
         INSERT INTO ledger.period VALUES (0, 'visa', '2026-11-21', ledger.end_of('2026-11-21'), 99)`,
      ),
    ).toBe('done')
  })
})

test.each([...logs, ...projections])(
  'even the owner cannot delete from or empty ledger.%s',
  async (table) => {
    expect(await attempt(owner, `DELETE FROM ledger.${table}`)).toBe('refused')
    expect(await attempt(owner, `TRUNCATE ledger.${table} CASCADE`)).toBe('refused')
  },
)

test('the reader reads everything and writes nothing', async () => {
  for (const table of [...logs, ...projections]) {
    expect(await attempt(reader, `SELECT FROM ledger.${table}`)).toBe('done')
    expect(await attempt(reader, `INSERT INTO ledger.${table} SELECT * FROM ledger.${table}`)).toBe('denied')
    expect(
      await attempt(reader, `UPDATE ledger.${table} SET ${table === 'currency' ? 'exponent' : 'shard'} = 0`),
    ).toMatch(/denied|badStatement/)
  }
})

test('a server that may forget what it acknowledged is refused', async () => {
  const url = new URL(world.url)
  url.searchParams.set('options', '-c synchronous_commit=off')
  await expect(world.open({ databaseUrl: url.toString() })).rejects.toMatchObject({ fault: 'notDurable' })
})

test('books that were never made cannot be opened', async () => {
  const url = new URL(world.url)
  url.pathname = '/postgres'
  const ledger = await world.open({ databaseUrl: url.toString() }).catch((error: unknown) => faultOf(error))
  expect(typeof ledger === 'string' ? ledger : 'opened').toBe('badStatement')
})

test('migrating twice changes nothing', async () => {
  const { migrateLedger } = await import('../../ledger/ledger.ts')
  const before = await countOf(world, 'ledger.migration')
  await migrateLedger(world.url)
  expect(await countOf(world, 'ledger.migration')).toBe(before)
  expect(await ownedBy(world, 'merchant:1')).toBe(100n)
})
