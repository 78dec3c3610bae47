import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { Clock } from '../../kernel/clock.ts'
import type { Wakeups, WakeUp } from '../wakeups.ts'

/**
 * Wake-ups through BullMQ on Redis. Redis holds ids and times, nothing that anybody would miss: whoever is gone, slow or
 * wiped there costs the wait until the next sweep. So nothing here waits for it, fails because of it, or grows.
 */
export interface BullmqOptions {
  /** `redis://127.0.0.1:6379/0` */
  readonly url: string
  readonly clock: Clock
  readonly log: {
    info(details: object, text: string): void
    warn(details: object, text: string): void
  }
  /** Systems that share a Redis have different ones. */
  readonly prefix?: string
}

export interface BullmqWakeups extends Wakeups {
  readonly status: WakeupsStatus
  close(): Promise<void>
}

export interface WakeupsStatus {
  /** `down`: the sweeper alone. */
  readonly state: 'up' | 'down'
  readonly sent: number
  /** Not sent, since Redis was away or too many were under way to it. */
  readonly dropped: number
  readonly received: number
}

const queueName = 'wakeups'
/** More than these are not worth waiting for: the sweeper comes within a second. */
const underWayMax = 64
const commandMs = 1_000
/** A client without its server has much to say, and says the same. */
const logEveryMs = 30_000
const closeMs = 1_000

export function openBullmqWakeups(options: BullmqOptions): BullmqWakeups {
  const { clock, log, prefix = 'mafraq' } = options
  const counts = { sent: 0, dropped: 0, received: 0 }
  let underWay = 0
  let listener: (destination: string) => void = () => undefined
  let toldAt = -Infinity
  const down = (error: Error): void => {
    if (clock.monotonicMs() - toldAt < logEveryMs) return
    toldAt = clock.monotonicMs()
    // Only what kind of fault it is: the rest may quote the address with its password.
    log.warn(
      { fault: 'code' in error ? error.code : error.name },
      'no queue: the sweeper alone looks for what is due',
    )
  }
  const up = (): void => {
    log.info({}, 'the queue is there')
    toldAt = -Infinity
  }
  const address = addressOf(options.url)
  // Our own client, so that it can be seen whether anybody is there: the queue would wait for it.
  const client = new Redis({
    ...address,
    enableOfflineQueue: false,
    commandTimeout: commandMs,
    maxRetriesPerRequest: 1,
  })
  client.on('ready', up)
  client.on('error', down)
  const sender = new Queue<WakeUp>(queueName, {
    ...{ prefix, connection: client },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
  })
  const worker = new Worker<WakeUp>(
    queueName,
    ({ data }) => {
      counts.received++
      // Whoever can write into Redis can wake us, and no more: a name that is not ours wakes nobody.
      if (typeof data.destination === 'string') listener(data.destination)
      return Promise.resolve()
    },
    { prefix, connection: { ...address, maxRetriesPerRequest: null }, concurrency: 8 },
  )
  sender.on('error', down)
  worker.on('error', down)
  return {
    get status(): WakeupsStatus {
      return { state: client.status === 'ready' ? 'up' : 'down', ...counts }
    },
    onWake(asked) {
      listener = asked
    },
    wake(what, delayMs) {
      if (underWay >= underWayMax || client.status !== 'ready') return void counts.dropped++
      underWay++
      sender
        .add('due', what, { delay: Math.max(0, Math.round(delayMs)) })
        .then(
          () => {
            counts.sent++
          },
          (error: unknown) => {
            counts.dropped++
            if (error instanceof Error) down(error)
          },
        )
        .finally(() => underWay--)
    },
    async close() {
      // A Redis that hangs must not keep us from ending.
      const closed = Promise.allSettled([worker.close(true), sender.close()])
      await Promise.race([closed, new Promise((resolve) => clock.after(closeMs, () => resolve(undefined)))])
      worker.disconnect().catch(() => undefined)
      client.disconnect()
    },
  }
}

/** Throws for what is no address of a Redis. */
function addressOf(text: string) {
  const url = new URL(text)
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw new Error('the queue: not a redis:// address')
  const { hostname: host, port, username, password, pathname } = url
  return {
    ...{ host, port: Number(port === '' ? 6_379 : port), db: Number(pathname.slice(1) || 0) },
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
    connectTimeout: 2_000,
    retryStrategy: (times: number) => Math.min(100 * 2 ** Math.min(times, 6), 5_000),
  }
}
