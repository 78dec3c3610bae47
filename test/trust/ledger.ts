import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '../../bin/environment/postgres.ts'
import { fullDiskDrill, killDrill } from '../ledger/drill.ts'
import type { Settled } from '../ledger/drill.ts'
import type { Goal } from './goal.ts'

const kills = Number(process.env['LEDGER_KILLS'] ?? 200)
const pauses = Number(process.env['LEDGER_PAUSES'] ?? 10)
const fullDisks = Number(process.env['LEDGER_FULL_DISKS'] ?? 5)
const seed = Number(process.env['LEDGER_SEED'] ?? 1)
/** Sequences of commands that are held against the model: on the pure decisions, and on PostgreSQL. */
const runs = process.env['LEDGER_RUNS'] ?? '100000'
const databaseRuns = process.env['LEDGER_DATABASE_RUNS'] ?? '1000'

/**
 * The books at full length: kills of PostgreSQL, its backends and the writers under load, with the server standing still
 * now and then; a disk that is full; then the model against the decisions and against the database. Minutes of both cores.
 */
export const ledger: Goal = async ({ stateFolder, say }) => {
  const logFile = join(stateFolder, 'postgres.log')
  const postgres = await startPostgres({ folder: join(stateFolder, 'pg'), logFile })
  const drilled = await killDrill({ postgres, folder: stateFolder, kills, pauses, seed, say }).finally(() =>
    postgres.stop(),
  )
  const killed = Object.entries(drilled.kills).map(([part, count]) => `${part} ${count}`)
  say(keptOf(drilled))
  const disk = await fullDisk(stateFolder, say)
  const kept = isKept(drilled) && (typeof disk === 'string' || isKept(disk))
  const agreed = await modelAgrees(say)
  const { intended, acknowledged, unknown } = drilled
  const result = !kept ? 'the books are not what was acknowledged' : agreed ? 'ok' : 'the model disagrees'
  return {
    ok: kept && agreed,
    figures: `kills ${kills}  pauses ${pauses}  units ${intended}  acknowledged ${acknowledged}`,
    lines: [
      `killed: ${killed.join('  ')}  stood still: ${pauses} times, 5 to 20 s`,
      `unknown ${unknown.units}, of which ${unknown.hadHappened} had happened: asked again, each has one effect`,
      keptOf(drilled),
      typeof disk === 'string'
        ? `full disk: skipped, ${disk}`
        : `full disk: ${fullDisks} times, server ended ${disk.restarts}, units ${disk.intended}, acknowledged ${disk.acknowledged}, ${keptOf(disk)}`,
      `model: ${runs} sequences on decide, ${databaseRuns} on PostgreSQL, twice: ${agreed ? 'agrees' : 'DISAGREES'}`,
      `RESULT ${result}`,
    ],
  }
}

function isKept({ lost, doubled, otherAnswer, books }: Settled): boolean {
  return lost === 0 && doubled === 0 && otherAnswer === 0 && books === 'ok'
}

function keptOf({ lost, doubled, otherAnswer, books }: Settled): string {
  return `lost ${lost}  doubled ${doubled}  other-answer ${otherAnswer}  books ${books}`
}

/** On a disk of its own, in memory; why not, where this machine does not let us have one. */
async function fullDisk(
  stateFolder: string,
  say: (what: string) => void,
): Promise<Awaited<ReturnType<typeof fullDiskDrill>> | string> {
  if (process.getuid?.() !== 0) return 'only root may mount a small disk'
  const disk = join(stateFolder, 'small-disk')
  const folder = join(stateFolder, 'small-disk-journals')
  for (const each of [disk, folder]) mkdirSync(each)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=384m,mode=755', 'tmpfs', disk], {
    encoding: 'utf8',
  })
  if (mounted.status !== 0) return `mount: ${mounted.error?.message ?? mounted.stderr.trim()}`
  try {
    const logFile = join(stateFolder, 'small-disk.log')
    const postgres = await startPostgres({ folder: join(disk, 'pg'), logFile })
    const filler = join(disk, 'filler')
    return await fullDiskDrill({ postgres, folder, filler, times: fullDisks, seed, say }).finally(() =>
      postgres.stop(),
    )
  } finally {
    spawnSync('umount', [disk])
  }
}

/** The same tests as in `npm test`, with more runs. */
async function modelAgrees(say: (what: string) => void): Promise<boolean> {
  say(`${runs} sequences on decide, ${databaseRuns} on PostgreSQL`)
  const files = ['test/ledger/decide.test.ts', 'test/ledger/writer-model.test.ts']
  const vitest = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', '--testTimeout', '7200000', ...files], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, LEDGER_RUNS: runs, LEDGER_DATABASE_RUNS: databaseRuns },
    stdio: ['ignore', 2, 2],
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code === 0
}
