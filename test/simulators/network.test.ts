import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { knetPlaceholder } from '../../connectors/knet/dialect.ts'
import { ascii4Frame } from '../../iso8583/iso8583.ts'
import { readBook } from '../../simulators/book.ts'
import { amountOutcomes, cardNamed, testCards } from '../../simulators/cards.ts'
import { Config } from '../../simulators/config.ts'
import { type NetworkProcess, openNetwork } from '../../simulators/network/network.ts'
import { newFolder } from './folder.ts'
import { eventually } from './eventually.ts'
import {
  again,
  codec,
  maskOf,
  NetworkClient,
  purchaseOf,
  reversalOf,
  sealGood,
  zoneKeys,
} from './network-client.ts'

const card = cardNamed('knet')
const amountMinor = 12_500n

let folder: string
let network: NetworkProcess
let client: NetworkClient

beforeEach(async () => {
  folder = await newFolder()
  const keys = Object.values(zoneKeys).map(({ ref, algorithm, value }) => ({
    ref,
    algorithm,
    value: value.toString('hex'),
  }))
  await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys }))
  await start()
})
afterEach(async () => {
  client.close()
  await network.close()
})

async function start(): Promise<void> {
  network = await openNetwork(
    new Config({
      name: 'knet',
      port: 0,
      control: { port: 0 },
      book: join(folder, 'knet.jsonl'),
      keyFile: join(folder, 'keys.json'),
      keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' },
      seed: 3,
      lateMs: 120,
    }),
    { dialect: knetPlaceholder, frame: ascii4Frame },
  )
  client = await NetworkClient.signedOn(network.port)
}

async function restart(): Promise<void> {
  client.close()
  await network.close()
  await start()
}

async function lines(): Promise<Record<string, unknown>[]> {
  const read: Record<string, unknown>[] = []
  for await (const line of readBook(join(folder, 'knet.jsonl'))) read.push({ ...line })
  return read
}

async function control(
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { host, port } = network.control
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`http://${host}:${port}${path}`, options)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const debited = async (): Promise<unknown> => (await control('/status')).body['debitedMinor']

describe('a purchase', () => {
  test('is approved with DE38, sealed, and booked before the answer leaves', async () => {
    const sent = purchaseOf({ card, amountMinor })
    const answer = await client.ask(sent)
    const booked = await lines()
    expect(answer.mti).toBe('0210')
    expect(answer.text(39)).toBe('00')
    expect(answer.text(38)).toMatch(/^[0-9]{6}$/)
    expect(sealGood(answer)).toBe(true)
    for (const de of [3, 7, 11, 12, 13, 32, 37, 41, 42, 49]) expect(answer.text(de)).toBe(sent.fields[de])
    expect(answer.amount(4)).toBe(amountMinor)
    expect(booked).toMatchObject([
      {
        event: 'debit',
        network: 'knet',
        terminal: 'T0000001',
        rrn: sent.fields[37],
        stan: sent.fields[11],
        amountMinor: '12500',
        currency: '414',
        card: '888888******0001',
        authId: answer.text(38),
      },
    ])
    expect(await debited()).toBe('12500')
  })

  test('from a swiped card is known by its track', async () => {
    const { mti, fields } = purchaseOf({ card, amountMinor })
    const { 2: _pan, ...rest } = fields
    const answer = await client.ask({ mti, fields: { ...rest, 35: `${card.pan}=${card.expiry}201000000` } })
    expect(answer.text(39)).toBe('00')
  })

  const declines: [string, string, Parameters<typeof purchaseOf>[0], Parameters<typeof purchaseOf>[1]][] = [
    ['of a wrong PIN', '55', { card, amountMinor, pin: '4321' }, {}],
    ['of a PIN block under another key', '55', { card, amountMinor }, { 52: new Uint8Array(8) }],
    ['of too little money', '51', { card: cardNamed('poor'), amountMinor: 500n }, {}],
    ['of an expired card', '54', { card: cardNamed('expired'), amountMinor }, {}],
    ['of another expiry than the card has', '54', { card, amountMinor }, { 14: '3112' }],
    ['above the limit of the card', '61', { card: cardNamed('limited'), amountMinor: 5_010n }, {}],
    ['of a card that is always refused', '05', { card: cardNamed('refused'), amountMinor }, {}],
    ['of a card that nobody issued', '14', { card: cardNamed('visa'), amountMinor }, {}],
    ['in another currency', '12', { card, amountMinor }, { 49: '840' }],
    ['of a kind that nobody serves', '12', { card, amountMinor }, { 3: '500000' }],
    ['of no cash', '13', { card, amountMinor: 0n }, { 3: '010000' }],
  ]
  test.each(declines)('%s is declined with %s, and takes nothing', async (_, code, terms, fields) => {
    const answer = await client.ask(purchaseOf(terms, fields))
    expect([answer.text(39), answer.has(38), sealGood(answer)]).toEqual([code, false, true])
    expect(await lines()).toMatchObject([{ event: 'decline', responseCode: code }])
    expect(await debited()).toBe('0')
  })

  test('without its PIN block is a wrong PIN', async () => {
    const { mti, fields } = purchaseOf({ card, amountMinor })
    const { 52: _block, ...rest } = fields
    expect((await client.ask({ mti, fields: rest })).text(39)).toBe('55')
  })

  test('with a wrong seal or none is refused and not processed', async () => {
    for (const sealing of ['wrong', 'none'] as const) {
      expect((await client.ask(purchaseOf({ card, amountMinor }), sealing)).text(39)).toBe('63')
    }
    expect(await lines()).toEqual([])
  })

  test('without an element it must have is a format error', async () => {
    for (const de of [2, 4, 7, 37, 41, 49]) {
      const { mti, fields } = purchaseOf({ card, amountMinor })
      const rest = Object.fromEntries(Object.entries(fields).filter(([key]) => Number(key) !== de))
      expect((await client.ask({ mti, fields: rest })).text(39)).toBe('30')
    }
    expect(await lines()).toEqual([])
  })

  test('and its repeats get one answer and one debit', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await Promise.all([client.send(sent), client.send(again(sent)), client.send(sent)])
    await eventually(() => client.answersTo(sent).length).toBe(3)
    expect(new Set(client.answersTo(sent).map((answer) => answer.text(38))).size).toBe(1)
    expect(await lines()).toHaveLength(1)
  })

  test('with the key of another is 94', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    expect((await client.ask({ ...sent, fields: { ...sent.fields, 4: 1_000n } })).text(39)).toBe('94')
    expect(await debited()).toBe('12500')
  })
})

