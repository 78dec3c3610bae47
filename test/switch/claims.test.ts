import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Claimed, ClaimQuery, Journal } from '../../switch/journal.ts'
import { claimStatement } from '../../switch/ports/claims.ts'
import { postgresJournal } from '../../switch/ports/postgres-journal.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool
let journal: Journal

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 4 })
}, 60_000)

afterAll(async () => {
  await pool.end()
  await database.close()
})

beforeEach(async () => {
  await pool.query(`SET session_replication_role = replica;
    TRUNCATE switch.obligation, switch.turn RESTART IDENTITY; TRUNCATE switch.transaction;
    SET session_replication_role = DEFAULT`)
  // Only commits go through the ledger.
  journal = postgresJournal({} as Ledger, pool, () => 4)
})

interface Owed {
  readonly name: string
  readonly card?: number
  readonly of?: string
  readonly state?: string
  readonly kind?: string
  readonly dueInMs?: number
  readonly sinceMs?: number
}

/** Owes it all, in this order. What is of the same transaction is of the same card. */
async function owe(...owed: readonly Owed[]): Promise<void> {
  for (const {
    name,
    card = 1,
    of = name,
    state = 'due',
    kind = 'reversal',
    dueInMs = 0,
    sinceMs = 0,
  } of owed) {
    const transaction = `md5('${of}')::uuid`
    await pool.query(`
      INSERT INTO switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date, received_at,
          approvable_until, delivery, reversal, advice)
        VALUES (${transaction}, 1, 'unknown', 'a', '${of}', '', 'n', '2026-11-22', now(), now(), 'none', 'owed', 'none')
        ON CONFLICT DO NOTHING`)
    const advice = kind === 'reconciliation' ? `'${totals}'` : 'NULL'
    await pool.query(`
      INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, state, advice, card, lane, next_at, due_at)
        VALUES (gen_random_uuid(), '${kind}', '${name}', ${transaction}, 'knet', 'timeout', '${state}', ${advice}, ${card}, ${card % 4},
          clock_timestamp() + ${dueInMs} * interval '1 ms', clock_timestamp() - ${sinceMs} * interval '1 ms')`)
  }
}

const totals = JSON.stringify({ date: '2026-11-22', currency: 'KWD', totals: {} })

const query: ClaimQuery = { destination: 'knet', lanes: 4, order: 'card', limit: 16, leaseMs: 5_000 }

async function claim(wanted: Partial<ClaimQuery> = {}): Promise<readonly [string[], Claimed[]]> {
  const claimed = await journal.claim({ ...query, ...wanted })
  const { rows } = await pool.query<{ key: string; id: string }>('SELECT id, key FROM switch.obligation')
  const keyOf = new Map(rows.map(({ id, key }) => [id, key]))
  return [claimed.map(({ id }) => keyOf.get(id)!).sort(), claimed]
}

async function end(one: Claimed | undefined, state = 'acknowledged'): Promise<void> {
  await pool.query('UPDATE switch.obligation SET state = $2, lease_until = NULL WHERE id = $1', [
    one!.id,
    state,
  ])
}

const later = { delayMs: 60_000, cause: '96', kind: 'refused' } as const

