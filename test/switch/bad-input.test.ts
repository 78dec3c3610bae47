import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import type { Reply } from '../../simulators/terminals/channel.ts'
import type { Terminal } from '../../simulators/terminals/terminal.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld
/** One that behaves, on a line of its own. Whatever happens on other lines, it must be served. */
let bystander: Terminal

beforeAll(async () => {
  world = await openSwitchWorld()
  bystander = await world.terminal()
}, 120_000)

afterAll(() => world.close())

async function line(): Promise<Socket> {
  const socket = connect(world.system.endpoints.switch.iso8583)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

async function served(): Promise<void> {
  expect((await bystander.echo()).kind).toBe('answer')
  const { answer } = await bystander.purchase({ card: cardNamed('knet'), amountMinor: 1_500n })
  expect(code(answer)).toBe('00')
}

function code(reply: Reply): string | undefined {
  return reply.kind === 'answer' ? reply.message.fields[39] : reply.kind
}

function framed(body: Buffer | string): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.alloc(2)
  head.writeUInt16BE(bytes.length)
  return Buffer.concat([head, bytes])
}

async function transactions(): Promise<number> {
  const { rows } = await world.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM switch.transaction')
  return rows[0]!.n
}

test('F01 a frame longer than any message closes that line and no other', async () => {
  const socket = await line()
  socket.write(Buffer.from([0xff, 0xff, 0x30]))
  await once(socket, 'close')
  await served()
})

test('F01 a frame of no length closes that line', async () => {
  const socket = await line()
  socket.write(Buffer.from([0, 0]))
  await once(socket, 'close')
  await served()
})

test('F02 a frame that is begun and never ended closes that line and makes no transaction', async () => {
  const before = await transactions()
  const socket = await line()
  socket.write(Buffer.from([0x01, 0x00, 0x30, 0x32]))
  // A byte now and then doesn't help: the frame as a whole has its time.
  const trickle = setInterval(() => socket.write('0'), 500)
  await once(socket, 'close')
  clearInterval(trickle)
  expect(await transactions()).toBe(before)
  await served()
})

test('F03 a line cut in the middle of a message leaves nothing', async () => {
  const before = await transactions()
  const socket = await line()
  socket.write(Buffer.from([0x01, 0x00, 0x30, 0x32]))
  socket.resetAndDestroy()
  await served()
  expect(await transactions()).toBe(before + 1)
})

test('F04 garbage in a sound frame is not answered, and the line goes on', async () => {
  const socket = await line()
  socket.write(framed(Buffer.alloc(300, 0xa5)))
  socket.write(framed('9999'))
  socket.write(framed(`080082200000000000000400000000000000`))
  const terminal = await world.terminal()
  expect((await terminal.echo()).kind).toBe('answer')
  expect(socket.closed).toBe(false)
  socket.destroy()
  await served()
})

test('F04 a message that can be read as far as DE11 is answered 30 with it', async () => {
  const terminal = await world.terminal()
  const { answer, message } = await terminal.purchase({
    card: cardNamed('knet'),
    amountMinor: 1_000n,
    fields: { 13: '11X2' },
  })
  expect(code(answer)).toBe('30')
  expect(answer.kind === 'answer' && answer.message.fields[11]).toBe(message.fields[11])
})

test('M5 a type nobody serves is answered 12, and the line goes on', async () => {
  const terminal = await world.terminal()
  const asked = terminal.begin({ card: cardNamed('knet'), amountMinor: 1_000n })
  await asked.reply
  const reply = await terminal.ask({ ...asked.message, mti: '0600' })
  expect(code(reply)).toBe('12')
  expect((await terminal.echo()).kind).toBe('answer')
})

test('F06 a missing seal is refused, and nothing is processed', async () => {
  const before = await transactions()
  const terminal = await world.terminal()
  const { answer } = await terminal.purchase({ card: cardNamed('knet'), amountMinor: 1_000n, seal: 'none' })
  expect(code(answer)).toBe('63')
  expect(await transactions()).toBe(before)
})

test('X3: three wrong seals in a row on a line are told to people, once; each is refused like the first', async () => {
  const told = async (): Promise<string[]> => {
    const { host, port } = world.system.endpoints.switch.http
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text()
    return text.split('\n').filter((line) => line.includes('wrong again and again'))
  }
  const terminal = await world.terminal()
  for (let count = 1; count <= 4; count++) {
    expect(await told()).toHaveLength(count > 3 ? 1 : 0)
    const { answer } = await terminal.purchase({
      card: cardNamed('knet'),
      amountMinor: 1_000n,
      seal: 'wrong',
    })
    expect(code(answer)).toBe('63')
  }
  expect(await told()).toEqual([expect.stringMatching(/ 1$/)])
})

test('F09: a malformed PIN block is refused before anything is sent to the network', async () => {
  const terminal = await world.terminal()
  const { answer, purchase } = await terminal.purchase({
    card: cardNamed('knet'),
    amountMinor: 1_000n,
    fields: { 52: '0123456789ABCDEF' },
  })
  expect(code(answer)).toBe('63')
  expect((await world.life(purchase.rrn)).legs).toMatchObject([{ state: 'notSent' }])
})

test('lines that connect and say nothing keep nobody from being served', async () => {
  // Twenty new lines a second are taken from one address, and the tests before this one opened some.
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const idle = await Promise.all(Array.from({ length: 15 }, () => line()))
  await served()
  for (const socket of idle) socket.destroy()
})