describe('a reversal', () => {
  test('gives the money back once, however often it comes', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    const reversal = reversalOf(sent)
    expect((await client.ask(reversal)).mti).toBe('0430')
    expect(await debited()).toBe('0')
    for (let time = 0; time < 3; time++) expect((await client.ask(again(reversal))).text(39)).toBe('00')
    expect((await client.ask(reversalOf(sent))).text(39)).toBe('21')
    expect(await debited()).toBe('0')
    const applied = (await lines()).filter(({ event }) => event === 'reversal').map(({ applied }) => applied)
    expect(applied).toEqual(['released', 'again', 'again', 'again', 'again'])
  })

  test('as a request is answered with 0410', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    const answer = await client.ask(reversalOf(sent, '0400'))
    expect([answer.mti, answer.text(39), sealGood(answer)]).toEqual(['0410', '00', true])
  })

  test('of what never came is acknowledged, and the original is refused when it comes', async () => {
    const sent = purchaseOf({ card, amountMinor })
    expect((await client.ask(reversalOf(sent))).text(39)).toBe('00')
    expect((await client.ask(reversalOf(sent, '0400'))).text(39)).toBe('21')
    expect((await client.ask(sent)).text(39)).toBe('12')
    expect((await client.ask(reversalOf(purchaseOf({ card, amountMinor }), '0400'))).text(39)).toBe('25')
    expect(await lines()).toMatchObject([
      { event: 'reversal', applied: 'unknownOriginal', rrn: sent.fields[37], originalStan: sent.fields[11] },
      { event: 'reversal', applied: 'again' },
      { event: 'decline', responseCode: '12' },
      { event: 'reversal', applied: 'unknownOriginal' },
    ])
    expect(await debited()).toBe('0')
  })

  test('of a declined purchase gives nothing', async () => {
    const sent = purchaseOf({ card, amountMinor, pin: '0000' })
    await client.ask(sent)
    expect((await client.ask(reversalOf(sent))).text(39)).toBe('21')
    expect(await debited()).toBe('0')
  })

  test('that names a purchase of another terminal is of an unknown original', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    const other = reversalOf(sent)
    await client.ask({ ...other, fields: { ...other.fields, 41: 'T0000002' } })
    expect(await debited()).toBe('12500')
  })

  test('without DE90 is a format error, and with a wrong seal is not processed', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    const { mti, fields } = reversalOf(sent)
    const { 90: _original, ...rest } = fields
    expect((await client.ask({ mti, fields: rest })).text(39)).toBe('30')
    expect((await client.ask({ mti, fields }, 'wrong')).text(39)).toBe('63')
    expect(await debited()).toBe('12500')
  })
})

