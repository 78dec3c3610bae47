import { createPool } from 'generic-pool'
import { describe, expect, test } from 'vitest'
import { type Credit, type CreditNeed, Credits } from '../../connectors/credits.ts'
import { ManualClock } from '../support/manual-clock.ts'

function world({ window = 6, reserve = 2 } = {}) {
  const clock = new ManualClock()
  const faults: unknown[] = []
  const credits = new Credits({ window, reserve, clock, onFault: (error) => faults.push(error) })
  const order: string[] = []
  /** Asks, and notes when it was served. */
  const ask = (need: CreditNeed, { waitMs = 500, name = need } = {}) => {
    const asking: { credit: Credit | undefined | 'waiting'; settled: Promise<Credit | undefined> } = {
      credit: 'waiting',
      settled: credits.acquire(need, waitMs),
    }
    void asking.settled.then((credit) => {
      asking.credit = credit
      if (credit !== undefined) order.push(name)
    })
    return asking
  }
  const take = async (need: CreditNeed, count: number): Promise<Credit[]> => {
    const taken = await Promise.all(Array.from({ length: count }, () => credits.acquire(need, 0)))
    return taken.map((credit) => credit!)
  }
  return { clock, credits, faults, ask, take, order }
}

test('live traffic has the window but for the reserve; reversals and advices have that as well', async () => {
  const { credits, take, ask, clock } = world()
  expect((await take('live', 4)).every((credit) => (credit as unknown) !== undefined)).toBe(true)
  const fifth = ask('live')
  await take('reversal', 1)
  await take('advice', 1)
  expect(credits.status).toEqual({ window: 6, borrowed: 6, waiting: 1 })
  await clock.pass(500)
  expect(fifth.credit).toBeUndefined()
})

test('reversals go before live traffic, and live traffic before advices, however long they have waited', async () => {
  const { take, ask, order } = world({ window: 3, reserve: 1 })
  const [first, second] = await take('live', 2)
  await take('reversal', 1)
  const asked = [ask('advice'), ask('live'), ask('reversal')]
  for (const credit of [first!, second!]) credit.release()
  const served = [await asked[2]!.settled, await asked[1]!.settled]
  served[0]!.release()
  await asked[0]!.settled
  expect(order).toEqual(['reversal', 'live', 'advice'])
})

test('a network’s window is never exceeded, whoever asks, waits, gives up and gives back', async () => {
  const { credits, clock, faults } = world({ window: 8, reserve: 2 })
  let [inFlight, most, served] = [0, 0, 0]
  const needs = ['live', 'reversal', 'advice', 'live', 'live'] as const
  const all = Array.from({ length: 400 }, async (_, index) => {
    await Promise.resolve()
    const credit = await credits.acquire(needs[index % needs.length]!, (index * 7) % 40)
    if (credit === undefined) return
    inFlight++
    served++
    most = Math.max(most, inFlight)
    for (let turn = 0; turn < index % 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    inFlight--
    credit.release()
    if (index % 3 === 0) credit.release()
  })
  const passing = clock.pass(60, 2)
  await Promise.all(all)
  await passing
  expect(most).toBeLessThanOrEqual(8)
  expect(served).toBeGreaterThan(8)
  expect(credits.status).toEqual({ window: 8, borrowed: 0, waiting: 0 })
  expect(faults).toEqual([])
})

describe('what generic-pool gets wrong is mended:', () => {
  test('its patience is one for all; here each caller has its own, and none more than a second', async () => {
    const { take, ask, clock } = world({ window: 1, reserve: 0 })
    await take('live', 1)
    const [hasty, patient] = [ask('live', { waitMs: 20 }), ask('reversal', { waitMs: 60_000 })]
    await clock.pass(20)
    expect([hasty.credit, patient.credit]).toEqual([undefined, 'waiting'])
    await clock.pass(980)
    expect(patient.credit).toBeUndefined()
  })

  test('it cannot be told that a caller has gone; here the late credit goes back, and on to the next', async () => {
    const { take, ask, clock, credits } = world({ window: 2, reserve: 0 })
    const [one, two] = await take('live', 2)
    const gone = ask('live', { waitMs: 10 })
    await clock.pass(10)
    expect(gone.credit).toBeUndefined()
    const next = ask('live')
    // The pool first serves who came first, and that is the one who has gone.
    one!.release()
    expect(await next.settled).toBeDefined()
    two!.release()
    await clock.pass(1)
    expect(gone.credit).toBeUndefined()
    expect(credits.status).toMatchObject({ borrowed: 1, waiting: 0 })
  })

  test('giving back twice would take the credit from its next borrower; here it takes from nobody', async () => {
    const { take, credits, faults } = world({ window: 1, reserve: 0 })
    const [first] = await take('live', 1)
    first!.release()
    const [second] = await take('live', 1)
    first!.release()
    expect(credits.status.borrowed).toBe(1)
    expect(await credits.acquire('live', 0)).toBeUndefined()
    second!.release()
    expect(faults).toEqual([])

    // What the library does by itself.
    const pool = createPool(
      { create: () => Promise.resolve({}), destroy: () => Promise.resolve() },
      { max: 1 },
    )
    const token = await pool.acquire()
    await pool.release(token)
    const lent = await pool.acquire()
    await pool.release(token)
    expect([pool.borrowed, lent]).toEqual([0, token])
  })

  test('beyond so many waiters it rejects; here that is an answer at once, not an error', async () => {
    const { take, ask, credits, clock } = world({ window: 3, reserve: 0 })
    await take('live', 3)
    const line = [1, 2, 3].map(() => ask('live'))
    expect(credits.full).toBe(true)
    expect(await credits.acquire('live', 500)).toBeUndefined()
    expect(line.every(({ credit }) => credit === 'waiting')).toBe(true)
    await clock.pass(500)
    expect(line.map(({ credit }) => credit)).toEqual([undefined, undefined, undefined])
  })

  test('its drain waits for every loan; here it ends, and says that something was still out', async () => {
    const { take, credits, clock } = world()
    const [kept, back] = await take('live', 2)
    const draining = credits.drain(1_000)
    back!.release()
    await clock.pass(1_000)
    expect(await draining).toBe(false)
    expect(await credits.acquire('live', 0)).toBeUndefined()
    kept!.release()

    const quiet = world()
    const [credit] = await quiet.take('live', 1)
    const drained = quiet.credits.drain(1_000)
    credit!.release()
    expect(await drained).toBe(true)
    expect(quiet.clock.waiting).toBe(0)
  })

  test('a factory that fails is called again without a wait; here nothing can fail', async () => {
    let calls = 0
    const pool = createPool(
      {
        // Without a turn of the loop in between, the pool's own patience would never be over: nothing else would run.
        create: async () => {
          calls++
          await new Promise((resolve) => setImmediate(resolve))
          throw new Error('no')
        },
        destroy: () => Promise.resolve(),
      },
      { max: 1, acquireTimeoutMillis: 1_000 },
    )
    await expect(pool.acquire()).rejects.toThrow()
    expect(calls).toBeGreaterThan(100)

    const { take, credits } = world({ window: 300, reserve: 30 })
    await take('live', 270)
    expect(credits.status.borrowed).toBe(270)
  })
})

test('a reserve that is the whole window is refused', () => {
  expect(() => world({ window: 2, reserve: 2 })).toThrow(RangeError)
})
