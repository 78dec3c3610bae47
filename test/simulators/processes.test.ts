import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { trafficCommand } from '../../bin/commands/traffic.ts'
import { readBook } from '../../simulators/book.ts'
import { cardNamed } from '../../simulators/cards.ts'
import type { TestKey } from '../../simulators/keys.ts'
import { newFolder } from './folder.ts'
import { eventually } from './eventually.ts'
import { ModelSwitch } from './model-switch.ts'
import { again, NetworkClient, purchaseOf, zoneKeys } from './network-client.ts'
import { macKey, pinKey, type ScriptedSwitch, scriptedSwitch } from './scripted-switch.ts'

let folder: string
let children: ChildProcess[]
beforeEach(async () => {
  children = []
  folder = await newFolder()
  const keys = [macKey, pinKey, zoneKeys.pin, zoneKeys.mac].map((key: TestKey) => ({
    ...key,
    value: key.value.toString('hex'),
  }))
  await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }))
})
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

interface Started {
  readonly child: ChildProcess
  readonly ready: {
    readonly port: number
    readonly control: { readonly host: string; readonly port: number }
  }
}

async function start(program: string, config: object): Promise<Started> {
  const child = await run(program, config)
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line.startsWith('READY ')) return { child, ready: JSON.parse(line.slice(6)) as Started['ready'] }
  }
  throw new Error(`${program} ended before it was ready`)
}

