import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openBook, readBook } from '../../simulators/book.ts'
import { testCards } from '../../simulators/cards.ts'
import type { TerminalLine } from '../../simulators/terminals/book-lines.ts'
import { Estate, type EstateOptions } from '../../simulators/terminals/estate.ts'
import { Numbering } from '../../simulators/terminals/numbering.ts'
import { recover } from '../../simulators/terminals/recovery.ts'
import { type Mix, type ScenarioName, scenarioNames } from '../../simulators/terminals/scenarios.ts'
import { newFolder } from './folder.ts'
import { eventually } from './eventually.ts'
import { ModelSwitch } from './model-switch.ts'
import { macKey, pinKey, type Request, type ScriptedSwitch, scriptedSwitch } from './scripted-switch.ts'

let peer: ScriptedSwitch
let model: ModelSwitch
let path: string
let estates: Estate[]
beforeEach(async () => {
  peer = await scriptedSwitch()
  model = new ModelSwitch()
  peer.onRequest = (request) => model.serve(request)
  path = join(await newFolder(), 'terminals.jsonl')
  estates = []
})
afterEach(async () => {
  for (const estate of estates) await estate.close()
  await peer.close()
})

/** An estate over the test's book, as its process would open it. */
async function openEstate(options: Partial<EstateOptions> = {}): Promise<Estate> {
  const numbering = new Numbering(Date.now())
  const unresolved = await recover(path, numbering)
  const estate = new Estate(
    {
      host: '127.0.0.1',
      port: peer.port,
      keys: { pin: pinKey, mac: macKey },
      terminals: 40,
      rate: 200,
      seed: 7,
      timeoutMs: 2_000,
      reversalEveryMs: 60,
      connections: 3,
      ...options,
    },
    await openBook(path),
    numbering,
  )
  estate.resume(unresolved)
  estates.push(estate)
  await eventually(() => (estate.status() as { lines: { up: number } }).lines.up).toBeGreaterThan(0)
  return estate
}

async function lines(): Promise<TerminalLine[]> {
  const read: TerminalLine[] = []
  for await (const line of readBook(path)) read.push(line as unknown as TerminalLine)
  return read
}

const only = (name: ScenarioName): Mix => ({ [name]: 1 })
const counted = (estate: Estate): Record<string, number> => estate.status() as Record<string, number>
const eventsOf = (all: readonly TerminalLine[], event: TerminalLine['event']): TerminalLine[] =>
  all.filter((line) => line.event === event)

/** Runs until so many purchases were sent, then until all is settled. */
async function run(estate: Estate, purchases: number): Promise<void> {
  estate.start()
  await eventually(() => estate.tally.sent).toBeGreaterThanOrEqual(purchases)
  expect(await estate.stop(10_000)).toBe('settled')
}

test('against a right switch every scenario ends without a surprise, and the book agrees with it', async () => {
  const everything = Object.fromEntries(scenarioNames.map((name) => [name, 1]))
  const estate = await openEstate({ mix: everything, rate: 200, timeoutMs: 10_000 })
  await run(estate, 300)
  expect(estate.tally.surprising).toEqual({})
  expect(estate.tally.unanswered).toBe(0)
  const codes = ['05', '12', '15', '30', '51', '54', '55', '61', '63', '91']
  expect(Object.keys(estate.tally.declined).sort()).toEqual(codes)
  expect(counted(estate)).toMatchObject({
    outstanding: 0,
    reversalsOpen: 0,
    badSeals: 0,
    malformed: 0,
    unsent: 0,
  })

  const book = await lines()
  const reversed = new Set(eventsOf(book, 'reversalAnswer').map(({ rrn }) => rrn))
  const amounts = new Map(
    // What was set aside counts for as much as its completion took.
    book.flatMap((line) =>
      line.event === 'request' || line.event === 'completion' ? [[line.rrn, BigInt(line.amountMinor)]] : [],
    ),
  )
  const kept = book.flatMap((line) =>
    line.event === 'answer' && line.responseCode === '00' && !reversed.has(line.rrn) ? [line.rrn] : [],
  )
  expect(model.posted).toEqual(new Map(kept.map((rrn) => [rrn, amounts.get(rrn)])))
  expect(kept.length).toBeGreaterThan(50)
})

