import { readFileSync, readdirSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rmSync } from 'node:fs'
import { startPostgres } from '../../bin/environment/postgres.ts'
import { openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { seededRandom } from '../../kernel/random.ts'
import { migrateLedger, openLedger, verifyLedger } from '../../ledger/ledger.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { enterableFolder } from '../support/server.ts'
import { openNaiveLedger } from './naive-ledger.ts'

/**
 * `npm run bench:ledger`: the books against the usual statement-per-step code, on one server with full durability, in
 * turns of the same minute. Rates are those of this machine; the ratios and the CPU a posting are what to remember.
 * `--grow` fills the books to 1e5 and 1e6 entries, `--entries 10000000` to 1e7 (or any other number), and says what
 * becomes of the rate.
 */
const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
    grow: { type: 'boolean', default: false },
    entries: { type: 'string', default: '1000000' },
    // With --grow: nothing but the curve.
    only: { type: 'boolean', default: false },
  },
})

const accountCount = 10_000
const outstanding = 1_000
const naiveConnections = 16

type Poster = (posting: { readonly key: string; readonly from: number; readonly to: number }) => Promise<void>
type Draw = () => readonly [from: number, to: number]

interface Measured {
  readonly rate: number
  readonly cpuUs: number
  readonly p50ms: number
  readonly p99ms: number
}

const random = seededRandom(1)
const one = (): number => 2 + random.below(accountCount - 1)
const uniform: Draw = () => [one(), one()]
/** Every payment credits the one settlement account. */
const hot: Draw = () => [one(), 1]

let keys = 0

/** `inFlight` callers, each of which posts again as soon as it is answered. */
async function drive(
  post: Poster,
  draw: Draw,
  inFlight: number,
  seconds: number,
  cpu: Cpu,
): Promise<Measured> {
  const latencies: number[] = []
  const startedAt = performance.now()
  const endAt = startedAt + seconds * 1_000
  const before = cpu.us()
  const caller = async (): Promise<void> => {
    while (performance.now() < endAt) {
      const [from, to] = draw()
      if (from === to) continue
      const sentAt = performance.now()
      await post({ key: `bench-${keys++}`, from, to })
      latencies.push(performance.now() - sentAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  const elapsed = (performance.now() - startedAt) / 1_000
  const spent = cpu.us() - before
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return {
    rate: latencies.length / elapsed,
    cpuUs: spent / latencies.length,
    p50ms: at(0.5),
    p99ms: at(0.99),
  }
}

/** CPU of this process and of a PostgreSQL server with all its backends, in microseconds. */
interface Cpu {
  us(): number
}

function cpuOf(postmaster: number): Cpu {
  const tickUs = 10_000 // USER_HZ is 100 on every Linux that Node runs on.
  const statOf = (pid: string): string[] | undefined => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    } catch {
      return undefined
    }
  }
  return {
    us() {
      const own = process.cpuUsage()
      let ticks = 0
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        const stat = statOf(pid)
        if (stat === undefined) continue
        if (Number(pid) === postmaster)
          ticks += [11, 12, 13, 14].reduce((sum, index) => sum + Number(stat[index]), 0)
        else if (Number(stat[1]) === postmaster) ticks += Number(stat[11]) + Number(stat[12])
      }
      return own.user + own.system + ticks * tickUs
    },
  }
}

