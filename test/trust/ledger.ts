import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startPostgres } from '../../bin/environment/postgres.ts'
import { killDrill } from '../ledger/drill.ts'
import type { Goal } from './goal.ts'

const kills = Number(process.env['LEDGER_KILLS'] ?? 200)
const seed = Number(process.env['LEDGER_SEED'] ?? 1)
/** Sequences of commands that are held against the model: on the pure decisions, and on PostgreSQL. */
const runs = process.env['LEDGER_RUNS'] ?? '100000'
const databaseRuns = process.env['LEDGER_DATABASE_RUNS'] ?? '1000'

/**
 * The books at full length: kills of PostgreSQL, its backends and the writers under load, then the model against the
 * decisions and against the database. Minutes of both cores.
 */
export const ledger: Goal = async ({ stateFolder, say }) => {
  const logFile = join(stateFolder, 'postgres.log')
  const postgres = await startPostgres({ folder: join(stateFolder, 'pg'), logFile })
  const drilled = await killDrill({ postgres, folder: stateFolder, kills, seed, say }).finally(() =>
    postgres.stop(),
  )
  const { lost, doubled, otherAnswer, unknown, books } = drilled
  const kept = lost === 0 && doubled === 0 && otherAnswer === 0 && books === 'ok'
  const killed = Object.entries(drilled.kills).map(([part, count]) => `${part} ${count}`)
  say(`lost ${lost}  doubled ${doubled}  other-answer ${otherAnswer}  books ${books}`)
  const agreed = await modelAgrees(say)
  const result = !kept ? 'the books are not what was acknowledged' : agreed ? 'ok' : 'the model disagrees'
  return {
    ok: kept && agreed,
    figures: `kills ${kills}  units ${drilled.intended}  acknowledged ${drilled.acknowledged}`,
    lines: [
      `killed: ${killed.join('  ')}`,
      `unknown ${unknown.units}, of which ${unknown.hadHappened} had happened: asked again, each has one effect`,
      `lost ${lost}  doubled ${doubled}  other-answer ${otherAnswer}  books ${books}`,
      `model: ${runs} sequences on decide, ${databaseRuns} on PostgreSQL, twice: ${agreed ? 'agrees' : 'DISAGREES'}`,
      `RESULT ${result}`,
    ],
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
