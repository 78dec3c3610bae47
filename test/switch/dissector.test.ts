import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

/** Another reader of ISO 8583, which shares nothing with ours. */
const dissectorOptions = [
  ...['-o', 'iso8583.len_endian:Big endian'],
  ...['-o', 'iso8583.charset:Digits represented as ASCII Characters'],
  ...['-o', 'iso8583.binencode:Bin data represented as Hex Ascii characters'],
]

const why = missing()

function missing(): string | undefined {
  if (process.env['TEST_TSHARK'] !== '1')
    return 'opt-in: TEST_TSHARK=1 with tshark installed (apt-get install tshark)'
  if (spawnSync('tshark', ['-v']).status !== 0) return 'tshark is not installed: apt-get install tshark'
  if (!spawnSync('tshark', ['-D'], { encoding: 'utf8' }).stdout.includes('lo'))
    return 'no right to capture on lo'
  return undefined
}

let world: SwitchWorld
const folder = mkdtempSync(join(tmpdir(), 'mafraq-capture-'))

beforeAll(async () => {
  if (why === undefined) world = await openSwitchWorld()
}, 120_000)

afterAll(async () => {
  if (why === undefined) await world.close()
  rmSync(folder, { recursive: true, force: true })
})

test('tshark reads the traffic of the terminals as ISO 8583, with nothing malformed', async (context) => {
  if (why !== undefined) return context.skip(why)
  const { port } = world.system.endpoints.switch.iso8583
  const file = join(folder, 'terminals.pcap')
  const capture = await startCapture(port, file)
  const terminal = await world.terminal()
  await terminal.echo()
  const asked = await terminal.purchase({ card: cardNamed('knet'), amountMinor: 12_500n })
  await terminal.purchase({ card: cardNamed('knet'), amountMinor: 2_000n, entry: 'track2' })
  await terminal.reverse(asked).reply
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  capture.kill('SIGINT')
  await once(capture, 'exit')

  const { stdout, stderr, status } = spawnSync(
    'tshark',
    [
      ...['-r', file, '-d', `tcp.port==${port},iso8583`, ...dissectorOptions],
      ...['-Y', 'iso8583', '-T', 'fields', '-E', 'separator=;'],
      ...[
        '-e',
        'iso8583.mti',
        '-e',
        'iso8583.bit3',
        '-e',
        'iso8583.bit4',
        '-e',
        '_ws.malformed',
        '-e',
        '_ws.expert',
      ],
    ],
    { encoding: 'utf8' },
  )
  expect(status, stderr).toBe(0)
  const messages = stdout.trim().split('\n')
  const types = messages.map((line) => line.split(';')[0])
  expect(types).toEqual(expect.arrayContaining(['0800', '0810', '0200', '0210', '0420', '0430']))
  expect(messages.filter((line) => line.split(';')[3] !== '')).toEqual([])
  expect(messages.some((line) => line.includes('000000012500'))).toBe(true)
}, 60_000)

async function startCapture(port: number, file: string): Promise<ChildProcess> {
  const capture = spawn('tshark', ['-i', 'lo', '-f', `tcp port ${port}`, '-w', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for await (const line of capture.stderr) if (String(line).includes('Capturing')) break
  // It says so a little before it does so.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  return capture
}