test('no card number and no PIN block is in the book or the status', async () => {
  const estate = await openEstate()
  await run(estate, 60)
  const written = JSON.stringify([await lines(), estate.status()])
  expect(written).toContain('888888******')
  for (const { pan } of testCards) expect(written).not.toContain(pan)
  const pinBlocks = peer.received.flatMap(({ fields }) => fields[52] ?? [])
  expect(pinBlocks.length).toBeGreaterThan(40)
  for (const pinBlock of pinBlocks) expect(written).not.toContain(pinBlock)
})

test('a purchase is in the book before its bytes leave', async () => {
  const unbooked: string[] = []
  peer.onRequest = (request) => {
    void lines().then((book) => {
      const rrn = request.message.fields[37]!
      if (!book.some((line) => line.event === 'request' && line.rrn === rrn)) unbooked.push(rrn)
      model.serve(request)
    })
  }
  await run(await openEstate({ mix: only('approve'), rate: 50 }), 20)
  expect(unbooked).toEqual([])
})

test('the schedule is kept whatever comes back', async () => {
  peer.onRequest = () => undefined
  const estate = await openEstate({
    mix: only('approve'),
    rate: 100,
    timeoutMs: 300,
    terminals: 200,
    repeatShare: 0,
  })
  estate.start()
  const startedAt = performance.now()
  await eventually(() => estate.tally.scheduled).toBeGreaterThanOrEqual(60)
  const seconds = (performance.now() - startedAt) / 1_000
  expect(estate.tally.scheduled).toBeLessThanOrEqual(Math.ceil(seconds * 100) + 15)
  expect(estate.tally.dropped).toBe(0)
})

test('a terminal that waits for a few answers makes no more purchases, and those are counted', async () => {
  peer.onRequest = () => undefined
  const estate = await openEstate({ mix: only('approve'), terminals: 2, connections: 1, timeoutMs: 5_000 })
  estate.start()
  await eventually(() => estate.tally.dropped).toBeGreaterThan(0)
  expect(estate.tally.sent).toBeLessThanOrEqual(8)
})

test('after the seconds it was given it makes no more purchases', async () => {
  const estate = await openEstate({ mix: only('approve'), seconds: 0.3, rate: 100 })
  estate.start()
  await eventually(() => counted(estate)['running']).toBe(false)
  expect(estate.tally.scheduled).toBe(30)
})

test('an unanswered purchase is reversed, and the reversal is repeated until it is acknowledged', async () => {
  const reversals = new Map<string, number>()
  peer.onRequest = ({ message, answer }) => {
    const rrn = message.fields[37]!
    reversals.set(rrn, (reversals.get(rrn) ?? 0) + (message.mti.startsWith('04') ? 1 : 0))
    const count = reversals.get(rrn)!
    if (count > 2) answer({ 39: count === 3 ? '96' : '25' })
  }
  const estate = await openEstate({
    mix: only('approve'),
    terminals: 1,
    connections: 1,
    repeatShare: 0,
    timeoutMs: 50,
    rate: 10,
  })
  await run(estate, 1)
  const first = peer.received.find(({ mti }) => mti === '0420')!
  const same = peer.received.filter(
    ({ fields }) => fields[11] === first.fields[11] && fields[90] === first.fields[90],
  )
  expect(same.map(({ mti }) => mti)).toEqual(['0420', '0421', '0421', '0421'])
  const book = (await lines()).filter(({ rrn }) => rrn === first.fields[37])
  expect(book.map((line) => line.event)).toEqual([
    'request',
    'noAnswer',
    'reversal',
    'reversal',
    'reversal',
    'reversalAnswer',
    'reversal',
    'reversalAnswer',
  ])
})

test('an acknowledgement that comes when the terminal has stopped waiting for it ends the reversal too', async () => {
  peer.onRequest = ({ message, answer }) => {
    if (message.mti.startsWith('04')) setTimeout(() => answer({ 39: '00' }), 100)
  }
  const estate = await openEstate({
    mix: only('approve'),
    terminals: 1,
    connections: 1,
    repeatShare: 0,
    timeoutMs: 50,
    reversalEveryMs: 70,
    seconds: 0.05,
    rate: 20,
  })
  await run(estate, 1)
  expect(estate.tally.reversed).toBe(1)
})

