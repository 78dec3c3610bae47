import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import type { MatchItem } from '../../switch/matching.ts'
import { databaseMetrics } from '../../switch/ports/metrics-status.ts'
import { overdueUnmatched } from '../../switch/ports/postgres-matching.ts'
import {
  closeUnmatched,
  datedItems,
  explainUnmatched,
  journalTotals,
  keepMatch,
  keptMax,
  matchDate,
  matchRuns,
  ownBooks,
  unmatchedHistory,
  unmatchedItems,
} from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool
const [before, date, after] = ['2026-11-21', '2026-11-22', '2026-11-23']

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 2 })
  for (const [index, day] of [before, date, after].entries())
    await pool.query(
      `INSERT INTO switch.business_day (destination, number, date, cause, who, described, began_at)
        VALUES ('knet', $1, $2, 'start', 'node', '', $2::date)`,
      [index + 1, day],
    )
}, 60_000)

afterAll(async () => {
  await pool.end()
  await database.close()
})

beforeEach(async () => {
  await pool.query(`SET session_replication_role = replica;
    TRUNCATE switch.leg, switch.transaction, switch.unmatched, switch.unmatched_event, switch.match_run, switch.reconciliation;
    SET session_replication_role = DEFAULT`)
})

/** A purchase of 12.500 that the network approved. */
async function bought(rrn: string, on = date): Promise<void> {
  await pool.query(
    `WITH t AS (
       INSERT INTO switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date, received_at,
          approvable_until, rrn, terminal_id, kind, amount_minor, currency, request, response_code, delivery, reversal, advice)
        VALUES (gen_random_uuid(), 3, 'approved', 'a', $1, 'f', 'n', $2, now(), now(), $1, 'X0000001', 'purchase', 12500, 'KWD',
          '{}', '00', 'none', 'none', 'none') RETURNING id)
     INSERT INTO switch.leg (id, transaction_id, destination, acquirer_id, stan, transmitted_at, state, response_code)
      SELECT gen_random_uuid(), id, 'knet', '1', '000001', '1122000000', 'answered', '00' FROM t`,
    [rrn, on],
  )
}

function theirs(rrn: string, change: Partial<MatchItem> = {}): MatchItem {
  return {
    ...{ type: 'debit', isReversal: false, rrn, terminal: 'X0000001', currency: 'KWD', minor: 12_500n, date },
    ...change,
  }
}

/** One morning: the statement of a date against ours, and what is open afterwards. */
async function matched(statement: readonly MatchItem[], of = date, agrees = false): Promise<string[]> {
  const day = { destination: 'knet', date: of, approvals: ['00'] }
  const ours = await datedItems(pool, day)
  const report = await matchDate(pool, day, { ours, theirs: statement })
  const kept = { destination: 'knet', date: of, sha256: 'a'.repeat(64), who: 'match' }
  expect(await keepMatch(pool, { ...kept, agrees, report })).toBe('kept')
  return open()
}

async function open(): Promise<string[]> {
  return (await unmatchedItems(pool, { live: true })).map(
    ({ rrn, state, status }) => `${rrn} ${state}${status === 'open' ? '' : ` ${status}`}`,
  )
}

async function statusOf(rrn: string): Promise<string[]> {
  const all = await unmatchedItems(pool, { live: false })
  return all.filter((item) => item.rrn === rrn).map(({ state, status }) => `${state} ${status}`)
}

describe('what a match leaves', () => {
  test('is open until a later match of the date finds it: each state by its own name', async () => {
    for (const rrn of ['1', '2', '3', '4', '5']) await bought(rrn)
    const wrong = [
      theirs('2', { minor: 1n }),
      theirs('3', { date: after }),
      theirs('4'),
      theirs('4'),
      theirs('5'),
    ]
    expect(await matched([...wrong, theirs('6')])).toEqual([
      '1 oursOnly',
      '2 amountDiffers',
      '4 duplicated',
      '6 theirsOnly',
    ])
    // Both have it: it counts on another date there, and nobody need look.
    expect(await statusOf('3')).toEqual(['dateDiffers gone'])
    const right = ['1', '2', '3', '4', '5'].map((rrn) => theirs(rrn))
    expect(await matched(right)).toEqual([])
    expect(await statusOf('1')).toEqual(['oursOnly gone'])
    expect((await matchRuns(pool)).map((run) => run.date)).toEqual([date])
  })

  test('is the same item when it is found again, as old as at first, and open again when it comes back', async () => {
    await bought('1')
    await matched([])
    const [first] = await unmatchedItems(pool, { live: true })
    await matched([])
    const [again] = await unmatchedItems(pool, { live: true })
    expect(again).toMatchObject({ id: first!.id, firstSeen: first!.firstSeen })
    expect(again!.lastSeen.getTime()).toBeGreaterThan(first!.lastSeen.getTime())
    await matched([theirs('1')])
    expect(await matched([])).toEqual(['1 oursOnly'])
    const events = await unmatchedHistory(pool, first!.id)
    expect(events.map(({ status }) => status)).toEqual(['open', 'gone', 'open'])
  })

  test('has nothing that moves no money', async () => {
    expect(await matched([theirs('1', { type: 'inquiry' }), theirs('2', { type: 'authorization' })])).toEqual(
      [],
    )
  })
})

