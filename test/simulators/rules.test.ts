import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { knetPlaceholder } from '../../connectors/knet/dialect.ts'
import { ascii4Frame } from '../../iso8583/iso8583.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { Config } from '../../simulators/config.ts'
import { type NetworkProcess, openNetwork } from '../../simulators/network/network.ts'
import { type RequestFacts, Rules, readRules } from '../../simulators/network/rules.ts'
import { eventually } from './eventually.ts'
import { newFolder } from './folder.ts'
import { NetworkClient, purchaseOf, reversalOf, sealGood, zoneKeys } from './network-client.ts'

const facts: RequestFacts = {
  ...{ mti: '0200', processingCode: '000000', amountMinor: 12_905n, pan: '8888880000000001' },
}
const rules = (when: string, seed = 1, nowMs = (): number => 0): Rules =>
  new Rules(readRules(`rules:\n- when: {${when}}\n  then: {copies: 0}\n`, 'rules.yaml'), seed, nowMs)

describe('a condition', () => {
  test.each([
    ['', true],
    ['mti: 0200', true],
    ['mti: [0100, 02*0]', true],
    ['mti: 04**', false],
    ['processingCode: "00"', true],
    ['processingCode: [01, 20]', false],
    ['amount: {from: 12905, to: 12905}', true],
    ['amount: {from: 12906, to: 99999}', false],
    ['amountEndsWith: 905', true],
    ['amountEndsWith: "005"', false],
    ['pan: {from: 888888, to: 888888}', true],
    ['pan: {from: 4, to: 5}', false],
    ['mti: 0200, amountEndsWith: "906"', false],
  ])('%s', (when, fits) => {
    expect(rules(when).deedFor(facts) !== undefined).toBe(fits)
  })

  test('the n-th is met alone, and of every n-th each', () => {
    const nth = rules('nth: 3')
    const every = rules('every: 3')
    const met = (from: Rules): boolean[] => Array.from({ length: 6 }, () => from.deedFor(facts) !== undefined)
    expect(met(nth)).toEqual([false, false, true, false, false, false])
    expect(met(every)).toEqual([false, false, true, false, false, true])
    expect(nth.list()).toEqual([{ name: 'line 2', seen: 6, applied: 1 }])
  })

  test('the first ones are met, and then no more', () => {
    const first = rules('first: 2')
    expect(Array.from({ length: 4 }, () => first.deedFor(facts) !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  test('delays differ as they are told to, and are the same from the same seed', () => {
    const text = 'rules:\n- then: {delay: {p50Ms: 100, p99Ms: 1000}}\n'
    const drawn = (): number[] => {
      const from = new Rules(readRules(text, 'rules.yaml'), 7)
      return Array.from({ length: 2_000 }, () => from.deedFor(facts)!.delayMs!).sort(
        (one, other) => one - other,
      )
    }
    const delays = drawn()
    expect(drawn()).toEqual(delays)
    expect(delays[1_000]).toBeGreaterThan(90)
    expect(delays[1_000]).toBeLessThan(111)
    expect(delays[1_980]).toBeGreaterThan(700)
    expect(delays[1_980]).toBeLessThan(1_400)
  })

  test('chance is the same from the same seed, and about as often as it says', () => {
    const draw = (seed: number): boolean[] => {
      const from = rules('probability: 0.3', seed)
      return Array.from({ length: 200 }, () => from.deedFor(facts) !== undefined)
    }
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
    const many = draw(1).filter(Boolean).length
    expect(many).toBeGreaterThan(30)
    expect(many).toBeLessThan(90)
  })

  test('a window counts from the loading of the rules', () => {
    let nowMs = 1_000
    const from = rules('window: {fromMs: 100, toMs: 200}', 1, () => nowMs)
    const at = (ms: number): boolean => {
      nowMs = 1_000 + ms
      return from.deedFor(facts) !== undefined
    }
    expect([at(99), at(100), at(200), at(201)]).toEqual([false, true, true, false])
  })

  test('the first rule that fits decides', () => {
    const text = 'rules:\n- {when: {mti: 0200}, then: {refuse: "05"}}\n- {then: {refuse: "51"}}\n'
    const both = new Rules(readRules(text, 'rules.yaml'), 1)
    expect(both.deedFor(facts)).toEqual({ refuse: '05' })
    expect(both.deedFor({ ...facts, mti: '0420' })).toEqual({ refuse: '51' })
  })
})

test.each([
  ['rules:\n- then: {copies: 1}\n- then: {copies: 21}', 'faults.yaml:3: a number from 0 to 20 is needed'],
  ['rules:\n- name: x\n', 'faults.yaml:2: a rule needs a then'],
  ['rules:\n- when: {mit: 0200}\n  then: {}', 'faults.yaml:2: mit is not known here'],
  ['rules:\n- when:\n    mti: 020\n  then: {}', 'faults.yaml:3: four digits or * is needed'],
  ['rules:\n- then:\n    set:\n      200: x', 'faults.yaml:4: elements 2 to 128'],
  ['rules:\n- then:\n    seal: broken', 'faults.yaml:3: one of wrong, none is needed'],
  ['rules:\n- then:\n    charge: {sign: C}', 'faults.yaml:3: minor is needed'],
  ['rules:\n- then:\n    charge: {minor: 5, sign: E}', 'faults.yaml:3: one of C, D is needed'],
  ['rules: 5', 'faults.yaml:1: a list is needed'],
  ['{}', 'faults.yaml:1: rules are needed'],
  ['rules:\n- then: {copies: 1, copies: 2}', 'faults.yaml:2: Map keys must be unique'],
  ['rules:\n- then: [', 'faults.yaml:2'],
  ['rules:\n- &a {then: {}}\n- *a\n', 'faults.yaml:3: names and values are needed'],
])('a file that is wrong is refused with its line and the reason (%#)', (text, why) => {
  expect(() => readRules(text, 'faults.yaml')).toThrow(why)
})

describe('a network under rules', () => {
  const card = cardNamed('knet')
  let network: NetworkProcess
  let client: NetworkClient

  beforeEach(async () => {
    const folder = await newFolder()
    const keys = Object.values(zoneKeys).map(({ ref, algorithm, value }) => ({
      ...{ ref, algorithm, value: value.toString('hex') },
    }))
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }))
    const files = { book: join(folder, 'knet.jsonl'), keyFile: join(folder, 'keys.json') }
    network = await openNetwork(
      new Config({
        ...{ name: 'knet', port: 0, control: { port: 0 }, ...files },
        ...{ keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' }, seed: 3, lateMs: 120 },
      }),
      { dialect: knetPlaceholder, frame: ascii4Frame },
    )
    client = await NetworkClient.signedOn(network.port)
  })
  afterEach(async () => {
    client.close()
    await network.close()
  })

  async function load(text: string): Promise<{ status: number; said: Record<string, unknown> }> {
    const { host, port } = network.control
    const body = JSON.stringify({ rules: text, file: 'faults.yaml' })
    const response = await fetch(`http://${host}:${port}/rules`, { method: 'POST', body })
    return { status: response.status, said: (await response.json()) as Record<string, unknown> }
  }
  const then = (deed: string): Promise<unknown> => load(`rules:\n- {when: {mti: "02**"}, then: {${deed}}}\n`)
  const status = async (): Promise<Record<string, unknown>> => {
    const response = await fetch(`http://${network.control.host}:${network.control.port}/status`)
    return (await response.json()) as Record<string, unknown>
  }

  test('loses the request, or refuses it: the account keeps its money', async () => {
    await then('request: lost')
    await client.send(purchaseOf({ card, amountMinor: 1_000n }))
    await eventually(async () => (await status())['lost']).toBe(1)
    await then('refuse: "57"')
    expect((await client.ask(purchaseOf({ card, amountMinor: 1_000n }))).text(39)).toBe('57')
    expect((await status())['debitedMinor']).toBe('0')
  })

  test('answers never, late, thrice, with another behind it, or with the line cut', async () => {
    await then('copies: 0')
    const silent = purchaseOf({ card, amountMinor: 1_000n })
    await client.send(silent)
    await eventually(async () => (await status())['unanswered']).toBe(1)
    await then('copies: 3, then: "05", delayMs: 50')
    const startedAt = performance.now()
    const often = purchaseOf({ card, amountMinor: 1_000n })
    await client.ask(often)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49)
    await eventually(() => client.answersTo(often).map((answer) => answer.text(39))).toEqual([
      '00',
      '00',
      '00',
      '05',
    ])
    expect(client.answersTo(silent)).toEqual([])
    await then('disconnect: after')
    await client.ask(purchaseOf({ card, amountMinor: 1_000n }))
    await eventually(() => client.closed).toBe(true)
    expect((await status())['debitedMinor']).toBe('3000')
  })

  test('spoils the answer: its seal, its type, its elements, its amount', async () => {
    await then('seal: wrong')
    expect(sealGood(await client.ask(purchaseOf({ card, amountMinor: 1_000n })))).toBe(false)
    await then('seal: none')
    expect(sealGood(await client.ask(purchaseOf({ card, amountMinor: 1_000n })))).toBeUndefined()
    await then('mti: 0230, set: {39: ZZ, 41: OTHER001}, remove: 38, addMinor: 7')
    const answer = await client.ask(purchaseOf({ card, amountMinor: 1_000n }))
    expect([answer.mti, answer.text(39), answer.text(41), answer.text(38), answer.amount(4)]).toEqual([
      ...['0230', 'ZZ', 'OTHER001', undefined, 1_007n],
    ])
  })

  test('spoils bytes: a bitmap that says what is not there, half a message', async () => {
    const sent = purchaseOf({ card, amountMinor: 1_000n })
    await then('overwrite: {at: 2, hex: "FFFFFFFFFFFFFFFF"}')
    await client.send(sent)
    await eventually(() => client.unreadable.length).toBe(1)
    expect(client.unreadable[0]!.subarray(0, 4).toString('hex')).toBe('0210ffff')
    await then('cutTo: 30')
    await client.send(purchaseOf({ card, amountMinor: 1_000n }))
    await eventually(() => client.unreadable.length).toBe(2)
    expect(client.unreadable[1]).toHaveLength(30)
    expect(client.answersTo(sent)).toEqual([])
  })

  test('answers over another connection of the peer’s', async () => {
    const other = await NetworkClient.signedOn(network.port)
    await then('session: other')
    const sent = purchaseOf({ card, amountMinor: 1_000n })
    await client.send(sent)
    await eventually(() => other.answersTo(sent).map((answer) => answer.text(39))).toEqual(['00'])
    expect(client.answersTo(sent)).toEqual([])
    other.close()
  })

  test('meets reversals and echoes as well, and lists what was met', async () => {
    await load(
      'rules:\n- {name: no, when: {mti: 0420}, then: {refuse: "96"}}\n- {when: {mti: 0800}, then: {set: {39: "91"}}}\n',
    )
    const sent = purchaseOf({ card, amountMinor: 1_000n })
    await client.ask(sent)
    expect((await client.ask(reversalOf(sent))).text(39)).toBe('96')
    expect((await client.manage('301')).text(39)).toBe('91')
    const response = await fetch(`http://${network.control.host}:${network.control.port}/rules`)
    expect(await response.json()).toEqual({
      rules: [
        { name: 'no', seen: 1, applied: 1 },
        { name: 'line 3', seen: 1, applied: 1 },
      ],
    })
  })

  test('rules that are wrong are refused with file, line and reason, and those that held go on', async () => {
    await then('refuse: "57"')
    expect(await load('rules:\n- then: {copies: many}')).toEqual({
      status: 400,
      said: { error: 'simulator: faults.yaml:2: a number from 0 to 20 is needed' },
    })
    expect((await client.ask(purchaseOf({ card, amountMinor: 1_000n }))).text(39)).toBe('57')
  })
})
