import { setTimeout as sleep } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { Redis as Client } from 'ioredis'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { type Redis, redisMissing, startRedis } from '../../bin/environment/redis.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { openPool } from '../../kernel/database.ts'
import type { Goal } from './goal.ts'

const rate = 30

/**
 * `npm run trust:smoke -- queue`: purchases of which many are undone, at a network that does not take a reversal the first
 * time or the second, so that many are to be tried again later. Meanwhile Redis is wiped, killed, started again,
 * frozen, and filled with the same wake-ups again and again; at the end it is gone for good. Nothing is lost, and nothing
 * done twice.
 */
export const queue: Goal = async ({ stateFolder, say }) => {
  const missing = redisMissing()
  if (missing !== undefined)
    return { ok: true, figures: 'skipped', lines: [`RESULT ok (skipped: ${missing})`] }
  const redis = await startRedis(stateFolder)
  const system = await startSystem({ stateFolder, redisUrl: redis.url })
  try {
    await system.startTerminals({ rate, mix: { approve: 40, cancelRetried: 9, cancelUnansweredTwice: 1 } })
    await sleep(6_000)
    const before = await statusOf(system)
    await wipe(redis)
    say('Redis is wiped')
    await sleep(3_000)
    await redis.kill()
    say('Redis is killed')
    await sleep(4_000)
    await redis.start()
    await sleep(3_000)
    const doubled = await double(system, redis)
    say(`${doubled} wake-ups are there ten times more`)
    await sleep(2_000)
    process.kill(redis.pid()!, 'SIGSTOP')
    say('Redis is frozen')
    await sleep(5_000)
    const whileFrozen = await statusOf(system)
    process.kill(redis.pid()!, 'SIGCONT')
    await sleep(2_000)
    const after = await statusOf(system)
    await redis.kill()
    say('Redis is gone for good')
    const { sent, approved, latency } = await system.stopTerminals(60_000)
    const isSettled = await system.settle(90_000)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const owed = await obligations(system)
    const wrong = [
      isSettled ? '' : 'not settled',
      before.received > 0 && after.received > before.received ? '' : 'nobody was woken',
      whileFrozen.state === 'up' || whileFrozen.dropped > 0 || whileFrozen.sent > 0 ? '' : 'no queue at all',
      owed.acknowledged > 0 && owed.others === 0 ? '' : `not acknowledged: ${owed.others}`,
    ].filter((what) => what !== '')
    return {
      ok: ok && wrong.length === 0,
      figures: `purchases ${sent}  approved ${approved}  reversals ${owed.acknowledged}  attempts ${owed.attempts}  wake-ups sent ${after.sent}  received ${after.received}  dropped ${after.dropped}  p99 ${latency.fromScheduled.p99Ms.toFixed(0)} ms`,
      lines: wrong.length === 0 ? lines : [...lines.slice(0, -1), `RESULT ${wrong.join(', ')}`],
    }
  } finally {
    await system.close()
    await redis.stop()
  }
}

interface QueueStatus {
  readonly state: 'up' | 'down'
  readonly sent: number
  readonly dropped: number
  readonly received: number
}

async function statusOf({ endpoints }: System): Promise<QueueStatus> {
  return (await ask<{ queue: QueueStatus }>(endpoints.switch.http, 'GET', '/status')).queue
}

async function wipe({ url }: Redis): Promise<void> {
  const client = new Client(url)
  await client.flushall()
  client.disconnect()
}

/** What the queue would have us do, done over and over: everything that is owed, ten times. */
async function double({ endpoints }: System, { url }: Redis): Promise<number> {
  const pool = openPool({
    databaseUrl: endpoints.database.readerUrl,
    applicationName: 'trust',
    connectionsMax: 1,
  })
  const { hostname: host, port } = new URL(url)
  const wakeups = new Queue('wakeups', { prefix: 'mafraq', connection: { host, port: Number(port) } })
  try {
    const { rows } = await pool.query<{ id: string; destination: string }>(
      "SELECT id, destination FROM switch.obligation WHERE state = 'due' LIMIT 100",
    )
    for (let time = 0; time < 10; time++) {
      await wakeups.addBulk(
        rows.map(({ id, destination }) => ({
          name: 'due',
          data: { destination, obligationId: id },
          opts: { removeOnComplete: true, removeOnFail: true },
        })),
      )
    }
    return rows.length
  } finally {
    await wakeups.close()
    await pool.end()
  }
}

async function obligations({
  endpoints,
}: System): Promise<{ readonly acknowledged: number; readonly others: number; readonly attempts: number }> {
  const pool = openPool({
    databaseUrl: endpoints.database.readerUrl,
    applicationName: 'trust',
    connectionsMax: 1,
  })
  try {
    const { rows } = await pool.query<{ acknowledged: number; others: number; attempts: number }>(
      `SELECT count(*) FILTER (WHERE state = 'acknowledged')::int AS acknowledged,
              count(*) FILTER (WHERE state <> 'acknowledged')::int AS others, coalesce(sum(attempts), 0)::int AS attempts
         FROM switch.obligation`,
    )
    return rows[0]!
  } finally {
    await pool.end()
  }
}
