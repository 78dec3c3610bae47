import { afterEach, beforeEach, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import { decryptPin } from '../../simulators/keys.ts'
import { responseCodeOf, Terminal } from '../../simulators/terminals/terminal.ts'
import { eventually } from './eventually.ts'
import { macKey, pinKey, type ScriptedSwitch, scriptedSwitch } from './scripted-switch.ts'

let peer: ScriptedSwitch
let terminal: Terminal
beforeEach(async () => {
  peer = await scriptedSwitch()
  terminal = await Terminal.open({
    host: '127.0.0.1',
    port: peer.port,
    terminalId: 'T0000001',
    merchantId: '000000000000001',
    keys: { pin: pinKey, mac: macKey },
    timeoutMs: 2_000,
  })
})
afterEach(async () => {
  terminal.close()
  await peer.close()
})

const card = cardNamed('knet')
const amountMinor = 12_500n

test('a purchase carries its elements, a PIN under the terminal key and a good seal', async () => {
  let sealGood: boolean | undefined
  peer.onRequest = (request) => {
    sealGood = request.sealGood
    request.answer({ 39: '00', 38: 'A00001' })
  }
  const { answer, purchase } = await terminal.purchase({ card, amountMinor })
  expect(sealGood).toBe(true)
  expect(answer).toMatchObject({
    kind: 'answer',
    seal: 'good',
    message: { mti: '0210', fields: { 38: 'A00001', 39: '00' } },
  })
  const [{ mti, fields }] = peer.received as [(typeof peer.received)[number]]
  expect(mti).toBe('0200')
  expect(fields).toMatchObject({
    2: card.pan,
    3: '000000',
    4: '000000012500',
    11: '000001',
    14: card.expiry,
    22: '011',
    25: '00',
    37: purchase.rrn,
    41: 'T0000001',
    42: '000000000000001',
    49: '414',
  })
  expect(decryptPin(pinKey, { block: Buffer.from(fields[52]!, 'hex'), pan: card.pan })).toBe(card.pin)
  // Kuwait is three hours ahead of the UTC of DE7.
  const hourUtc = Number(fields[7]!.slice(4, 6))
  expect(Number(fields[12]!.slice(0, 2))).toBe((hourUtc + 3) % 24)
  expect(fields[12]!.slice(2)).toBe(fields[7]!.slice(6))
})

test('a card that was swiped is in DE35 alone', async () => {
  await terminal.purchase({ card, amountMinor, entry: 'track2' })
  expect(peer.received[0]!.fields[2]).toBeUndefined()
  expect(peer.received[0]!.fields[35]).toMatch(new RegExp(`^${card.pan}=${card.expiry}201`))
})

test('a repeat is the same message with another type and seal', async () => {
  const asked = await terminal.purchase({ card, amountMinor })
  expect(responseCodeOf(await terminal.repeat(asked))).toBe('00')
  const [first, second] = peer.received
  expect([first!.mti, second!.mti]).toEqual(['0200', '0201'])
  expect({ ...second!.fields, 64: first!.fields[64] }).toEqual(first!.fields)
  expect(second!.fields[64]).not.toBe(first!.fields[64])
})

test('a reversal names its original in DE90, and its repeat is the same message', async () => {
  const asked = await terminal.purchase({ card, amountMinor })
  const { message, reply } = terminal.reverse(asked)
  expect(await reply).toMatchObject({ kind: 'answer', message: { mti: '0430' } })
  await terminal.reverse(asked, { again: message }).reply
  const [original, reversal, repeat] = peer.received
  expect(reversal!.fields[90]).toBe(`0200${original!.fields[11]}${original!.fields[7]}${'0'.repeat(22)}`)
  expect(reversal!.fields).toMatchObject({
    11: '000002',
    37: original!.fields[37],
    128: expect.any(String) as string,
  })
  expect(reversal!.fields[52]).toBeUndefined()
  expect(repeat!.mti).toBe('0421')
  expect({ ...repeat!.fields, 128: '' }).toEqual({ ...reversal!.fields, 128: '' })
})

test('a reversal request is 0400 and its answer 0410', async () => {
  const asked = await terminal.purchase({ card, amountMinor })
  expect(await terminal.reverse(asked, { mti: '0400' }).reply).toMatchObject({ message: { mti: '0410' } })
})

test("silence is no answer, and the answer that comes later is nobody's", async () => {
  let late: (() => void) | undefined
  peer.onRequest = (request) => {
    late = () => request.answer({ 39: '00', 38: 'A00001' })
  }
  const { answer } = await terminal.purchase({ card, amountMinor, timeoutMs: 50 })
  expect(answer).toEqual({ kind: 'noAnswer', why: 'timeout' })
  late?.()
  await eventually(() => terminal.unmatched.length).toBe(1)
})

test('an answer with a wrong seal is kept apart and counts as silence', async () => {
  peer.onRequest = (request) => request.answer({ 39: '00', 38: 'A00001' }, { seal: 'wrong' })
  expect((await terminal.purchase({ card, amountMinor, timeoutMs: 100 })).answer.kind).toBe('noAnswer')
  expect(terminal.badSeals).toHaveLength(1)
})

test('an answer without a seal says so', async () => {
  peer.onRequest = (request) => request.answer({ 39: '30' }, { seal: 'none' })
  expect((await terminal.purchase({ card, amountMinor })).answer).toMatchObject({
    kind: 'answer',
    seal: 'absent',
  })
})

test('a spoiled seal, a missing one and a changed element leave as asked', async () => {
  const seals: (boolean | undefined)[] = []
  peer.onRequest = (request) => {
    seals.push(request.sealGood)
    request.answer({ 39: '63' })
  }
  await terminal.purchase({ card, amountMinor, seal: 'wrong' })
  await terminal.purchase({ card, amountMinor, seal: 'none' })
  await terminal.purchase({ card, amountMinor, fields: { 25: '08', 14: undefined }, pin: null })
  expect(seals).toEqual([false, undefined, true])
  expect(peer.received[2]!.fields).toMatchObject({ 25: '08' })
  expect(peer.received[2]!.fields).not.toHaveProperty('14')
  expect(peer.received[2]!.fields).not.toHaveProperty('52')
})

test('purchases in flight get their own answers, in whatever order they come', async () => {
  const waiting: (() => void)[] = []
  peer.onRequest = (request) => {
    waiting.push(() => request.answer({ 39: '00', 38: `A${request.message.fields[11]!.slice(1)}` }))
    if (waiting.length === 3) for (const go of waiting.reverse()) go()
  }
  const asked = [1, 2, 3].map(() => terminal.begin({ card, amountMinor }))
  for (const { purchase, reply } of asked) {
    expect(await reply).toMatchObject({
      message: { fields: { 37: purchase.rrn, 38: `A${purchase.stan.slice(1)}` } },
    })
  }
})

test('a lost line is no answer at once, and the terminal comes back', async () => {
  peer.onRequest = (request) => request.drop()
  expect((await terminal.purchase({ card, amountMinor })).answer).toEqual({
    kind: 'noAnswer',
    why: 'lineLost',
  })
  peer.onRequest = (request) => request.answer({ 39: '00', 38: 'A00001' })
  await eventually(() => terminal.channel.up).toBe(true)
  expect(responseCodeOf((await terminal.purchase({ card, amountMinor })).answer)).toBe('00')
})

test('nothing leaves while the line is down', async () => {
  await peer.close()
  await eventually(() => terminal.channel.up).toBe(false)
  expect((await terminal.purchase({ card, amountMinor })).answer).toEqual({ kind: 'notSent' })
  peer = await scriptedSwitch(peer.port)
})

test('an echo goes out on connect, and is answered', async () => {
  await eventually(() => peer.echoes).toBeGreaterThan(0)
  expect(await terminal.echo()).toMatchObject({
    kind: 'answer',
    message: { mti: '0810', fields: { 39: '00', 70: '301' } },
  })
})

test('garbage from the switch is passed over', async () => {
  peer.onRequest = (request) => {
    for (const garbage of [Buffer.alloc(0), Buffer.from('02'), Buffer.alloc(300, 0xff)]) request.raw(garbage)
    request.answer({ 39: '00', 38: 'A00001' })
  }
  expect(responseCodeOf((await terminal.purchase({ card, amountMinor })).answer)).toBe('00')
})
