import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Canaries, scanFolder } from '../../bin/environment/canary.ts'
import { readEndpoints } from '../../bin/environment/endpoints.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { enterableFolder } from '../support/server.ts'

// The whole system, twice on one state folder: these two tests belong together, in this order.
const stateFolder = enterableFolder()
afterAll(() => rmSync(stateFolder, { recursive: true, force: true }))
const patience = 180_000

test(
  'npm start --once starts everything, sends traffic, proves it right and leaves nothing running',
  async () => {
    const { status, lines } = await start([
      '--once',
      '--seconds',
      '3',
      '--rate',
      '10',
      '--state',
      stateFolder,
    ])
    expect(lines.at(-1), lines.join('\n')).toBe('RESULT ok')
    expect(status).toBe(0)
    expect(lines.join('\n')).toMatch(/first approved purchase: RRN \d{12}/)
    expect(lines.join('\n')).toMatch(/^books: terminals 30 {2}issuers \d+ {2}ledger \d+$/m)
    expect(processesOf(stateFolder)).toEqual([])

    const { hsm, keyFile } = readEndpoints(stateFolder)
    for (const secret of [
      keyFile,
      join(stateFolder, 'endpoints.json'),
      'pinFile' in hsm ? hsm.pinFile : keyFile,
    ]) {
      expect(statSync(secret).mode & 0o077).toBe(0)
    }
  },
  patience,
)

test(
  'npm start goes on until Ctrl-C, then ends everything in order',
  async () => {
    const { status, lines } = await start(['--rate', '10', '--state', stateFolder], {
      endAfter: 'Ctrl-C ends',
    })
    expect(lines.at(-1), lines.join('\n')).toMatch(/stopped$/)
    expect(status).toBe(0)
    const [, rrn] = /bin\/mafraq explain (\d{12})/.exec(lines.join('\n')) ?? []
    expect(rrn).toBeDefined()
    expect(processesOf(stateFolder)).toEqual([])
    const wal = readFileSync(join(stateFolder, 'logs/postgres.log'), 'utf8')
    expect(wal).not.toContain('was not properly shut down')
  },
  patience,
)

test(
  'npm start --once proves two networks and two nodes with certificates on every line as it does the simplest system',
  async () => {
    const shape = ['--networks', 'knet,mastercard', '--nodes', '2', '--tls']
    const { status, lines } = await start(['--once', '--seconds', '3', '--rate', '10', ...shape])
    expect(lines.at(-1), lines.join('\n')).toBe('RESULT ok')
    expect(status).toBe(0)
    expect(lines.join('\n')).toMatch(/signed on to KNET, mastercard$/m)
    expect(lines.join('\n')).toMatch(/another node on 127\.0\.0\.1:\d+$/m)
  },
  patience,
)

test(
  'a card number planted in the log of that run is found there',
  async () => {
    const { pan } = cardNamed('knet')
    const canaries = new Canaries([{ kind: 'pan', name: 'knet', value: pan }])
    expect((await scanFolder(stateFolder, canaries)).hits).toEqual([])
    const log = join(stateFolder, 'logs/switch.log')
    writeFileSync(log, `{"level":30,"msg":"card ${pan}"}\n`, { flag: 'a' })
    const { hits } = await scanFolder(stateFolder, canaries)
    expect(hits).toMatchObject([{ file: 'logs/switch.log', kind: 'pan', name: 'knet', encoding: 'text' }])
  },
  patience,
)

test.each([
  [['--rate', 'many']],
  [['--nonesuch']],
  [['--once', '--seconds', '0']],
  [['--networks', 'nonesuch']],
  [['--nodes', '0']],
])('npm start exits with 2 when it is called wrongly: %s', async (args) => {
  const { status, lines } = await start(args)
  expect(status).toBe(2)
  expect(lines.join()).toBe('')
})

function start(
  args: readonly string[],
  options: { endAfter?: string } = {},
): Promise<{ status: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/start.ts'), ...args])
  let output = ''
  child.stdout.on('data', (piece: Buffer) => {
    output += piece.toString()
    if (options.endAfter !== undefined && output.includes(options.endAfter)) {
      options = {}
      child.kill('SIGINT')
    }
  })
  return new Promise((done, failed) => {
    child.once('error', failed)
    child.once('close', (status) => done({ status, lines: output.trimEnd().split('\n') }))
  })
}

/** Commands of living processes that name the folder, or work in it. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter((command) => command.includes(folder))
}
