import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bugs } from './bugs/bugs.ts'
import { runHistory } from './history.ts'

const program = fileURLToPath(new URL('main.ts', import.meta.url))

interface Summary {
  readonly histories: number
  readonly violations: number
  readonly firstSeed?: number
  readonly traceHash: string
}

interface Outcome {
  readonly status: number
  readonly out: string
  readonly told: string
}

async function simulate(...args: string[]): Promise<Outcome & { readonly summary: Summary }> {
  const outcome = await run('--json', ...args)
  return { ...outcome, summary: JSON.parse(outcome.out) as Summary }
}

async function run(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args])
    return { status: 0, out: stdout, told: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { status: code, out: stdout, told: stderr }
  }
}

describe('the simulation', () => {
  test('finds nothing wrong in a thousand histories that nobody has seen before', async () => {
    const seed = Number(process.env['SIMULATION_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    console.log(`simulation seed ${seed}`)
    const { summary, told } = await simulate('--histories', '1000', '--seed', String(seed))
    expect(summary.violations, `npm run simulate -- --histories 1000 --seed ${seed}\n${told}`).toBe(0)
    expect(summary.histories).toBe(1_000)
  }, 240_000)

  test('finds nothing wrong in a hundred of them when terminals and networks read and write bytes', async () => {
    const seed = Number(process.env['SIMULATION_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    console.log(`simulation seed ${seed} with the codec`)
    const { summary, told } = await simulate('--codec', '--histories', '100', '--seed', String(seed))
    expect(summary.violations, `npm run simulate -- --codec --histories 100 --seed ${seed}\n${told}`).toBe(0)
    expect(summary.histories).toBe(100)
  }, 240_000)

  test('lives a hundred seeds alike in two processes, and other seeds otherwise', async () => {
    const [one, other, next] = await Promise.all([
      simulate('--histories', '100', '--seed', '4711'),
      simulate('--histories', '100', '--seed', '4711'),
      simulate('--histories', '100', '--seed', '4712'),
    ])
    expect(one.summary.traceHash).toBe(other.summary.traceHash)
    expect(next.summary.traceHash).not.toBe(one.summary.traceHash)
  }, 240_000)

  test.each([false, true])(
    'lives a history alike after any other history of the same process, with the codec (%s)',
    async (codec) => {
      const alone = (await runHistory({ seed: 5, codec })).traceHash
      await runHistory({ seed: 6, codec })
      expect((await runHistory({ seed: 5, codec })).traceHash).toBe(alone)
    },
  )

  test.for(Object.keys(bugs))(
    'finds %s within ten thousand histories, and tells a story that replays',
    { timeout: 300_000 },
    async (bug) => {
      const { status, summary, told } = await simulate('--first', '--histories', '10000', '--bug', bug)
      expect(status).toBe(1)
      expect(summary.violations).toBe(1)
      expect(told).toContain(`seed ${summary.firstSeed}`)
      const again = await simulate('--histories', '1', '--seed', String(summary.firstSeed), '--bug', bug)
      expect(again.summary.violations).toBe(1)
      const without = await simulate('--histories', '1', '--seed', String(summary.firstSeed))
      expect(without.summary.violations).toBe(0)
    },
  )

  test('a node that stood still before it heard of its own commit takes what others have decided since for the truth', async () => {
    expect((await runHistory({ seed: 123_451_626 })).violations).toEqual([])
  })

  test('a wrong call says what is wrong and ends with 2', async () => {
    const { status, told } = await run('--bug', 'none')
    expect(status).toBe(2)
    expect(told).toContain('answer-before-commit')
  })
})
