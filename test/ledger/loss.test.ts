import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep, systemClock } from '../../kernel/clock.ts'
import type { Ledger, LedgerOptions, Unit, UnitOutcome } from '../../ledger/ledger.ts'
import { openCuttingProxy } from './proxy.ts'
import type { Cut, CuttingProxy } from './proxy.ts'
import { countOf, openWorld, ownedBy, transfer, unit } from './world.ts'
import type { World } from './world.ts'

let world: World
let proxy: CuttingProxy
let ledger: Ledger

beforeAll(async () => {
  world = await openWorld()
  proxy = await openCuttingProxy(world.url)
  ledger = await openPatiently({ databaseUrl: proxy.url, statementDeadlineMs: 500 })
})

/** What has so short a deadline may not even connect in time. */
async function openPatiently(options: Partial<LedgerOptions>): Promise<Ledger> {
  for (let tries = 0; ; tries++) {
    try {
      return await world.open(options)
    } catch (error) {
      if (tries === 40) throw error
    }
  }
}

afterAll(async () => {
  await world.close()
  await proxy.close()
})

/** A busy machine is slow, not wrong. */
const patience = { timeout: 20_000 }

function sales(count: number): Unit[] {
  return Array.from({ length: count }, () => unit(transfer('bank', 'merchant:1', 1n)))
}

function commitAll(units: readonly Unit[]): Promise<UnitOutcome[]> {
  return Promise.all(units.map((each) => ledger.commit(each)))
}

describe.each<Cut>(['beforeLoad', 'beforeWrite', 'beforeCommit', 'afterCommit', 'silentAtCommit'])(
  'a connection that breaks %s',
  (cut) => {
    test.each([1, 60])('costs none of %i units, and doubles none', async (count) => {
      const before = await ownedBy(world, 'merchant:1')
      const cutsBefore = proxy.cuts
      proxy.arm(cut, 2)
      const units = sales(count)
      expect(await commitAll(units)).toEqual(units.map(() => ({ kind: 'committed' })))
      // After a commit that took effect the next try finds the record, and has nothing to commit.
      expect(proxy.cuts).toBe(cutsBefore + (cut === 'afterCommit' ? 1 : 2))
      expect(await ownedBy(world, 'merchant:1')).toBe(before + BigInt(count))
      // Asked again, each gives the answer it gave, and nothing moves.
      expect(await commitAll(units)).toEqual(units.map(() => ({ kind: 'committed' })))
      expect(await ownedBy(world, 'merchant:1')).toBe(before + BigInt(count))
    })
  },
)

test('a commit that cannot be found out about in time is unknown, and is told apart by its key later', async () => {
  const impatient = await world.open({ databaseUrl: proxy.url, outcomeDeadlineMs: 50 })
  const [sale] = sales(1)
  proxy.arm('afterCommit', 1)
  const cutsBefore = proxy.cuts
  const slow = impatient.commit(sale!)
  while (proxy.cuts === cutsBefore) await sleep(systemClock, 1)
  // Every further connection is cut before it can look, until the time is up.
  proxy.arm('beforeLoad', 1_000)
  expect(await slow).toEqual({ kind: 'unknown' })
  proxy.arm('beforeLoad', 0)
  const before = await ownedBy(world, 'merchant:1')
  // By whoever has more time.
  expect(await ledger.commit(sale!)).toEqual({ kind: 'committed' })
  expect(await ownedBy(world, 'merchant:1')).toBe(before)
})

test('while no commit was ever sent, a unit that runs out of time is refused as unavailable', async () => {
  const impatient = await world.open({ databaseUrl: proxy.url, outcomeDeadlineMs: 300 })
  const before = await countOf(world, 'ledger.unit')
  proxy.arm('beforeLoad', 1_000)
  const outcomes = await Promise.all(sales(3).map((sale) => impatient.commit(sale)))
  proxy.arm('beforeLoad', 0)
  expect(outcomes).toEqual(Array.from({ length: 3 }, () => ({ kind: 'refused', reason: 'unavailable' })))
  expect(await countOf(world, 'ledger.unit')).toBe(before)
})

test('backends that are terminated in the middle of their work lose nothing and double nothing', async () => {
  const before = await ownedBy(world, 'merchant:1')
  let sent = 0
  let terminated = 0
  const writing = (async () => {
    while (terminated < 20) {
      sent += 20
      expect(await commitAll(sales(20))).toEqual(Array.from({ length: 20 }, () => ({ kind: 'committed' })))
    }
  })()
  while (terminated < 20) {
    await sleep(systemClock, 50 + ((terminated * 37) % 100))
    const { rowCount } = await world.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'mafraq-ledger' AND datname = current_database() AND state <> 'idle'`,
    )
    terminated += rowCount ?? 0
  }
  await writing
  expect(await ownedBy(world, 'merchant:1')).toBe(before + BigInt(sent))
})

test('a statement that waits behind a lock is cancelled, and the unit goes through once the lock is gone', async () => {
  await world.admin.query('BEGIN')
  await world.admin.query('SELECT FROM ledger.shard FOR UPDATE')
  const [sale] = sales(1)
  const waiting = ledger.commit(sale!)
  await expect
    .poll(() => world.logged.some(({ facts }) => 'fault' in facts && facts.fault === 'cancelled'), patience)
    .toBe(true)
  await world.admin.query('ROLLBACK')
  expect(await waiting).toEqual({ kind: 'committed' })
})

test('a connection that is lost while nobody writes is made again before anybody does', async () => {
  expect(ledger.status().state).toBe('up')
  const terminated = await world.admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'mafraq-ledger' AND datname = current_database()`,
  )
  expect(terminated.rowCount).toBeGreaterThan(0)
  const backends = async (): Promise<number> => {
    const { rowCount } = await world.admin.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'mafraq-ledger' AND datname = current_database()
          AND state = 'idle'`,
    )
    return rowCount ?? 0
  }
  await expect.poll(backends, patience).toBe(terminated.rowCount)
  await expect.poll(() => ledger.status().state, patience).toBe('up')
  const [sale] = sales(1)
  expect(await ledger.commit(sale!)).toEqual({ kind: 'committed' })
})
