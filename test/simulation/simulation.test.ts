import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
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

function simulate(...args: string[]): {
  readonly status: number | null
  readonly summary: Summary
  readonly told: string
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--json', ...args], {
    encoding: 'utf8',
  })
  return { status, summary: JSON.parse(stdout) as Summary, told: stderr }
}

describe('the simulation', () => {
  test('finds nothing wrong in histories that nobody has seen before', async () => {
    const seed = Number(process.env['SIMULATION_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    console.log(`simulation seed ${seed}`)
    for (let index = 0; index < 300; index++) {
      const { violations } = await runHistory({ seed: seed + index })
      expect(violations, `npm run simulate -- --histories 1 --seed ${seed + index}`).toEqual([])
    }
  }, 120_000)

  test('replays a seed exactly, in another process too', () => {
    const [one, other] = [
      simulate('--histories', '20', '--seed', '4711'),
      simulate('--histories', '20', '--seed', '4711'),
    ]
    expect(one.summary.traceHash).toBe(other.summary.traceHash)
    expect(simulate('--histories', '20', '--seed', '4712').summary.traceHash).not.toBe(one.summary.traceHash)
  }, 120_000)

  test.each(Object.keys(bugs))(
    'finds %s, and tells a short story that replays',
    (bug) => {
      const { status, summary, told } = simulate(
        '--histories',
        bugs[bug]!.rare === true ? '1000' : '100',
        '--seed',
        '1',
        '--bug',
        bug,
      )
      expect(status).toBe(1)
      expect(summary.violations).toBeGreaterThan(0)
      expect(told).toContain(`seed ${summary.firstSeed}`)
      const again = simulate('--histories', '1', '--seed', String(summary.firstSeed), '--bug', bug)
      expect(again.summary.violations).toBe(1)
    },
    240_000,
  )

  test('the same seeds without the bug are sound', () => {
    expect(simulate('--histories', '100', '--seed', '1')).toMatchObject({
      status: 0,
      summary: { violations: 0 },
    })
  }, 120_000)

  test('a wrong call says what is wrong and ends with 2', () => {
    const { status, stderr } = spawnSync(process.execPath, [program, '--bug', 'none'], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('answer-before-commit')
  })
})
