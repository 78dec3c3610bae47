import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Postgres } from '../../bin/environment/postgres.ts'
import { openClient } from '../../kernel/database.ts'
import { seededRandom } from '../../kernel/random.ts'
import type { Random } from '../../kernel/random.ts'
import { migrateLedger, openLedger, rebuildDifferences, verifyLedger } from '../../ledger/ledger.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { salesAccounts, saleUnit } from './sales-process.ts'

/**
 * Two writer processes sell, each notes in a journal what it means to do and what it was told, and one part after the
 * other is killed with SIGKILL. Afterwards everything that was meant is asked for again, and the books are held
 * against the journals.
 */
export interface DrillOptions {
  readonly postgres: Postgres
  /** Journals and logs go here. */
  readonly folder: string
  readonly kills: number
  /** How often, among the kills, the whole server is stopped (SIGSTOP) for 5 to 20 seconds and goes on then. */
  readonly pauses?: number
  readonly seed: number
  readonly say?: (what: string) => void
}

export interface DrillResult extends Settled {
  readonly kills: Readonly<Record<Part, number>>
  readonly pauses: number
}

/** What is found when everything that was meant has been asked for again. */
export interface Settled {
  readonly intended: number
  readonly acknowledged: number
  /** Of those not acknowledged: how many turned out to be in the books. */
  readonly unknown: { readonly units: number; readonly hadHappened: number }
  /** Acknowledged, and not in the books. */
  readonly lost: number
  /** Money in the books that no unit stands for, or units with more than one effect. */
  readonly doubled: number
  /** Asked again, and answered otherwise than before, or not at all. */
  readonly otherAnswer: number
  /** What verify and rebuild say of the books. */
  readonly books: string
}

const parts = ['postgres', 'backend', 'writer', 'both'] as const
type Part = (typeof parts)[number]

export async function killDrill(options: DrillOptions): Promise<DrillResult> {
  const { postgres, kills, pauses = 0, seed } = options
  const random = seededRandom(seed)
  await prepare(postgres.url)
  const writers = [new WriterLife(options, 'a'), new WriterLife(options, 'b')]
  for (const writer of writers) writer.start()
  const counts: Record<Part, number> = { postgres: 0, backend: 0, writer: 0, both: 0 }
  try {
    for (let kill = 0; kill < kills; kill++) {
      const part = parts[kill % parts.length]!
      await busy(options.folder, 40)
      await sleep(random.below(60))
      counts[part]++
      await strike(part, { postgres, writer: writers[random.below(2)]!, random })
      if (pauses > 0 && kill % Math.ceil(kills / pauses) === 0) {
        options.say?.(`the server stands still for ${await pause(postgres, random)} ms`)
      }
      if (kill % 20 === 19) options.say?.(`${kill + 1} kills, ${answersIn(options.folder).size} units begun`)
    }
    await busy(options.folder, 40)
  } finally {
    for (const writer of writers) await writer.kill()
  }
  return { kills: counts, pauses, ...(await settle(options)) }
}

/** The server and all its processes neither work nor end; whoever waits for them finds that out by the clock alone. */
async function pause(postgres: Postgres, random: Random): Promise<number> {
  const ms = 5_000 + random.below(15_000)
  const postmaster = postgres.pid()!
  process.kill(postmaster, 'SIGSTOP')
  const family = [...childrenOf(postmaster), postmaster]
  for (const pid of family) signal(pid, 'SIGSTOP')
  await sleep(ms)
  for (const pid of family) signal(pid, 'SIGCONT')
  return ms
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      } catch {
        return false
      }
    })
}

/** One that has ended in the meantime needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It is gone.
  }
}

/**
 * The disk below the server is filled under load until nothing is acknowledged any more, and emptied again, so many times;
 * a server that ended over it is started again. `filler` is a file on that disk.
 */