test('some unanswered purchases are repeated first, and an answer to the repeat settles them', async () => {
  peer.onRequest = (request) => {
    if (request.message.mti !== '0200') model.serve(request)
  }
  const estate = await openEstate({ mix: only('approve'), repeatShare: 1, timeoutMs: 1_000, rate: 50 })
  await run(estate, 5)
  const book = await lines()
  expect(eventsOf(book, 'repeat').length).toBe(eventsOf(book, 'request').length)
  expect(eventsOf(book, 'answer').length).toBe(eventsOf(book, 'request').length)
  expect(eventsOf(book, 'reversal')).toEqual([])
})

test('a purchase that was due while the line was down is booked as unsent and owes nothing', async () => {
  const estate = await openEstate({ mix: only('approve'), rate: 50 })
  const { port } = peer
  await peer.close()
  await eventually(() => (estate.status() as { lines: { up: number } }).lines.up).toBe(0)
  estate.start()
  await eventually(() => estate.tally.unsent).toBeGreaterThan(5)
  expect(await estate.stop(5_000)).toBe('settled')
  expect(eventsOf(await lines(), 'reversal')).toEqual([])
  peer = await scriptedSwitch(port)
})

test('the line comes back, the purchases that it lost are reversed, and the schedule goes on', async () => {
  const estate = await openEstate({ mix: only('approve'), rate: 100, repeatShare: 0 })
  let hold = true
  peer.onRequest = (request) => {
    if (!hold) model.serve(request)
  }
  estate.start()
  await eventually(() => estate.tally.sent).toBeGreaterThan(10)
  hold = false
  peer.dropAll()
  await eventually(() => estate.tally.approved).toBeGreaterThan(10)
  expect(await estate.stop(5_000)).toBe('settled')
  expect(estate.tally.reversed).toBe(estate.tally.unanswered)
  expect(estate.tally.unanswered).toBeGreaterThan(10)
})

describe('a wrong switch is a surprise', () => {
  const wrongs: [string, ScenarioName, (request: Request) => void, RegExp][] = [
    [
      'approves a wrong PIN',
      'wrongPin',
      ({ answer }) => answer({ 39: '00', 38: 'A00001' }),
      /wrongPin answered 00/,
    ],
    [
      'declines what must be approved',
      'approve',
      ({ answer }) => answer({ 39: '05' }),
      /approve answered 05/,
    ],
    ['approves without DE38', 'approve', ({ answer }) => answer({ 39: '00' }), /approval without DE38/],
    ['forgets DE39', 'approve', ({ answer }) => answer({ 38: 'A00001' }), /answer without DE39/],
    [
      'does not seal',
      'approve',
      ({ answer }) => answer({ 39: '00', 38: 'A00001' }, { seal: 'none' }),
      /without a seal/,
    ],
    [
      'seals wrongly',
      'approve',
      ({ answer }) => answer({ 39: '00', 38: 'A00001' }, { seal: 'wrong' }),
      /0210 with a wrong seal/,
    ],
    [
      'answers for another amount',
      'approve',
      ({ answer }) => answer({ 4: '000000000001', 39: '00', 38: 'A00001' }),
      /DE4 of another/,
    ],
    [
      'answers for another purchase',
      'approve',
      ({ answer }) => answer({ 37: '000000000001', 39: '00', 38: 'A00001' }),
      /DE37 of another/,
    ],
    ['sends what cannot be read', 'approve', ({ raw }) => raw(Buffer.from('02')), /malformed answer, DE0/],
    [
      'processes a purchase with a bad seal',
      'badSeal',
      ({ answer }) => answer({ 39: '00', 38: 'A00001' }),
      /badSeal answered 00/,
    ],
    [
      'answers a repeat otherwise',
      'repeat',
      ({ message, answer }) => answer(message.mti === '0200' ? { 39: '00', 38: 'A00001' } : { 39: '05' }),
      /repeat answered 05/,
    ],
    [
      'takes other data under the same key',
      'conflict',
      ({ answer }) => answer({ 39: '00', 38: 'A00001' }),
      /same key answered 00/,
    ],
    [
      'approves after the reversal',
      'reverseFirst',
      ({ message, answer }) => answer(message.mti === '0200' ? { 39: '00', 38: 'A00001' } : { 39: '00' }),
      /reverseFirst answered 00/,
    ],
    [
      'changes its mind',
      'approve',
      ({ answer }) => {
        answer({ 39: '00', 38: 'A00001' })
        answer({ 39: '05' })
      },
      /answered 00, then 05/,
    ],
  ]
  test.each(wrongs)('when it %s', async (_, scenario, serve, what) => {
    peer.onRequest = (request) => {
      if (request.message.mti.startsWith('04') && scenario !== 'reverseFirst') model.serve(request)
      else serve(request)
    }
    const estate = await openEstate({ mix: only(scenario), timeoutMs: 100, rate: 50 })
    estate.start()
    await eventually(() => Object.keys(estate.tally.surprising).join()).toMatch(what)
    expect(estate.tally.latestSurprises.length).toBeGreaterThan(0)
  })

  test('but an outage is none', async () => {
    peer.onRequest = ({ answer }) => answer({ 39: '91' })
    const estate = await openEstate({ mix: only('approve') })
    await run(estate, 10)
    expect(estate.tally.surprises).toBe(0)
    expect(estate.tally.outageAnswers).toBeGreaterThanOrEqual(10)
  })
})