describe('an amount', () => {
  const simple = amountOutcomes.filter(
    ({ answer, decision, reversals }) => answer === 'once' && decision !== '00' && reversals === undefined,
  )
  test.each(simple)('that ends in $endsWith is answered $decision', async ({ endsWith, decision }) => {
    expect((await client.ask(purchaseOf({ card, amountMinor: 1_000n + BigInt(endsWith) }))).text(39)).toBe(
      decision,
    )
  })

  test('can have half of it approved, which is what it costs', async () => {
    const answer = await client.ask(purchaseOf({ card, amountMinor: 1_916n }))
    expect([answer.text(39), answer.amount(4)]).toEqual(['10', 958n])
    expect(await debited()).toBe('958')
  })

  test('can be charged for, or paid for, beside what it costs: said again to a repeat, and no part of the amount', async () => {
    const charged = purchaseOf({ card, amountMinor: 1_917n }, { 28: { sign: 'D', amount: 100n } })
    const answer = await client.ask(charged)
    const fee = (sign: string, amount: bigint): object => ({ sign, amount })
    expect([39, 28, 30].map((de) => answer.get(de))).toEqual(['00', fee('D', 100n), fee('D', 25n)])
    expect((await client.ask(charged)).get(30)).toEqual(fee('D', 25n))
    const paid = await client.ask(purchaseOf({ card, amountMinor: 1_918n }))
    expect([paid.has(28), paid.get(30)]).toEqual([false, fee('C', 10n)])
    expect(await debited()).toBe('3835')
  })

  test('can silence the network, before the debit or after it', async () => {
    const [taken, lost] = [
      purchaseOf({ card, amountMinor: 1_901n }),
      purchaseOf({ card, amountMinor: 1_909n }),
    ]
    await client.send(taken)
    await client.send(lost)
    await client.manage('301')
    await eventually(debited).toBe('1901')
    expect([client.answersTo(taken), client.answersTo(lost)]).toEqual([[], []])
    expect((await client.ask(reversalOf(taken))).text(39)).toBe('00')
    expect((await client.ask(reversalOf(lost, '0400'))).text(39)).toBe('25')
    expect(await debited()).toBe('0')
  })

  test('can make the answer late', async () => {
    for (const [fils, code] of [
      [1_902n, '00'],
      [1_903n, '51'],
    ] as const) {
      const startedAt = performance.now()
      expect((await client.ask(purchaseOf({ card, amountMinor: fils }))).text(39)).toBe(code)
      expect(performance.now() - startedAt).toBeGreaterThan(110)
    }
  })

  test('can bring two answers, the same or not', async () => {
    for (const [fils, second] of [
      [1_904n, '00'],
      [1_906n, '05'],
    ] as const) {
      const sent = purchaseOf({ card, amountMinor: fils })
      await client.send(sent)
      await eventually(() => client.answersTo(sent).map((answer) => answer.text(39))).toEqual(['00', second])
    }
  })

  test('can cut the line in the place of an answer, and after one', async () => {
    const before = purchaseOf({ card, amountMinor: 1_907n })
    await client.send(before)
    await eventually(() => client.closed).toBe(true)
    expect(client.answersTo(before)).toEqual([])
    client = await NetworkClient.signedOn(network.port)
    const after = purchaseOf({ card, amountMinor: 1_908n })
    await client.send(after)
    await eventually(() => client.closed).toBe(true)
    expect(client.answersTo(after).map((answer) => answer.text(39))).toEqual(['00'])
    expect(await debited()).toBe('3815')
    client = await NetworkClient.open(network.port)
  })

  test('can spoil the answer', async () => {
    const badSeal = await client.ask(purchaseOf({ card, amountMinor: 1_911n }))
    expect([badSeal.text(39), sealGood(badSeal)]).toEqual(['00', false])
    const withoutCode = await client.ask(purchaseOf({ card, amountMinor: 1_912n }))
    expect([withoutCode.has(39), sealGood(withoutCode)]).toEqual([false, true])
    const higher = await client.ask(purchaseOf({ card, amountMinor: 1_913n }))
    expect([higher.text(39), higher.amount(4)]).toEqual(['00', 2_913n])
    expect((await client.ask(purchaseOf({ card, amountMinor: 1_914n }))).text(37)).toBe('999999999999')
  })

  test('can make the first reversals unanswered, retried or refused', async () => {
    const quiet = purchaseOf({ card, amountMinor: 1_921n })
    await client.ask(quiet)
    const reversal = reversalOf(quiet)
    await client.send(reversal)
    await client.send(again(reversal))
    await client.manage('301')
    expect(client.answersTo(reversal)).toEqual([])
    expect((await client.ask(again(reversal))).text(39)).toBe('00')

    const retried = purchaseOf({ card, amountMinor: 1_922n })
    await client.ask(retried)
    const second = reversalOf(retried)
    expect((await client.ask(second)).text(39)).toBe('96')
    expect(await debited()).toBe('1922')
    expect((await client.ask(again(second))).text(39)).toBe('00')

    const refused = purchaseOf({ card, amountMinor: 1_923n })
    await client.ask(refused)
    for (let time = 0; time < 3; time++) expect((await client.ask(reversalOf(refused))).text(39)).toBe('12')
    expect(await debited()).toBe('1923')
  })

  test('outcomes are all met above', () => {
    const met = [
      '901',
      '902',
      '903',
      '904',
      '906',
      '907',
      '908',
      '909',
      '911',
      '912',
      '913',
      '914',
      '916',
      '917',
      '918',
      '921',
      '922',
      '923',
    ]
    const others = amountOutcomes
      .filter((outcome) => !simple.includes(outcome))
      .map(({ endsWith }) => endsWith)
    expect(others).toEqual(met)
  })
})