describe('an item counted on the next date by the network', () => {
  test('is ours only in the evening, and gone with the statement of the next date', async () => {
    await bought('1')
    expect(await matched([])).toEqual(['1 oursOnly'])
    expect(await matched([theirs('1', { date: after })], after)).toEqual([])
    expect(await statusOf('1')).toEqual(['dateDiffers gone'])
    // The first date once more: it is known where the other half is.
    expect(await matched([])).toEqual([])
    expect(await statusOf('1')).toEqual(['dateDiffers gone'])
  })

  test('or by us, is gone as well', async () => {
    expect(await matched([theirs('1')])).toEqual(['1 theirsOnly'])
    await bought('1', after)
    expect(await matched([], after)).toEqual([])
    expect(await statusOf('1')).toEqual(['dateDiffers gone'])
  })

  test('whose own date was never matched, is met there already when it is', async () => {
    await bought('1', after)
    expect(await matched([theirs('1')])).toEqual([])
    expect(await matched([], after)).toEqual([])
    expect(await statusOf('1')).toEqual(['dateDiffers gone'])
  })

  test('and matched on its own date before, is there twice', async () => {
    await bought('1', before)
    expect(await matched([theirs('1', { date: before })], before)).toEqual([])
    expect(await matched([theirs('1')])).toEqual(['1 duplicated'])
  })
})

describe('people', () => {
  test('explain it and others close it, each act on record; what is closed stays so while it is the same', async () => {
    await bought('1')
    await matched([])
    const [item] = await unmatchedItems(pool, { live: true })
    const id = item!.id
    const word = { id, who: 'ali', why: 'their file was cut' }
    expect(await closeUnmatched(pool, word)).toBe('unexplained')
    expect(await explainUnmatched(pool, word)).toBe('done')
    expect(await open()).toEqual(['1 oursOnly explained'])
    expect(await matched([])).toEqual(['1 oursOnly explained'])
    expect(await closeUnmatched(pool, { ...word, who: 'Ali' })).toBe('samePerson')
    expect(await closeUnmatched(pool, { id, who: 'bob', why: 'paid with the next file' })).toBe('done')
    expect(await explainUnmatched(pool, word)).toBe('over')
    expect(await explainUnmatched(pool, { ...word, id: '999999' })).toBe('unknown')
    expect(await matched([])).toEqual([])
    expect((await unmatchedHistory(pool, id)).map(({ status, who }) => `${status} ${who}`)).toEqual([
      'open match',
      'explained ali',
      'closed bob',
    ])
    // It is another difference now, and that is explained by nobody.
    expect(await matched([theirs('1', { minor: 3n })])).toEqual(['1 amountDiffers'])
  })

  test('may not write a card number into a reason', async () => {
    await bought('1')
    await matched([])
    const [item] = await unmatchedItems(pool, { live: true })
    const word = { id: item!.id, who: 'ali', why: 'card 8888 8800 0000 0001' }
    await expect(explainUnmatched(pool, word)).rejects.toThrow('twelve digits')
    await expect(
      pool.query('SELECT switch.explain_unmatched($1, $2, $3)', [word.id, word.who, word.why]),
    ).rejects.toThrow()
    expect(await open()).toEqual(['1 oursOnly'])
  })
})