export async function fullDiskDrill(
  options: Omit<DrillOptions, 'kills' | 'pauses'> & { readonly times: number; readonly filler: string },
): Promise<Settled & { readonly restarts: number }> {
  const { postgres, folder, filler, times } = options
  await prepare(postgres.url)
  const writers = [new WriterLife(options, 'c'), new WriterLife(options, 'd')]
  for (const writer of writers) writer.start()
  let restarts = 0
  try {
    for (let time = 0; time < times; time++) {
      await busy(folder, 100)
      fill(filler)
      await quiet(folder)
      rmSync(filler)
      const ended = postgres.pid() === undefined
      if (ended) {
        restarts++
        await postgres.start()
      }
      options.say?.(
        `the disk was full, ${answersIn(folder).size} units begun, server ${ended ? 'ended' : 'stayed'}`,
      )
    }
    await busy(folder, 100)
  } finally {
    for (const writer of writers) await writer.kill()
  }
  return { restarts, ...(await settle(options)) }
}

/** Until there is no room for another byte. */
function fill(file: string): void {
  const handle = openSync(file, 'w')
  try {
    for (let bytes = 1_048_576; bytes >= 1; bytes /= 2) {
      try {
        for (;;) if (writeSync(handle, Buffer.alloc(bytes)) === 0) break
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      }
    }
  } finally {
    closeSync(handle)
  }
}

/** Until nothing has been acknowledged for three seconds. */
async function quiet(folder: string): Promise<void> {
  const count = (): number => [...answersIn(folder).values()].filter(known).length
  for (let before = -1, tries = 0; before !== count(); tries++) {
    if (tries > 60) throw new Error('a full disk does not stop the writers')
    before = count()
    await sleep(3_000)
  }
}

async function prepare(databaseUrl: string): Promise<void> {
  await migrateLedger(databaseUrl)
  const ledger = await openQuietly(databaseUrl)
  await ledger.openAccounts(salesAccounts)
  await ledger.close()
}

async function strike(
  part: Part,
  { postgres, writer, random }: { postgres: Postgres; writer: WriterLife; random: Random },
): Promise<void> {
  if (part === 'writer' || part === 'both') await writer.kill()
  if (part === 'postgres' || part === 'both') {
    await postgres.kill()
    await sleep(random.below(30))
    await postgres.start()
  }
  if (part === 'backend') await killBackend(postgres.url)
  if (part === 'writer' || part === 'both') writer.start()
}

/** The server process that works for a writer; the server then ends all others and recovers by itself. */
async function killBackend(databaseUrl: string): Promise<void> {
  const client = await patientClient(databaseUrl)
  for (let killed = false; !killed; ) {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'mafraq-ledger' AND state <> 'idle' LIMIT 1`,
    )
    killed = rows[0] !== undefined && process.kill(rows[0].pid, 'SIGKILL')
  }
  await client.end().catch(() => undefined)
}

class WriterLife {
  readonly #options: Pick<DrillOptions, 'folder' | 'postgres'>
  readonly #name: string
  #life = 0
  #process: ChildProcess | undefined

  constructor(options: Pick<DrillOptions, 'folder' | 'postgres'>, name: string) {
    this.#options = options
    this.#name = name
  }

  start(): void {
    const { folder, postgres } = this.#options
    const life = `${this.#name}${this.#life++}`
    const program = fileURLToPath(new URL('sales-process.ts', import.meta.url))
    const log = openSync(join(folder, 'sales.log'), 'a')
    const journal = join(folder, `journal-${life}`)
    this.#process = spawn(process.execPath, [program, postgres.url, journal, life], {
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const started = this.#process
    // A writer that cannot reach its database when it starts ends; here it is started again.
    started.once('exit', (code) => {
      if (code !== null && this.#process === started) this.start()
    })
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined || running.exitCode !== null) return
    const exited = once(running, 'exit')
    running.kill('SIGKILL')
    await exited
  }
}

/** What was meant, in the journals' order, with the answer where there was one. */
function answersIn(folder: string): Map<string, string | undefined> {
  const answers = new Map<string, string | undefined>()
  for (const file of readdirSync(folder).filter((name) => name.startsWith('journal-'))) {
    // The line that was being written when the process was killed may lack its end.
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1)) {
      const [name, answer] = line.split(' ') as [string, string]
      if (answer !== 'intent') answers.set(name, answer)
      else if (!answers.has(name)) answers.set(name, undefined)
    }
  }
  return answers
}