describe('the next life', () => {
  test('uses no RRN or STAN again, and reverses what was left open', async () => {
    peer.onRequest = () => undefined
    const first = await openEstate({ mix: only('approve'), terminals: 3, timeoutMs: 60_000, rate: 100 })
    first.start()
    await eventually(() => first.tally.sent).toBeGreaterThanOrEqual(9)
    await first.close()
    const booked = await lines()
    const unsent = new Set(eventsOf(booked, 'unsent').map(({ rrn }) => rrn))
    const before = eventsOf(booked, 'request').filter(({ rrn }) => !unsent.has(rrn))
    expect(before.length).toBeGreaterThanOrEqual(9)

    peer.onRequest = (request) => model.serve(request)
    const second = await openEstate({ mix: only('approve'), terminals: 3, rate: 100 })
    await run(second, 10)
    const after = await lines()
    const reversed = new Set(eventsOf(after, 'reversalAnswer').map(({ rrn }) => rrn))
    expect(before.filter(({ rrn }) => !reversed.has(rrn))).toEqual([])
    const requests = after.flatMap((line) => (line.event === 'request' ? [line] : []))
    expect(new Set(requests.map(({ rrn }) => rrn)).size).toBe(requests.length)
    expect(new Set(requests.map(({ terminal, stan }) => `${terminal} ${stan}`)).size).toBe(requests.length)
  })

  test('repeats a reversal that was under way as the same message', async () => {
    peer.onRequest = () => undefined
    const first = await openEstate({
      mix: only('approve'),
      terminals: 1,
      connections: 1,
      timeoutMs: 20,
      rate: 20,
      repeatShare: 0,
      seconds: 0.05,
    })
    first.start()
    await eventually(() => peer.received.some(({ mti }) => mti === '0420')).toBe(true)
    await first.close()
    const begun = peer.received.find(({ mti }) => mti === '0420')!
    peer.received.length = 0
    peer.onRequest = (request) => model.serve(request)
    const second = await openEstate({ terminals: 1, connections: 1 })
    expect(await second.stop(5_000)).toBe('settled')
    expect(peer.received).toHaveLength(1)
    const again = { ...peer.received[0]!.fields, 128: begun.fields[128] }
    expect(peer.received[0]!.mti).toBe('0421')
    expect(again).toEqual(begun.fields)
  })

  test('leaves what was answered, acknowledged or never sent alone', async () => {
    const first = await openEstate({ mix: { approve: 3, cancel: 1, wrongPin: 1 } })
    await run(first, 40)
    await first.close()
    peer.received.length = 0
    const second = await openEstate()
    expect(await second.stop(1_000)).toBe('settled')
    expect(peer.received).toEqual([])
  })
})