describe('the session', () => {
  test('takes no business before its sign-on, nor after its sign-off', async () => {
    const stranger = await NetworkClient.open(network.port)
    const sent = purchaseOf({ card, amountMinor })
    expect((await stranger.ask(sent)).text(39)).toBe('91')
    expect((await stranger.manage('001')).text(39)).toBe('00')
    expect((await stranger.ask(sent)).text(39)).toBe('00')
    expect((await stranger.manage('002')).text(39)).toBe('00')
    expect((await stranger.ask(purchaseOf({ card, amountMinor }))).text(39)).toBe('91')
    stranger.close()
    expect(await debited()).toBe('12500')
  })

  test('answers echoes, unsealed, and refuses codes that it does not know', async () => {
    const echo = await client.manage('301')
    expect([echo.mti, echo.text(39), echo.text(70), sealGood(echo)]).toEqual(['0810', '00', '301', undefined])
    expect((await client.manage('999')).text(39)).toBe('12')
  })

  test('outlives what it cannot read, and answers it with 30 where DE11 can be read', async () => {
    await client.sendRaw(Buffer.from('garbage'))
    const sent = purchaseOf({ card, amountMinor })
    const bytes = Buffer.concat([codec.encode(sent), Buffer.alloc(3)])
    await client.sendRaw(bytes)
    await eventually(() => client.answersTo(sent).map((answer) => answer.text(39))).toEqual(['30'])
    expect((await client.manage('301')).text(39)).toBe('00')
    expect((await control('/status')).body).toMatchObject({ malformed: 2, links: 1, signedOn: 1 })
  })

  test('refuses a message type that it does not know', async () => {
    const sent = { ...purchaseOf({ card, amountMinor }), mti: '0600' }
    expect((await client.ask(sent)).text(39)).toBe('12')
  })
})