test('what nobody explains pages when it is old enough, once by all nodes, and again after as long', async () => {
  await bought('1')
  await bought('2')
  await matched([])
  const hourMs = 3_600_000
  expect(await overdueUnmatched(pool, hourMs)).toEqual([])
  await pool.query(`UPDATE switch.unmatched SET first_seen = now() - interval '90 min'`)
  const nodes = await Promise.all([overdueUnmatched(pool, hourMs), overdueUnmatched(pool, hourMs)])
  expect(nodes.flat()).toEqual([{ destination: 'knet', count: 2 }])
  expect(await overdueUnmatched(pool, hourMs)).toEqual([])
  await pool.query(`UPDATE switch.unmatched SET alarmed_at = now() - interval '61 min'`)
  const [first] = await unmatchedItems(pool, { live: true })
  await explainUnmatched(pool, { id: first!.id, who: 'ali', why: 'known' })
  expect(await overdueUnmatched(pool, hourMs)).toEqual([{ destination: 'knet', count: 1 }])
})

test('how many are unexplained and since when is measured for each destination', async () => {
  await bought('1')
  await matched([])
  await pool.query(`UPDATE switch.unmatched SET first_seen = now() - interval '90 min'`)
  const registry = new Registry()
  databaseMetrics(registry, pool)
  const text = await registry.metrics()
  expect(text).toContain('switch_recon_unexplained{destination="knet"} 1')
  expect(Number(/switch_recon_oldest_seconds\{destination="knet"\} (\S+)/.exec(text)?.[1])).toBeGreaterThan(
    5_399,
  )
})

test('totals that a network does not agree to are a case, which is gone when all of the date matches', async () => {
  const balance = async (word: string): Promise<void> => {
    await pool.query(
      `WITH kept AS (INSERT INTO switch.reconciliation (obligation_id, destination, date, currency, totals)
         VALUES (gen_random_uuid(), 'knet', $1, $2, '{}') RETURNING 1) SELECT FROM kept`,
      [date, word === 'in' ? 'USD' : 'KWD'],
    )
    await pool.query(`UPDATE switch.reconciliation SET balance = $1 WHERE balance IS NULL`, [word])
  }
  await balance('in')
  expect(await open()).toEqual([])
  await balance('out')
  expect(await open()).toEqual(['null outOfBalance'])
  await bought('1')
  expect(await matched([])).toEqual(['null outOfBalance', '1 oursOnly'])
  expect(await matched([theirs('1')], date, true)).toEqual([])
})

test('a file of nothing that we know is not kept: it would bury what is in the queue', async () => {
  const stranger = { type: 'debit', isReversal: false, terminal: 'X0000001' } as const
  const said = { currency: 'KWD', minor: 1n, date }
  const differing = Array.from({ length: keptMax + 1 }, (_, number) => ({
    ...{ ...stranger, state: 'theirsOnly' as const, rrn: String(number), theirs: said },
  }))
  const report = { counts: [], differing, cameAndWent: 0 }
  const found = { destination: 'knet', date, sha256: 'a'.repeat(64), who: 'match', agrees: false, report }
  expect(await keepMatch(pool, found)).toBe('tooMany')
  expect(await matchRuns(pool)).toEqual([])
  expect(await open()).toEqual([])
})

test('a transaction that the ledger or its source does not have as the journal does is named', async () => {
  for (const rrn of ['1', '2']) await bought(rrn)
  await pool.query(`UPDATE switch.transaction SET state = 'declined' WHERE rrn = '2'`)
  const day = { destination: 'knet', date, approvals: ['00'] }
  const books = await ownBooks(pool, day, journalTotals(await datedItems(pool, day)))
  const differing = { currency: 'KWD', journalMinor: 12_500n, otherMinor: 0n }
  expect(books).toMatchObject({
    ledger: [],
    ledgerDiffers: [
      { rrn: '1', ...differing },
      { rrn: '2', ...differing },
    ],
    sources: [{ source: 'a', currency: 'KWD', minor: 12_500n, transactions: 2, otherDates: 0 }],
    sourcesDiffer: [{ rrn: '2', ...differing }],
  })
})

test('nothing of the queue is deleted, and only its functions write to it', async () => {
  await bought('1')
  await matched([])
  await expect(pool.query('DELETE FROM switch.unmatched')).rejects.toThrow('refused')
  await expect(pool.query('DELETE FROM switch.unmatched_event')).rejects.toThrow('refused')
  await expect(
    pool.query(`SET LOCAL ROLE ledger_writer; UPDATE switch.unmatched SET status = 'closed'`),
  ).rejects.toThrow('permission denied')
})
