import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { summaryVariable } from '../test/support/reporter.ts'
import type { Summary } from '../test/support/reporter.ts'
import { scratchInMemory } from '../test/support/scratch.ts'
import { missingForPkcs11 } from './environment/softhsm.ts'

/** Runs the tests, or those whose files match the arguments; the last line is `N passed, N failed, N skipped`. */
async function main(args: readonly string[]): Promise<number> {
  const missing = missingForPkcs11()
  if (missing !== undefined) {
    console.log(`No PKCS#11 here: ${missing.why}; its tests are skipped. What brings it: ${missing.command}`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-summary-'))
  const file = join(folder, 'summary.json')
  const scratch = scratchInMemory()
  if (scratch !== undefined) console.log(`temporary files of tests are kept in memory: ${scratch}`)
  try {
    const status = await vitest(args, file, scratch)
    const summary = read(file)
    if (summary === undefined) {
      console.log('the tests did not run to their end')
      return status === 0 ? 1 : status
    }
    for (const { test, why } of summary.skipped) console.log(`skipped: ${test} (${why})`)
    console.log(`${summary.passed} passed, ${summary.failed} failed, ${summary.skipped.length} skipped`)
    return summary.failed > 0 && status === 0 ? 1 : status
  } finally {
    for (const used of [folder, scratch ?? []].flat()) rmSync(used, { recursive: true, force: true })
  }
}

function vitest(args: readonly string[], summaryFile: string, scratch: string | undefined): Promise<number> {
  const program = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
  const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '..')
  const colour = process.stdout.isTTY ? {} : { NO_COLOR: '1' }
  const child = spawn(
    process.execPath,
    [
      program,
      'run',
      '--reporter=default',
      `--reporter=${join(projectFolder, 'test/support/reporter.ts')}`,
      ...args,
    ],
    {
      cwd: projectFolder,
      stdio: 'inherit',
      env: {
        ...process.env,
        ...colour,
        ...(scratch !== undefined && { TMPDIR: scratch }),
        [summaryVariable]: summaryFile,
      },
    },
  )
  // Ctrl-C reaches vitest by itself; whoever started us may signal us alone.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((done, failed) => {
    child.once('error', failed)
    child.once('exit', (code) => done(code ?? 1))
  })
}

function read(file: string): Summary | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Summary
  } catch {
    return undefined
  }
}

process.exitCode = await main(process.argv.slice(2))