describe('what may be delivered now', () => {
  test('is one message a lane, and the next of the lane once that has ended', async () => {
    await owe({ name: 'a', card: 1 }, { name: 'b', card: 5 }, { name: 'c', card: 2 })
    const [first, claimed] = await claim()
    expect(first).toEqual(['a', 'c'])
    expect((await claim())[0]).toEqual([])
    await end(claimed.find((one) => one.kind !== 'reconciliation' && one.transaction.sourceKey === 'a'))
    expect((await claim())[0]).toEqual(['b'])
  })

  test('is in the order in which a card came to owe it, whatever became due when', async () => {
    await owe({ name: 'first', card: 1, dueInMs: 60_000 }, { name: 'second', card: 1 })
    expect((await claim())[0]).toEqual([])
  })

  test('of other cards passes what waits for its next attempt', async () => {
    await owe({ name: 'poison', card: 1 }, { name: 'behind it', card: 1 }, { name: 'neighbour', card: 5 })
    const [, [poison]] = await claim({ limit: 1 })
    await journal.postpone(poison!, later)
    expect((await claim())[0]).toEqual(['neighbour'])
  })

  test('is the first of all and nothing else where the destination wants strict order', async () => {
    const strict = { lanes: 1, order: 'strict' } as const
    await owe({ name: 'first', card: 1 }, { name: 'second', card: 2 })
    const [keys, [first]] = await claim(strict)
    expect(keys).toEqual(['first'])
    expect((await claim(strict))[0]).toEqual([])
    await journal.postpone(first!, later)
    expect((await claim(strict))[0]).toEqual([])
    await end(first, 'parked')
    expect((await claim(strict))[0]).toEqual(['second'])
  })

  test.each(['card', 'strict'] as const)(
    'F34: passes what is parked, but for the same transaction (%s)',
    async (order) => {
      await owe(
        { name: 'reversal', of: 'one', card: 1, state: 'parked' },
        { name: 'advice', of: 'one', card: 1, kind: 'advice' },
        { name: 'of the same card', card: 1 },
      )
      const [keys, [claimed]] = await claim({ order, lanes: order === 'strict' ? 1 : 4 })
      expect(keys).toEqual(['of the same card'])
      await end(claimed)
      expect((await claim({ order }))[0]).toEqual([])
    },
  )

  test('is a barrier when all before it is done, and what is behind it only then', async () => {
    await owe(
      { name: 'before', card: 1 },
      { name: 'held', of: 'h', card: 2, state: 'parked' },
      { name: 'held back', of: 'h', card: 2 },
      { name: 'barrier', card: 3, kind: 'reconciliation' },
      { name: 'behind', card: 6 },
    )
    const [first, [before]] = await claim()
    expect(first).toEqual(['before'])
    expect((await claim())[0]).toEqual([])
    await end(before)
    const [second, [barrier]] = await claim()
    expect(second).toEqual(['barrier'])
    expect((await claim())[0]).toEqual([])
    await end(barrier)
    expect((await claim())[0]).toEqual(['behind'])
  })

  test('is never taken twice, however many ask at once', async () => {
    await owe(...Array.from({ length: 40 }, (_, card) => ({ name: `n${card}`, card })))
    await journal.claim({ ...query, destination: 'other' })
    for (let round = 0; round < 10; round++) {
      const claimed = (await Promise.all([1, 2, 3, 4].map(() => journal.claim(query)))).flat()
      const lanes = await pool.query<{ lane: number }>(
        `SELECT lane FROM switch.obligation WHERE state = 'due' AND lease_until IS NOT NULL`,
      )
      expect(new Set(lanes.rows.map(({ lane }) => lane)).size).toBe(lanes.rows.length)
      expect(lanes.rows.length).toBe(claimed.length)
      expect(claimed.length).toBe(4)
      for (const one of claimed) await end(one)
    }
  })

  test('S8: is taken by another node once the lease is over, as a repeat under the same number', async () => {
    await owe({ name: 'a' })
    const [, [lost]] = await claim({ leaseMs: 1 })
    const identity = { stan: '000123', transmittedAt: '1122090000' }
    await journal.name([{ ...lost!, identity }])
    await new Promise((resolve) => setTimeout(resolve, 20))
    const [, [taken]] = await claim()
    expect(taken).toMatchObject({ attempts: 2, identity })
    expect(taken!.fence > lost!.fence).toBe(true)
    // Who lost it can't put it back.
    await journal.postpone(lost!, { ...later, delayMs: 0 })
    expect((await claim())[0]).toEqual([])
  })

  test('is named by who has the lease, and who lost it is told so before it sends', async () => {
    await owe({ name: 'a' }, { name: 'b', card: 2 })
    const [, claimed] = await claim({ leaseMs: 1 })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const [, [taken]] = await claim({ limit: 1 })
    const named = (one: Claimed, stan: string) => ({
      ...one,
      identity: { stan, transmittedAt: '1122090000' },
    })
    expect(await journal.name([named(taken!, '000200')])).toEqual(new Set([taken!.id]))
    const other = claimed.find(({ id }) => id !== taken!.id)!
    const late = claimed.map((one, index) => named(one, `00010${index}`))
    expect(await journal.name(late)).toEqual(new Set([other.id]))
    const { rows } = await pool.query<{ stan: string }>('SELECT stan FROM switch.obligation WHERE id = $1', [
      taken!.id,
    ])
    expect(rows).toEqual([{ stan: '000200' }])
  })

  test('counts an attempt that left, and a refusal that was one', async () => {
    await owe({ name: 'a' })
    const [, [one]] = await claim()
    await journal.postpone(one!, { delayMs: 0, cause: 'offline', kind: 'unsent' })
    const [, [two]] = await claim()
    expect(two).toMatchObject({ attempts: 1, refusals: 0 })
    await journal.postpone(two!, { delayMs: 0, cause: '96', kind: 'refused' })
    const [, [three]] = await claim()
    expect(three).toMatchObject({ attempts: 2, refusals: 1 })
    await journal.postpone(three!, { delayMs: 0, cause: 'deadline', kind: 'silent' })
    expect((await claim())[1][0]).toMatchObject({ attempts: 3, refusals: 1 })
  })

  test('is in the lanes that the destination has now', async () => {
    await owe({ name: 'a', card: 1 }, { name: 'b', card: 5 })
    expect((await claim({ lanes: 8 }))[0]).toEqual(['a', 'b'])
  })
})

test('what has waited for too long is counted once at each age', async () => {
  await owe(
    { name: 'a', sinceMs: 70_000 },
    { name: 'b', sinceMs: 700_000 },
    { name: 'c', sinceMs: 90_000_000 },
    { name: 'd', sinceMs: 80_000_000, state: 'acknowledged' },
    { name: 'e' },
  )
  expect(await journal.overdue()).toEqual([
    { destination: 'knet', age: '1 min', count: 1 },
    { destination: 'knet', age: '10 min', count: 1 },
    { destination: 'knet', age: '24 h', count: 1 },
  ])
  expect(await journal.overdue()).toEqual([])
})

test('F35: a claim looks at no more than a few rows while a hundred thousand are owed', async () => {
  await pool.query(`
    INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, card, lane, next_at)
      SELECT gen_random_uuid(), 'reversal', 'full ' || n, gen_random_uuid(), 'knet', 'timeout', n, n % 4,
        clock_timestamp() + CASE WHEN n % 2 = 0 THEN interval '1 min' ELSE interval '0' END
        FROM generate_series(1, 100000) n;
    INSERT INTO switch.turn (destination) VALUES ('knet');
    ANALYZE switch.obligation, switch.turn`)
  for (const order of ['card', 'strict'] as const) {
    const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${claimStatement(order)}`,
      ['knet', 4, 16, 1_000],
    )
    const { Plan: plan } = rows[0]!['QUERY PLAN'][0]
    expect(plan['Actual Rows']).toBeGreaterThan(0)
    expect(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!).toBeLessThan(400)
    await pool.query('UPDATE switch.obligation SET lease_until = NULL WHERE lease_until IS NOT NULL')
  }
}, 120_000)