function poster(ledger: Ledger): Poster {
  return async ({ key, from, to }) => {
    const outcome = await ledger.commit({
      key,
      rows: [],
      commands: [
        {
          kind: 'post',
          id: key,
          effectiveAt: 1_790_000_000_000,
          legs: [
            { account: `account:${from}`, side: 'debit', amountMinor: 100n, currency: 'KWD' },
            { account: `account:${to}`, side: 'credit', amountMinor: 100n, currency: 'KWD' },
          ],
        },
      ],
    })
    if (outcome.kind !== 'committed') throw new Error(`not committed: ${JSON.stringify(outcome)}`)
  }
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`)
}

const round2 = (value: number): number => Math.round(value * 100) / 100
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

async function versus(
  name: string,
  ours: Poster,
  naive: Poster,
  draw: Draw,
  cpu: Cpu,
): Promise<Record<string, number>> {
  const seconds = Number(options.seconds)
  const pairs: [Measured, Measured][] = []
  await drive(ours, draw, outstanding, 1, cpu) // the first plans and pages are nobody's speed
  await drive(naive, draw, naiveConnections, 1, cpu)
  for (let turn = 1; turn <= Number(options.rounds); turn++) {
    const mine = await drive(ours, draw, outstanding, seconds, cpu)
    const theirs = await drive(naive, draw, naiveConnections, seconds, cpu)
    pairs.push([mine, theirs])
    progress(
      `${name} ${turn}: ours ${mine.rate.toFixed(0)}/s ${mine.cpuUs.toFixed(0)} us, naive ${theirs.rate.toFixed(0)}/s ${theirs.cpuUs.toFixed(0)} us, ratio ${(mine.rate / theirs.rate).toFixed(1)}, CPU ratio ${(theirs.cpuUs / mine.cpuUs).toFixed(1)}`,
    )
  }
  const ratios = pairs.map(([mine, theirs]) => mine.rate / theirs.rate)
  return {
    ours: Math.round(median(pairs.map(([mine]) => mine.rate))),
    naive: Math.round(median(pairs.map(([, theirs]) => theirs.rate))),
    ratio: round2(median(ratios)),
    ratioMin: round2(Math.min(...ratios)),
    ratioMax: round2(Math.max(...ratios)),
    cpuUs: Math.round(median(pairs.map(([mine]) => mine.cpuUs))),
    naiveCpuUs: Math.round(median(pairs.map(([, theirs]) => theirs.cpuUs))),
    p50ms: round2(median(pairs.map(([mine]) => mine.p50ms))),
    p99ms: round2(median(pairs.map(([mine]) => mine.p99ms))),
  }
}

/** The same callers for `seconds`; how many postings were answered in each of them. */
async function perSecond(
  post: Poster,
  seconds: number,
  at: { readonly second: number; readonly run: () => Promise<unknown> },
): Promise<number[]> {
  const counts = Array.from({ length: seconds }, () => 0)
  const startedAt = performance.now()
  const second = (): number => Math.floor((performance.now() - startedAt) / 1_000)
  let event: Promise<unknown> | undefined
  const caller = async (): Promise<void> => {
    for (let now = second(); now < seconds; now = second()) {
      if (now >= at.second) event ??= at.run()
      const [from, to] = uniform()
      if (from === to) continue
      await post({ key: `bench-${keys++}`, from, to })
      const then = second()
      if (then < seconds) counts[then]!++
    }
  }
  await Promise.all(Array.from({ length: outstanding }, caller))
  await event
  return counts
}

/** Entries are written until the books have so many. */
async function fill(post: Poster, admin: DatabaseClient, entries: number): Promise<void> {
  const size = async (): Promise<number> =>
    Number((await admin.query<{ n: bigint }>('SELECT 2 * last_posting AS n FROM ledger.shard')).rows[0]!.n)
  for (let left = entries - (await size()); left > 0; left = entries - (await size())) {
    let postings = Math.ceil(left / 2)
    const caller = async (): Promise<void> => {
      while (postings-- > 0) {
        const from = one()
        await post({ key: `bench-${keys++}`, from, to: from === accountCount ? 2 : from + 1 })
      }
    }
    await Promise.all(Array.from({ length: outstanding }, caller))
  }
}

const secondsBefore = 8
const secondsAfter = 16

/**
 * Fills the books to one size after the other. At each: the rate before and after a checkpoint is asked for in the middle
 * of the load (from then on the log has a whole page for the first change of each), how much the worst second loses, how
 * fast the books verify, and what memory the writer's process has come to.
 */
async function grow(ledger: Ledger, databaseUrl: string): Promise<Record<string, number>[]> {
  const curve: Record<string, number>[] = []
  const admin = await openClient({ databaseUrl, applicationName: 'bench' })
  const post = poster(ledger)
  const last = Number(options.entries)
  const sizes = [100_000, 1_000_000, 10_000_000].filter((size) => size < last)
  for (const entries of [...sizes, last]) {
    await fill(post, admin, entries)
    await admin.query('CHECKPOINT')
    const checkpoint = { second: secondsBefore, run: () => admin.query('CHECKPOINT') }
    const counts = await perSecond(post, secondsBefore + secondsAfter, checkpoint)
    // The first second warms up, and the last is cut short.
    const steady = median(counts.slice(1, secondsBefore))
    const after = counts.slice(secondsBefore, -1)
    const { heapUsed, rss } = process.memoryUsage()
    const verifyAt = performance.now()
    const verified = await verifyLedger(databaseUrl)
    if (verified.bad !== undefined) throw new Error(`the books do not verify: ${verified.bad.what}`)
    const row = {
      entries,
      rate: steady,
      afterCheckpoint: median(after),
      worstSecond: Math.min(...after),
      lossPercent: Math.round(100 * (1 - Math.min(...after) / steady)),
      verifyRate: Math.round(Number(verified.entries) / ((performance.now() - verifyAt) / 1_000)),
      heapMb: Math.round(heapUsed / 1_048_576),
      rssMb: Math.round(rss / 1_048_576),
    }
    curve.push(row)
    progress(`grow ${JSON.stringify(row)}`)
    progress(`     seconds ${counts.join(' ')}`)
  }
  await admin.end()
  return curve
}

const folder = enterableFolder()
const postgres = await startPostgres({ folder: join(folder, 'pg'), logFile: join(folder, 'postgres.log') })
try {
  const cpu = cpuOf(postgres.pid()!)
  await migrateLedger(postgres.url)
  const ledger = await openLedger({
    databaseUrl: postgres.url,
    rowKinds: [],
    log: {
      warn: (facts, message) => progress(`${message} ${JSON.stringify(facts)}`),
      error: (_, message) => progress(message),
    },
  })
  await ledger.openAccounts(
    Array.from({ length: accountCount }, (_, index) => {
      return { path: `account:${index + 1}`, currency: 'KWD', normalSide: 'credit', limit: 'none' } as const
    }),
  )
  const naive = await openNaiveLedger(postgres.url, accountCount, naiveConnections)
  const naivePoster: Poster = async (posting) => void (await naive.post({ ...posting, amountMinor: 100n }))
  const ours = poster(ledger)

  const result: Record<string, unknown> = {}
  if (!options.only) {
    await drive(ours, uniform, 1, 2, cpu)
    await drive(naivePoster, uniform, 1, 2, cpu)
    // A second of each before it counts: what is measured is a writer at work, and not its first calls.
    await drive(ours, uniform, 1, 1, cpu)
    await drive(naivePoster, uniform, 1, 1, cpu)
    const lone = {
      ours: await drive(ours, uniform, 1, 4, cpu),
      naive: await drive(naivePoster, uniform, 1, 4, cpu),
    }
    progress(`lone: ours p50 ${lone.ours.p50ms.toFixed(2)} ms, naive p50 ${lone.naive.p50ms.toFixed(2)} ms`)
    Object.assign(result, {
      uniform: await versus('uniform', ours, naivePoster, uniform, cpu),
      hot: await versus('hot', ours, naivePoster, hot, cpu),
      lone: {
        p50ms: round2(lone.ours.p50ms),
        p99ms: round2(lone.ours.p99ms),
        naiveP50ms: round2(lone.naive.p50ms),
        cpuUs: Math.round(lone.ours.cpuUs),
        naiveCpuUs: Math.round(lone.naive.cpuUs),
      },
    })
  }
  if (options.grow) result['grow'] = await grow(ledger, postgres.url)
  const verified: number[] = []
  let entries = 0
  // The first to read new rows also marks them as committed, which is a write: the spread tells.
  for (let turn = 0; turn < 3; turn++) {
    const startedAt = performance.now()
    const found = await verifyLedger(postgres.url)
    if (found.bad !== undefined) throw new Error(`the books do not verify: ${found.bad.what}`)
    entries = Number(found.entries)
    verified.push(Math.round(entries / ((performance.now() - startedAt) / 1_000)))
  }
  const verifyRate = median(verified)
  result['verify'] = { ours: verifyRate, first: verified[0], max: Math.max(...verified), entries }
  result['rssMb'] = Math.round(process.memoryUsage.rss() / 1_048_576)
  await ledger.close()
  await naive.close()
  progress(
    `verify ${verifyRate.toFixed(0)} entries/s; ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}`,
  )
  process.stdout.write(`${options.json ? JSON.stringify(result) : JSON.stringify(result, undefined, 2)}\n`)
} finally {
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
}
