import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { type Ledger, openLedger } from '../../ledger/ledger.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import { Leases, type LeaseStore, usualLeaseTimes } from '../../switch/leases.ts'
import { postgresLeases } from '../../switch/ports/postgres-leases.ts'
import { journalRows } from '../../switch/switch.ts'
import { ManualClock } from '../support/manual-clock.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool
let ledger: Ledger
let store: LeaseStore

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 4 })
  const log = { warn: () => undefined, error: () => undefined }
  ledger = await openLedger({ databaseUrl: database.url, rowKinds: journalRows, log })
  store = postgresLeases(pool)
}, 60_000)

afterAll(async () => {
  await ledger.close()
  await pool.end()
  await database.close()
})

const take = (name: string, holder: string, more: { forMs?: number; anyway?: boolean } = {}) =>
  store.take({ name, holder, forMs: 60_000, graceMs: 0, anyway: false, ...more })

test('a lease is held by one, and given to the next when it is over, returned, or taken anyway', async () => {
  const first = (await take('line:a', 'one', { forMs: 1 }))!
  await new Promise((resolve) => setTimeout(resolve, 20))
  const second = (await take('line:a', 'two'))!
  expect(second > first).toBe(true)
  expect(await take('line:a', 'one')).toBeUndefined()
  expect(await store.renew({ name: 'line:a', token: first, forMs: 60_000 })).toBe(false)
  expect(await store.renew({ name: 'line:a', token: second, forMs: 60_000 })).toBe(true)
  await store.release({ name: 'line:a', token: first })
  expect(await take('line:a', 'one')).toBeUndefined()
  await store.release({ name: 'line:a', token: second })
  const third = (await take('line:a', 'one'))!
  expect(third > second).toBe(true)
  expect((await take('line:a', 'two', { anyway: true }))! > third).toBe(true)
})

