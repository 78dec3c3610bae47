import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Goal } from './goal.ts'

/** Runs the drill that the command line names: its lines, one line of figures, `RESULT ...`. */
export async function runNamed(goals: Readonly<Record<string, Goal>>): Promise<void> {
  const name = process.argv[2] ?? ''
  const goal = goals[name]
  if (goal === undefined) {
    console.error(`there are: ${Object.keys(goals).join(', ')}`)
    process.exitCode = 2
    return
  }
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1_000
  const stateFolder = mkdtempSync(join(tmpdir(), 'mafraq-trust-'))
  chmodSync(stateFolder, 0o711)
  const say = (what: string): void => console.error(`${seconds().toFixed(1).padStart(6)} s  ${what}`)
  try {
    const { ok, figures, lines } = await goal({ stateFolder, say, args: process.argv.slice(3) })
    for (const line of lines.slice(0, -1)) console.log(line)
    console.log(`${name}: ${figures}  seconds ${seconds().toFixed(0)}`)
    console.log(lines.at(-1) ?? 'RESULT nothing was found out')
    process.exitCode = ok ? 0 : 1
    if (ok) rmSync(stateFolder, { recursive: true, force: true })
    else console.error(`what it wrote is in ${stateFolder}`)
  } catch (error) {
    console.log(`RESULT ${error instanceof Error ? error.message : 'broke'}`)
    console.error(`what it wrote is in ${stateFolder}`)
    process.exitCode = 3
  }
}