const known = (answer: string | undefined): answer is string =>
  answer === 'committed' || answer === 'insufficientFunds'

/** Until that many more units have been answered, so that every kill meets work. */
async function busy(folder: string, units: number): Promise<void> {
  const count = (): number => [...answersIn(folder).values()].filter(known).length
  const target = (existsSync(folder) ? count() : 0) + units
  for (let tries = 0; count() < target; tries++) {
    if (tries > 3_000) throw new Error('the writers have stopped answering')
    await sleep(40)
  }
}

async function settle({ postgres, folder }: Pick<DrillOptions, 'folder' | 'postgres'>): Promise<Settled> {
  const answers = answersIn(folder)
  const before = await booksOf(postgres.url)
  const acknowledged = [...answers].filter(([, answer]) => known(answer))
  const lost = acknowledged.filter(([name, answer]) => before.units.get(name) !== refusalOf(answer!))
  const unknown = [...answers].filter(([, answer]) => !known(answer)).map(([name]) => name)

  const ledger = await openQuietly(postgres.url)
  let otherAnswer = 0
  const names = [...answers.keys()]
  for (let from = 0; from < names.length; from += 2_000) {
    const asked = names.slice(from, from + 2_000)
    const outcomes = await Promise.all(asked.map((name) => ledger.commit(saleUnit(name))))
    for (const [index, outcome] of outcomes.entries()) {
      const answer = outcome.kind === 'refused' ? outcome.reason : outcome.kind
      const first = answers.get(asked[index]!)
      if (!known(answer) || (known(first) && first !== answer)) otherAnswer++
    }
  }
  await ledger.close()
  const after = await booksOf(postgres.url)
  const { bad } = await verifyLedger(postgres.url)
  return {
    intended: answers.size,
    acknowledged: acknowledged.length,
    unknown: { units: unknown.length, hadHappened: unknown.filter((name) => before.units.has(name)).length },
    lost: lost.length,
    doubled: Number(before.surplus) + Number(after.surplus) + (after.units.size - answers.size),
    otherAnswer,
    books: bad !== undefined ? bad.what : after.differences === 0 ? 'ok' : 'balances differ from entries',
  }
}

const refusalOf = (answer: string): string => (answer === 'committed' ? '' : answer)

interface Books {
  /** Refusal by key; empty for what was committed. */
  readonly units: Map<string, string>
  /** What the shop has beyond one fils for each unit. */
  readonly surplus: bigint
  readonly differences: number
}

async function booksOf(databaseUrl: string): Promise<Books> {
  const client = await patientClient(databaseUrl)
  const { rows } = await client.query<{ key: string; refusal: string }>(
    `SELECT key, COALESCE(refusal, '') AS refusal FROM ledger.unit`,
  )
  const shop = await client.query<{ owned: bigint }>(
    `SELECT credits - debits AS owned FROM ledger.balance JOIN ledger.account ON id = account_id WHERE path = 'shop'`,
  )
  const differences = await rebuildDifferences(client)
  await client.end()
  const units = new Map(rows.map(({ key, refusal }) => [key, refusal]))
  const committed = rows.filter(({ refusal }) => refusal === '').length
  const surplus = shop.rows[0]!.owned - BigInt(committed)
  return { units, surplus: surplus < 0n ? -surplus : surplus, differences: differences.length }
}

async function openQuietly(databaseUrl: string): Promise<Ledger> {
  const log = { warn: () => undefined, error: () => undefined }
  for (let tries = 0; ; tries++) {
    try {
      return await openLedger({ databaseUrl, rowKinds: [], log, outcomeDeadlineMs: 20_000 })
    } catch (error) {
      if (tries === 60) throw error
      await sleep(500)
    }
  }
}

/** A server that has just lost a process turns everybody away until it has recovered. */
async function patientClient(databaseUrl: string): ReturnType<typeof openClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await openClient({ databaseUrl, applicationName: 'test' })
    } catch (error) {
      if (tries === 300) throw error
      await sleep(50)
    }
  }
}