test('of many that ask at once for a lease that is over, one gets it', async () => {
  await take('line:b', 'before', { forMs: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  const got = await Promise.all(Array.from({ length: 8 }, (_, index) => take('line:b', `n${index}`)))
  expect(got.filter((token) => token !== undefined)).toHaveLength(1)
})

test('A2n: what a node writes under a number that another has taken is refused, whatever it is', async () => {
  const token = (await take('node:n1', 'n1'))!
  const write = (sequence: number) =>
    ledger.commit({
      key: `event-${sequence}`,
      commands: [],
      rows: [
        {
          kind: 'switch.event',
          values: [
            ...[
              '0198c000-0000-7000-8000-000000000001',
              sequence,
              'request',
              0n,
              'n1',
              '2026-11-22',
              'test',
              '{}',
            ],
            ...['node:n1', token],
          ],
        },
      ],
    })
  expect(await write(1)).toMatchObject({ kind: 'committed' })
  await take('node:n1', 'n2', { anyway: true })
  expect(await write(2)).toMatchObject({ kind: 'refused', reason: 'ousted' })
  // One that was decided on the strength of what the writer knew, and one that was looked up.
  expect(await Promise.all([write(3), write(4)])).toMatchObject([{ reason: 'ousted' }, { reason: 'ousted' }])
  const { rows } = await pool.query(`SELECT sequence FROM switch.event WHERE node = 'n1'`)
  expect(rows).toEqual([{ sequence: 1 }])
})

/** Nodes that share leases in memory, on a clock that the test moves; each can be cut off from them. */
function nodes() {
  const clock = new ManualClock()
  const held = new Map<string, { holder: string; token: bigint; expiresAt: number }>()
  const alarms: string[] = []
  const node = (name: string) => {
    const state = {
      away: false,
      ousted: false,
      until: Number.NEGATIVE_INFINITY,
      takenUp: [] as string[],
      takesUp: (): Promise<void> => Promise.resolve(),
    }
    const reach = () => (state.away ? Promise.reject(new JournalUnavailable()) : Promise.resolve())
    const memory: LeaseStore = {
      async take({ name: lease, holder, forMs, graceMs, anyway }) {
        await reach()
        const before = held.get(lease)
        if (before !== undefined && !anyway && before.expiresAt + graceMs >= clock.monotonicMs())
          return undefined
        const token = (before?.token ?? 0n) + 1n
        held.set(lease, { holder, token, expiresAt: clock.monotonicMs() + forMs })
        return token
      },
      async renew({ name: lease, token, forMs }) {
        await reach()
        const before = held.get(lease)
        if (before?.token !== token) return false
        held.set(lease, { ...before, expiresAt: clock.monotonicMs() + forMs })
        return true
      },
      async release({ name: lease, token }) {
        await reach()
        const before = held.get(lease)
        if (before?.token === token) held.set(lease, { ...before, expiresAt: Number.NEGATIVE_INFINITY })
      },
      async deadNodes({ graceMs }) {
        await reach()
        return [...held]
          .filter(([lease, { expiresAt }]) => {
            return lease.startsWith('node:') && expiresAt + graceMs < clock.monotonicMs()
          })
          .map(([lease]) => lease.slice('node:'.length))
      },
    }
    const leases = new Leases({
      node: name,
      clock,
      store: memory,
      lines: [{ name: 'visa', grant: (until) => void (state.until = until) }],
      times: usualLeaseTimes,
      observer: { alarm: (what, subject) => void alarms.push(`${what}: ${subject}`) },
      async takeUp(dead) {
        await state.takesUp()
        state.takenUp.push(dead)
      },
      onOusted: () => void (state.ousted = true),
    })
    return { leases, state, holds: () => state.until > clock.monotonicMs() }
  }
  return { clock, node, alarms }
}

test('F46: a node that is cut off closes its line before anybody else may open it, and another follows within 15 s', async () => {
  const { clock, node } = nodes()
  const [one, two] = [node('one'), node('two')]
  for (const { leases } of [one, two]) {
    await leases.open()
    leases.start()
    await clock.pass(10, 5)
  }
  await clock.pass(20_000, 100)
  expect([one.holds(), two.holds()]).toEqual([true, false])
  one.state.away = true
  const cutOffAt = clock.monotonicMs()
  let closedAt = 0
  while (!two.holds()) {
    await clock.pass(100)
    if (closedAt === 0 && !one.holds()) closedAt = clock.monotonicMs()
    expect(one.holds() && two.holds()).toBe(false)
    expect(clock.monotonicMs() - cutOffAt).toBeLessThan(15_000)
  }
  expect(closedAt).toBeGreaterThan(0)
  expect(closedAt).toBeLessThan(clock.monotonicMs())
  await vi.waitFor(async () => {
    await clock.pass(100)
    expect(two.state.takenUp).toEqual(['one'])
  })
  one.state.away = false
  await clock.pass(4_000, 100)
  expect(one.state.ousted).toBe(true)
  await clock.pass(60_000, 500)
  expect([one.holds(), two.holds()]).toEqual([false, true])
})

test('while the database is away for all, nobody is ousted, lines close, and all goes on afterwards', async () => {
  const { clock, node, alarms } = nodes()
  const [one, two] = [node('one'), node('two')]
  for (const { leases } of [one, two]) {
    await leases.open()
    leases.start()
    await clock.pass(10, 5)
  }
  one.state.away = two.state.away = true
  await clock.pass(30_000, 100)
  expect([one.holds(), two.holds()]).toEqual([false, false])
  one.state.away = two.state.away = false
  await clock.pass(5_000, 100)
  expect([one.state.ousted, two.state.ousted]).toEqual([false, false])
  expect([one.holds(), two.holds()]).toEqual([true, false])
  expect(alarms).toEqual([])
})

test('a node that ends in order gives its line away at once, and nobody takes up what it did not leave', async () => {
  const { clock, node } = nodes()
  const [one, two] = [node('one'), node('two')]
  for (const { leases } of [one, two]) {
    await leases.open()
    leases.start()
    await clock.pass(10, 5)
  }
  await one.leases.stop()
  await clock.pass(3_100, 100)
  expect(two.holds()).toBe(true)
  await clock.pass(60_000, 500)
  expect(two.state.takenUp).toEqual([])
})

test('what a dead node left is taken up by somebody, also when that takes long or is cut short, and nobody is ousted over it', async () => {
  const { clock, node } = nodes()
  const [one, two, three] = [node('one'), node('two'), node('three')]
  for (const { leases } of [one, two, three]) {
    await leases.open()
    leases.start()
    await clock.pass(10, 5)
  }
  const long = Promise.withResolvers<undefined>()
  two.state.takesUp = three.state.takesUp = () => long.promise
  one.state.away = true
  await clock.pass(60_000, 100)
  expect([two.state.ousted, three.state.ousted]).toEqual([false, false])
  expect([two.holds(), three.holds()].filter(Boolean)).toHaveLength(1)
  two.state.takesUp = three.state.takesUp = () => Promise.resolve()
  long.reject(new JournalUnavailable())
  await clock.pass(30_000, 100)
  expect([...two.state.takenUp, ...three.state.takenUp]).toEqual(['one'])
  await clock.pass(60_000, 500)
  expect([...two.state.takenUp, ...three.state.takenUp]).toEqual(['one'])
})
