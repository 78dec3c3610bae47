import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis as Client } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Redis, redisMissing, startRedis } from '../../bin/environment/redis.ts'
import { systemClock } from '../../kernel/clock.ts'
import { openBullmqWakeups } from '../../switch/switch.ts'

describe.skipIf(redisMissing() !== undefined)('wake-ups through a real Redis', () => {
  let folder: string
  let redis: Redis
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mafraq-redis-'))
    redis = await startRedis(folder)
  })
  afterAll(async () => {
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const closing: (() => Promise<void>)[] = []
  afterAll(() => Promise.all(closing.map((close) => close())))

  function open(url = redis.url) {
    const log: string[] = []
    const wakeups = openBullmqWakeups({
      url,
      clock: systemClock,
      log: { info: (_, text) => void log.push(text), warn: (_, text) => void log.push(text) },
    })
    const woken: { readonly destination: string; readonly at: number }[] = []
    wakeups.onWake((destination) => woken.push({ destination, at: performance.now() }))
    closing.push(() => wakeups.close())
    const up = () => expect.poll(() => wakeups.status.state, { timeout: 20_000 }).toBe('up')
    return { wakeups, woken, log, up }
  }
  const wakeUp = (destination: string) => ({ destination, obligationId: '0190' })

  test('come when they are due, and not before', async () => {
    const { wakeups, woken, up } = open()
    await up()
    const asked = performance.now()
    wakeups.wake(wakeUp('later'), 400)
    wakeups.wake(wakeUp('now'), 0)
    await expect
      .poll(() => woken.map(({ destination }) => destination), { timeout: 20_000 })
      .toEqual(['now', 'later'])
    expect(woken[1]!.at - asked).toBeGreaterThanOrEqual(390)
    await wakeups.close()
  })

  test('carry the name of a destination and of what is owed, and nothing else', async () => {
    const { wakeups, up } = open()
    await up()
    wakeups.wake(wakeUp('knet'), 60_000)
    const client = new Client(redis.url)
    const jobs = async (): Promise<string[]> => {
      const keys = await client.keys('mafraq:wakeups:*')
      const data = await Promise.all(keys.map((key) => client.hget(key, 'data').catch(() => null)))
      return data.flatMap((one) => one ?? [])
    }
    await expect.poll(jobs, { timeout: 20_000 }).toEqual(['{"destination":"knet","obligationId":"0190"}'])
    await client.flushall()
    client.disconnect()
    await wakeups.close()
  })

  test('after its Redis was killed, and is back empty, they come again; meanwhile nothing waits and little is logged', async () => {
    const { wakeups, woken, log, up } = open()
    await up()
    await redis.kill()
    for (let n = 0; n < 1_000; n++) wakeups.wake(wakeUp('lost'), 0)
    await expect
      .poll(() => wakeups.status, { timeout: 20_000 })
      .toMatchObject({ state: 'down', dropped: 1_000 })
    await sleep(1_500)
    expect(log.filter((text) => text.startsWith('no queue'))).toHaveLength(1)
    await redis.start()
    await up()
    await expect
      .poll(
        () => {
          wakeups.wake(wakeUp('back'), 0)
          return woken.some(({ destination }) => destination === 'back')
        },
        { timeout: 30_000, interval: 200 },
      )
      .toBe(true)
    await wakeups.close()
  }, 60_000)

  test('a Redis that hangs holds up nobody, and what waits for it is bounded', async () => {
    const { wakeups, up } = open()
    await up()
    process.kill(redis.pid()!, 'SIGSTOP')
    try {
      for (let n = 0; n < 10_000; n++) wakeups.wake(wakeUp('hung'), 0)
      expect(wakeups.status.dropped).toBeGreaterThanOrEqual(10_000 - 64)
      // Were it to wait for its Redis, it would wait as long as that hangs: for ever.
      await wakeups.close()
    } finally {
      process.kill(redis.pid()!, 'SIGCONT')
    }
  })

  test('without a Redis there are none, and no error comes of it', async () => {
    const { wakeups, log } = open('redis://127.0.0.1:1')
    await expect.poll(() => log.length, { timeout: 20_000 }).toBe(1)
    wakeups.wake(wakeUp('nobody'), 0)
    await expect.poll(() => wakeups.status.dropped, { timeout: 20_000 }).toBe(1)
    await wakeups.close()
  })
})

test('an address that is none is refused at the start', () => {
  const log = { info: () => undefined, warn: () => undefined }
  expect(() => openBullmqWakeups({ url: 'http://127.0.0.1', clock: systemClock, log })).toThrow('redis://')
})