describe('behaviour from outside', () => {
  test('silent: business is done and not answered, echoes are', async () => {
    expect((await control('/behaviour', { silent: true })).status).toBe(200)
    const sent = purchaseOf({ card, amountMinor })
    await client.send(sent)
    await client.manage('301')
    await eventually(debited).toBe('12500')
    expect(client.answersTo(sent)).toEqual([])
    await control('/behaviour', { silent: false })
    expect((await client.ask(again(sent))).text(39)).toBe('00')
  })

  test('deaf: nothing is done', async () => {
    await control('/behaviour', { deaf: true })
    await client.send(purchaseOf({ card, amountMinor }))
    await control('/behaviour', { reset: true })
    await client.manage('301')
    expect(await lines()).toEqual([])
  })

  test('delayMs: answers wait', async () => {
    await control('/behaviour', { delayMs: 80 })
    const startedAt = performance.now()
    const sent = purchaseOf({ card, amountMinor })
    await client.ask(sent)
    await client.ask(reversalOf(sent))
    expect(performance.now() - startedAt).toBeGreaterThan(150)
  })

  test('refuse: purchases get that code and are not done', async () => {
    await control('/behaviour', { refuse: '91' })
    expect((await client.ask(purchaseOf({ card, amountMinor }))).text(39)).toBe('91')
    expect(await lines()).toEqual([])
    await control('/behaviour', { refuse: null })
    expect((await client.ask(purchaseOf({ card, amountMinor }))).text(39)).toBe('00')
  })

  test('badSeal, silentReversals, noEcho and refuseSignOn', async () => {
    const sent = purchaseOf({ card, amountMinor })
    await control('/behaviour', { badSeal: true })
    expect(sealGood(await client.ask(sent))).toBe(false)
    await control('/behaviour', { reset: true, silentReversals: true })
    const reversal = reversalOf(sent)
    await client.send(reversal)
    await eventually(debited).toBe('0')
    await control('/behaviour', { reset: true, refuseSignOn: true })
    expect((await client.manage('001')).text(39)).toBe('91')
    await control('/behaviour', { reset: true, noEcho: true })
    const before = client.received.length
    await client.send({ mti: '0800', fields: { 7: '1122013000', 11: '999999', 70: '301' } }, 'none')
    await control('/behaviour', { reset: true })
    await client.manage('301')
    expect(client.received.length).toBe(before + 1)
    expect(client.answersTo(reversal)).toEqual([])
  })

  test('disconnect and signOff happen once, to everyone', async () => {
    await control('/behaviour', { signOff: true })
    await eventually(() => client.received.at(-1)?.mti).toBe('0800')
    expect(client.received.at(-1)?.text(70)).toBe('002')
    expect((await client.ask(purchaseOf({ card, amountMinor }))).text(39)).toBe('91')
    await control('/behaviour', { disconnect: true })
    await eventually(() => client.closed).toBe(true)
    client = await NetworkClient.signedOn(network.port)
    expect((await client.ask(purchaseOf({ card, amountMinor }))).text(39)).toBe('00')
  })

  test('what is no behaviour is refused and changes nothing', async () => {
    const wrongs: object[] = [
      { silence: true },
      { silent: 'yes' },
      { delayMs: -1 },
      { refuse: '9' },
      { reset: 1 },
      { constructor: true },
    ]
    for (const wrong of wrongs)
      expect((await control('/behaviour', { deaf: true, ...wrong })).status).toBe(400)
    const { host, port } = network.control
    const notJson = await fetch(`http://${host}:${port}/behaviour`, { method: 'POST', body: '{' })
    expect(notJson.status).toBe(400)
    expect((await control('/nowhere')).status).toBe(404)
    expect((await control('/status')).body['behaviour']).toMatchObject({ silent: false, deaf: false })
  })
})

describe('after a restart', () => {
  test('balances, answers and reversals are as they were', async () => {
    const [kept, undone, declined, never] = [1, 2, 3, 4].map(() => purchaseOf({ card, amountMinor })) as [
      ReturnType<typeof purchaseOf>,
      ReturnType<typeof purchaseOf>,
      ReturnType<typeof purchaseOf>,
      ReturnType<typeof purchaseOf>,
    ]
    const wrongPin = { ...declined, fields: { ...declined.fields, 52: new Uint8Array(8) } }
    const authId = (await client.ask(kept)).text(38)
    await client.ask(undone)
    const reversal = reversalOf(undone)
    await client.ask(reversal)
    await client.ask(wrongPin)
    await client.ask(reversalOf(never))
    const linesBefore = await lines()
    await restart()

    expect(network.replayed).toBe(linesBefore.length)
    expect(await debited()).toBe('12500')
    expect((await client.ask(again(kept))).text(38)).toBe(authId)
    expect((await client.ask(again(wrongPin))).text(39)).toBe('55')
    expect((await client.ask(again(reversal))).text(39)).toBe('00')
    expect((await client.ask(never)).text(39)).toBe('12')
    expect((await client.ask({ ...kept, fields: { ...kept.fields, 4: 1n } })).text(39)).toBe('94')
    expect(await debited()).toBe('12500')
    const next = await client.ask(purchaseOf({ card, amountMinor }))
    expect(Number(next.text(38))).toBeGreaterThan(Number(authId))
  })

  test('an account that was emptied is still empty', async () => {
    const poor = cardNamed('poor')
    expect((await client.ask(purchaseOf({ card: poor, amountMinor: 250n }))).text(39)).toBe('00')
    await restart()
    expect((await client.ask(purchaseOf({ card: poor, amountMinor: 10n }))).text(39)).toBe('51')
  })
})

test('no card number, track or PIN is in the book or the status', async () => {
  await client.ask(purchaseOf({ card, amountMinor }))
  await client.ask(purchaseOf({ card: cardNamed('visa'), amountMinor }))
  const written = JSON.stringify([await lines(), await control('/status')])
  expect(written).toContain(maskOf(card))
  for (const { pan } of testCards) expect(written).not.toContain(pan)
})
