import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { openPool } from '../../kernel/database.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'

/**
 * `npm run bench:switch -- --rate R --seconds S`: PIN purchases through the whole system on this machine, open loop.
 * Latencies are from the scheduled time, as the terminals see them; CPU is what each process used while the traffic ran.
 */
const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
})
const [rate, seconds] = [Number(values.rate), Number(values.seconds)]
if (!(rate > 0 && seconds > 0)) {
  console.error('--rate and --seconds are numbers above zero')
  process.exit(2)
}

const warmUpSeconds = 5
/** USER_HZ is 100 on Linux. */
const msPerTick = 10
const stateFolder = mkdtempSync(join(tmpdir(), 'mafraq-bench-'))
chmodSync(stateFolder, 0o711)
const say = (what: string): void => void console.error(what)
const system = await startSystem({ stateFolder, say })
let failed = false
try {
  const load = loadavg()[0]!
  // Approvals only: the longest way there is, and no deadlines of misbehaving networks among the figures.
  const mix = { approve: 1 }
  await system.startTerminals({ rate: Math.min(rate, 50), seconds: warmUpSeconds, terminals: 100, mix })
  await sleep(warmUpSeconds * 1_000)
  await system.stopTerminals(10_000)
  await system.stop('terminals')

  const before = await cpuOf(system)
  await system.startTerminals({ rate, seconds, terminals: 400, mix })
  await sleep(seconds * 1_000)
  const status = await system.stopTerminals(30_000)
  const after = await cpuOf(system)
  const log = await logWrites(system)
  await system.settle(30_000)
  const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })

  const answered = status.approved + Object.values(status.declined).reduce((sum, count) => sum + count, 0)
  const perTransaction = (part: keyof Cpu): number =>
    Number(((after[part] - before[part]) / Math.max(1, status.sent)).toFixed(3))
  const { p50Ms, p99Ms, p999Ms } = status.latency.fromScheduled
  const figures = {
    offered: rate,
    achieved: Number((answered / seconds).toFixed(1)),
    approved: status.approved,
    dropped: status.dropped,
    p50ms: p50Ms,
    p99ms: p99Ms,
    p999ms: p999Ms,
    cpuMs: {
      switch: perTransaction('switch'),
      hsm: perTransaction('hsm'),
      postgres: perTransaction('postgres'),
      // There is no worker process yet: what it will do, nobody does.
      worker: 0,
      network: perTransaction('network'),
      terminals: perTransaction('terminals'),
    },
    log,
    loadAverageBefore: Number(load.toFixed(2)),
    reconcile: lines.at(-1)?.replace('RESULT ', '') ?? '',
  }
  if (values.json) console.log(JSON.stringify(figures))
  else {
    console.log(
      `offered ${figures.offered}/s  achieved ${figures.achieved}/s  approved ${figures.approved}  dropped ${figures.dropped}`,
    )
    console.log(`p50 ${p50Ms} ms  p99 ${p99Ms} ms  p99.9 ${p999Ms} ms  from the scheduled time`)
    console.log(
      `CPU ms a transaction: ${Object.entries(figures.cpuMs)
        .map(([part, ms]) => `${part} ${ms}`)
        .join('  ')}`,
    )
    console.log(`log flushes ${log.flushes}, ${log.meanMs} ms each`)
    console.log(`load average before ${figures.loadAverageBefore}`)
    console.log(`RESULT ${figures.reconcile}`)
  }
  failed = !ok
} finally {
  await system.close()
  rmSync(stateFolder, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0

interface LogWrites {
  readonly flushes: number
  readonly meanMs: number
}

/** How the disk did: what the server waited for its log to be on it, since it was started. */
async function logWrites({ endpoints }: System): Promise<LogWrites> {
  const { readerUrl: databaseUrl } = endpoints.database
  const pool = openPool({ databaseUrl, applicationName: 'bench', connectionsMax: 1 })
  try {
    const { rows } = await pool.query<LogWrites>(
      `SELECT fsyncs::int AS flushes, round((fsync_time / nullif(fsyncs, 0))::numeric, 3)::float8 AS "meanMs"
         FROM pg_stat_io WHERE object = 'wal' AND context = 'normal' AND backend_type = 'client backend'`,
    )
    return rows[0] ?? { flushes: 0, meanMs: 0 }
  } finally {
    await pool.end()
  }
}

interface Cpu {
  readonly switch: number
  readonly hsm: number
  readonly postgres: number
  readonly network: number
  readonly terminals: number
}

async function cpuOf(of: System): Promise<Cpu> {
  const one = async (part: keyof Cpu): Promise<number> => {
    const pid = await of.pid(part)
    return pid === undefined ? 0 : cpuMs(pid, part === 'postgres')
  }
  return {
    switch: await one('switch'),
    hsm: await one('hsm'),
    postgres: await one('postgres'),
    network: await one('network'),
    terminals: await one('terminals'),
  }
}

/** What the kernel charged a process, in ms; with its children, those that have ended among them. */
function cpuMs(pid: number, family: boolean): number {
  const own = ticksOf(pid, family)
  if (!family) return own * msPerTick
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid)
  return (own + children.reduce((sum, child) => sum + ticksOf(child, true), 0)) * msPerTick
}

function ticksOf(pid: number, withEnded: boolean): number {
  const [, , , , , , , , , , , utime, stime, cutime, cstime] = fieldsOf(pid)
  const own = Number(utime ?? 0) + Number(stime ?? 0)
  return withEnded ? own + Number(cutime ?? 0) + Number(cstime ?? 0) : own
}

function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1] ?? 0)
}

/** The fields of `/proc/PID/stat` after the name, from the state on. */
function fieldsOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
