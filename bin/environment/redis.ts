import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports.ts'

/** A Redis of our own that keeps nothing on disk: what is in it may be lost. */
export interface Redis {
  readonly url: string
  pid(): number | undefined
  /** SIGKILL, and nothing is started in its place. */
  kill(): Promise<void>
  /** Again on the same port, empty. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** Why there can be none here; undefined: there can. */
export function redisMissing(): string | undefined {
  return programPath() === undefined ? 'there is no redis-server: apt-get install redis-tools' : undefined
}

/** Throws when it does not answer within ten seconds. `folder` gets its log. */
export async function startRedis(folder: string): Promise<Redis> {
  const program = programPath()
  if (program === undefined) throw new Error(redisMissing())
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  let child: ChildProcess | undefined
  const ended = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const exit = once(running, 'exit')
    running.kill(signal)
    await exit
  }
  const redis: Redis = {
    url: `redis://127.0.0.1:${port}`,
    pid: () => child?.pid,
    kill: () => ended('SIGKILL'),
    stop: () => ended('SIGTERM'),
    async start() {
      const log = openSync(join(folder, 'redis.log'), 'a')
      const words = [
        '--port',
        port,
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        folder,
      ]
      // BullMQ asks for this policy: a queue whose entries vanish is none.
      words.push('--maxmemory', '64mb', '--maxmemory-policy', 'noeviction')
      child = spawn(program, words.map(String), { argv0: 'redis-server', stdio: ['ignore', log, log] })
      child.on('error', () => undefined)
      for (let tries = 0; !(await answers(port)); tries++) {
        if (tries > 200) throw new Error('redis-server does not answer, see redis.log')
        await sleep(50)
      }
    },
  }
  await redis.start()
  return redis
}

/** Debian's redis-tools has the same program under another name, and starts no service where it is installed. */
function programPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return ['redis-server', 'redis-check-rdb']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path))
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (good: boolean): void => {
      socket.destroy()
      resolve(good)
    }
    socket.setTimeout(500, () => end(false))
    socket.once('error', () => end(false))
    socket.once('data', (data) => end(data.toString('latin1').startsWith('+PONG')))
    socket.write('PING\r\n')
  })
}
