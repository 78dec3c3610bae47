import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

// Inside the project, so that the checker finds its compiler; it sees nothing of the project's own files from there.
mkdirSync(join(projectFolder, '.run'), { recursive: true })
const copy = mkdtempSync(join(projectFolder, '.run', 'walls-'))
for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
  copyFileSync(join(projectFolder, name), join(copy, name))
}
afterAll(() => rmSync(copy, { recursive: true, force: true }))

/** One wrong import each, and the rule that must name it. */
const wrong = [
  ['ledger/writer.ts', 'hsm/hsm.ts', 'ledger-imports-only-kernel'],
  ['iso8583/decode.ts', 'ledger/ledger.ts', 'iso8583-imports-only-kernel'],
  ['kernel/clock.ts', 'ledger/ledger.ts', 'kernel-imports-only-itself'],
  ['simulators/network.ts', 'switch/switch.ts', 'simulators-imports-only-kernel-iso8583'],
  ['switch/routing.ts', 'simulators/cards.ts', 'switch-imports-only-kernel-iso8583-connectors-hsm-ledger'],
  ['switch/shell.ts', 'hsm/keys.ts', 'hsm-by-its-front-door'],
  ['front/server.ts', 'ledger/chain.ts', 'ledger-by-its-front-door'],
  ['connectors/knet/session.ts', 'connectors/visa/session.ts', 'a-network-never-imports-another'],
  ['hsm/client.ts', 'hsm/nonesuch.ts', 'resolvable'],
] as const

let refused = { status: 0, output: '' }
beforeAll(async () => {
  refused = await cruise([
    ...wrong.map(([from, to]) => ({ from, to })),
    { from: 'ledger/report.ts', to: 'hsm/hsm.ts', how: 'import type' },
    { from: 'iso8583/one.ts', to: 'iso8583/other.ts' },
    { from: 'iso8583/other.ts', to: 'iso8583/one.ts' },
  ])
})

test('the check fails when a wall is broken', () => {
  expect(refused.status).toBeGreaterThan(0)
})

test.each(wrong)('%s may not import %s', (from, to, rule) => {
  // What cannot be resolved is named as it is written.
  const target = rule === 'resolvable' ? './nonesuch.ts' : to
  expect(refused.output).toContain(`error ${rule}: ${from} → ${target}`)
})

test('an import of types alone is an import', () => {
  expect(refused.output).toContain('error ledger-imports-only-kernel: ledger/report.ts → hsm/hsm.ts')
})

test('a circle inside a room is refused', () => {
  expect(refused.output).toMatch(/error no-circular: iso8583\/(one|other)\.ts/)
})

test('a room may use what it stands on, and others by their front doors', async () => {
  const { status, output } = await cruise([
    { from: 'switch/shell.ts', to: 'hsm/hsm.ts' },
    { from: 'switch/journal.ts', to: 'ledger/ledger.ts' },
    { from: 'hsm/client.ts', to: 'kernel/clock.ts' },
    { from: 'connectors/knet/session.ts', to: 'iso8583/iso8583.ts' },
  ])
  expect(output).toContain('no dependency violations found')
  expect(status).toBe(0)
})

/** The project's own rules over a tree of nothing but these imports. */
async function cruise(
  imports: readonly { readonly from: string; readonly to: string; readonly how?: string }[],
): Promise<{ status: number; output: string }> {
  const paths = imports.flatMap(({ from, to }) => [from, to]).filter((path) => !path.includes('nonesuch'))
  const files = new Map(paths.map((path) => [path, 'export const x = 1\n']))
  for (const { from, to, how = 'import' } of imports) {
    const there = relative(dirname(from), to)
    const specifier = there.startsWith('.') ? there : `./${there}`
    files.set(from, `${how} { x as other } from '${specifier}'\nexport const x = 1\n`)
  }
  for (const [path, text] of files) {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    writeFileSync(join(copy, path), text)
  }
  const rooms = [...new Set([...files.keys()].map((path) => path.split('/')[0]!))]
  try {
    return await depcruise(['--config', '.dependency-cruiser.cjs', ...rooms])
  } finally {
    for (const room of rooms) rmSync(join(copy, room), { recursive: true })
  }
}

function depcruise(args: readonly string[]): Promise<{ status: number; output: string }> {
  const program = join(projectFolder, 'node_modules/.bin/depcruise')
  const options = { cwd: copy, env: { ...process.env, NO_COLOR: '1' } }
  return new Promise((done) => {
    execFile(program, [...args], options, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : Number(error.code), output: stdout + stderr })
    })
  })
}