async function run(program: string, config: object): Promise<ChildProcess> {
  const file = join(folder, 'config.json')
  await writeFile(
    file,
    JSON.stringify({ keyFile: join(folder, 'keys.json'), control: { port: 0 }, ...config }),
  )
  const child = spawn(process.execPath, [`bin/${program}`, '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  return child
}

const call = async ({ ready }: Started, path: string, body?: object): Promise<Record<string, unknown>> => {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`http://${ready.control.host}:${ready.control.port}${path}`, options)
  return { httpStatus: response.status, ...((await response.json()) as object) }
}

async function ended(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<unknown> {
  child.kill(signal)
  const [code] = (await once(child, 'exit')) as unknown[]
  return code
}

async function linesOf(book: string): Promise<Record<string, unknown>[]> {
  const read: Record<string, unknown>[] = []
  for await (const line of readBook(join(folder, book))) read.push({ ...line })
  return read
}

describe('the network process', () => {
  const config = (): object => ({
    name: 'knet',
    network: 'knet',
    port: 0,
    book: join(folder, 'knet.jsonl'),
    keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' },
  })

  test('keeps its memory over a kill', async () => {
    const first = await start('simulator-network.ts', config())
    const client = await NetworkClient.signedOn(first.ready.port)
    const sent = purchaseOf({ card: cardNamed('knet'), amountMinor: 12_500n })
    const authId = (await client.ask(sent)).text(38)
    await ended(first.child, 'SIGKILL')
    client.close()
    const second = await start('simulator-network.ts', config())
    const again_ = await NetworkClient.signedOn(second.ready.port)
    expect((await again_.ask(again(sent))).text(38)).toBe(authId)
    expect(await call(second, '/status')).toMatchObject({ repeats: 1, approved: 0, debitedMinor: '12500' })
    again_.close()
    expect(await ended(second.child, 'SIGTERM')).toBe(0)
  })
})

describe('the terminals process', () => {
  let peer: ScriptedSwitch
  let model: ModelSwitch
  beforeEach(async () => {
    peer = await scriptedSwitch()
    model = new ModelSwitch()
    peer.onRequest = (request) => model.serve(request)
  })
  afterEach(() => peer.close())

  const config = (more: object = {}): object => ({
    port: peer.port,
    book: join(folder, 'terminals.jsonl'),
    keys: { pin: 'tpk.acq1.in', mac: 'tak.acq1.both' },
    terminals: 20,
    rate: 100,
    seed: 1,
    timeoutMs: 300,
    reversalEveryMs: 50,
    ...more,
  })

  test('is started, stopped and told its rate from outside', async () => {
    const terminals = await start('simulator-terminals.ts', config())
    await expect
      .poll(async () => (await call(terminals, '/status'))['approved'], { timeout: 15_000 })
      .toBeGreaterThan(20)
    expect(await call(terminals, '/rate', { rate: 20 })).toMatchObject({ running: true, rate: 20 })
    expect((await call(terminals, '/rate', { rate: 0 }))['httpStatus']).toBe(400)
    expect((await call(terminals, '/stop?waitMs=x', {}))['httpStatus']).toBe(400)
    const stopped = await call(terminals, '/stop?waitMs=10000', {})
    expect(stopped).toMatchObject({ result: 'settled', running: false, outstanding: 0, surprises: 0 })
    const { rrn } = stopped['firstApproved'] as { rrn: string }
    expect(await linesOf('terminals.jsonl')).toContainEqual(
      expect.objectContaining({ event: 'answer', rrn, responseCode: '00' }),
    )
    expect(await call(terminals, '/start', {})).toMatchObject({ running: true })
    expect(await ended(terminals.child, 'SIGTERM')).toBe(0)
  })

  test('takes up after a kill what it had left open', async () => {
    peer.onRequest = () => undefined
    const first = await start('simulator-terminals.ts', config({ mix: { approve: 1 }, timeoutMs: 60_000 }))
    await eventually(() => peer.received.length).toBeGreaterThan(10)
    await ended(first.child, 'SIGKILL')
    const open = new Set((await linesOf('terminals.jsonl')).map(({ rrn }) => rrn))
    peer.onRequest = (request) => model.serve(request)
    const second = await start('simulator-terminals.ts', config({ mix: { approve: 1 }, seconds: 0.3 }))
    await expect.poll(async () => (await call(second, '/status'))['running'], { timeout: 15_000 }).toBe(false)
    expect((await call(second, '/stop', {}))['result']).toBe('settled')
    const reversed = (await linesOf('terminals.jsonl')).filter(({ event }) => event === 'reversalAnswer')
    expect(new Set(reversed.map(({ rrn }) => rrn))).toEqual(open)
  })

  test('is asked by the traffic command', async () => {
    const terminals = await start('simulator-terminals.ts', config())
    await writeFile(
      join(folder, 'endpoints.json'),
      JSON.stringify({
        version: 1,
        terminals: { control: terminals.ready.control, book: join(folder, 'terminals.jsonl') },
      }),
    )
    await eventually(() => peer.received.length).toBeGreaterThan(20)
    expect(await traffic('rate', '50')).toMatch(/50 purchases a second/)
    expect(JSON.parse(await traffic('status', '--json'))).toMatchObject({
      running: true,
      rate: 50,
      surprises: 0,
    })
    expect(await traffic('stop', '--wait', '10')).toMatch(/stopped.*\nRESULT ok\n$/s)
    expect(await traffic('start')).toMatch(/50 purchases a second/)
    await ended(terminals.child, 'SIGKILL')
    await expect(traffic('status')).rejects.toThrow('do not answer')
  })

  test.each([
    ['without a port', { port: undefined }, /port: a number from 0 to 65535 is needed/],
    [
      'with a scenario that is none',
      { mix: { approve: 1, aprove: 1 } },
      /mix.aprove: a known name is needed/,
    ],
    [
      'with a key that the key file lacks',
      { keys: { pin: 'tpk.acq9.in', mac: 'tak.acq1.both' } },
      /key tpk.acq9.in: unknown/,
    ],
  ])('ends %s, and says why', async (_, more, why) => {
    const child = await run('simulator-terminals.ts', config(more))
    let said = ''
    child.stderr!.on('data', (piece: Buffer) => {
      said += piece.toString()
    })
    const [code] = (await once(child, 'close')) as unknown[]
    expect(code).not.toBe(0)
    expect(said).toMatch(why)
    expect(said).not.toContain(pinKey.value.toString('hex'))
  })
})

async function traffic(...args: string[]): Promise<string> {
  let printed = ''
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = (text: string | Uint8Array): boolean => {
    printed += String(text)
    return true
  }
  try {
    await trafficCommand().parseAsync([...args, '--state', folder], { from: 'user' })
  } finally {
    process.stdout.write = write
  }
  return printed
}
