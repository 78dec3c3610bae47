import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { silenceVariable } from '../support/reporter.ts'

const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

test('npm test counts passes, failures and skips, says why each was skipped, and fails when one failed', async () => {
  const { status, lines } = await runTests({
    'mixed.test.ts': `
      import { describe, expect, test } from 'vitest'
      test('holds', () => {})
      test('does not hold', () => expect(1).toBe(2))
      test('cannot be tried', (context) => context.skip('no such device here'))
      describe('inner', () => { test('holds too', () => {}) })`,
  })
  expect(lines.at(-1)).toBe('2 passed, 1 failed, 1 skipped')
  expect(lines).toContain('skipped: mixed.test.ts: cannot be tried (no such device here)')
  expect(status).toBe(1)
})

test('npm test succeeds when nothing failed', async () => {
  const { status, lines } = await runTests({
    'good.test.ts': "import { test } from 'vitest'; test('holds', () => {})",
  })
  expect(lines.at(-1)).toBe('1 passed, 0 failed, 0 skipped')
  expect(status).toBe(0)
})

test('a test file that does not load is a failure, not a skip', async () => {
  const { status, lines } = await runTests({
    'broken.test.ts': "import { test } from 'vitest'; throw new Error('no'); test('never', () => {})",
  })
  expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped')
  expect(status).toBe(1)
})

test('an error outside every test is a failure', async () => {
  const { status, lines } = await runTests({
    'stray.test.ts': `import { test } from 'vitest'
      test('holds', async () => {
        void Promise.reject(new Error('nobody waits for me'))
        await new Promise((resolve) => setTimeout(resolve, 50))
      })`,
  })
  expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped')
  expect(status).toBe(1)
})

test('a test file whose event loop never turns again is named, and fails the run in the place of holding it up', async () => {
  const { status, output } = await runTests(
    {
      'hangs.test.ts': `
        import { setTimeout as wait } from 'node:timers/promises'
        import { test } from 'vitest'
        test('holds', () => {})
        test('spins', async () => {
          await wait(1000)
          for (;;) await undefined
        })`,
    },
    { [silenceVariable]: '5000' },
  )
  expect(output).toMatch(/hangs\.test\.ts says nothing for \d+ s: spins\n/)
  expect(output).toMatch(/\n1 passed, 1 failed, 1 skipped\n$/)
  expect(status).toBe(1)
})

test.each([
  ['no command', []],
  ['an unknown command', ['nonesuch']],
  ['an unknown option', ['cards', '--nonesuch']],
])('mafraq exits with 2 when it is called wrongly: %s', async (_, args) => {
  const { status } = await run(join(projectFolder, 'bin/mafraq'), args)
  expect(status).toBe(2)
})

test('mafraq lists its commands, from whatever folder it is called', async () => {
  const { status, output } = await run(join(projectFolder, 'bin/mafraq'), ['--help'], { cwd: '/' })
  expect(output).toMatch(/^ {2}cards .*test cards/m)
  expect(status).toBe(0)
})

/** `npm test` on test files of our own making, in a folder where they find vitest. */
async function runTests(
  files: Record<string, string>,
  environment: Record<string, string> = {},
): Promise<{ status: number; lines: string[]; output: string }> {
  mkdirSync(join(projectFolder, '.run'), { recursive: true })
  const folder = mkdtempSync(join(projectFolder, '.run', 'tests-'))
  try {
    const all = { ...files, 'vitest.config.js': 'export default {}' }
    for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text)
    const program = join(projectFolder, 'bin/test.ts')
    const { status, output } = await run(process.execPath, [program, '--root', folder], { environment })
    return { status, lines: output.trimEnd().split('\n'), output }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(
  program: string,
  args: readonly string[],
  { cwd, environment }: { cwd?: string; environment?: Record<string, string> } = {},
): Promise<{ status: number; output: string }> {
  // What vitest tells its workers must not reach the vitest inside.
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')))
  return new Promise((done) => {
    execFile(program, [...args], { cwd, env: { ...own, ...environment } }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : Number(error.code), output: stderr + stdout })
    })
  })
}
