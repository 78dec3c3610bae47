import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { allNetworks } from '../../bin/networks.ts'
import type { LegOutcome, OutboundLeg } from '../../connectors/connector.ts'
import { elementsOf } from '../../connectors/connector.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import { type NetworkConnector, openConnector } from '../../connectors/network-connector.ts'
import { dualMessage } from '../../connectors/wording.ts'
import { panField4, setPinLength, writePinBlock, xorInto } from '../../hsm/pin-block.ts'
import type { FieldValue } from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import { readBook } from '../../simulators/book.ts'
import { cardNamed, type TestCard } from '../../simulators/cards.ts'
import { Config } from '../../simulators/config.ts'
import { encryptPin, seal, sealHolds, type TestKey } from '../../simulators/keys.ts'
import { balanceOf } from '../../switch/reconciliation.ts'
import { type NetworkProcess, openNetwork } from '../../simulators/network/network.ts'

/** Every network's connector against the simulated network of its own dialect, over a real socket. */
describe.each([...(await allNetworks())])('$name', (network: NetworkProfile) => {
  const card = cardNamed(network.name === 'knet' ? 'knet' : `${network.name}-approved`)
  const isRetail = network.name === 'visa'
  const keys: { readonly pin: TestKey; readonly mac: TestKey } = {
    pin:
      network.rules.pinFormat === 4
        ? { ref: 'zpk.test.out', algorithm: 'AES128', value: randomBytes(16) }
        : { ref: 'zpk.test.out', algorithm: 'DES2', value: randomBytes(16) },
    mac: { ref: 'zak.test.both', algorithm: isRetail ? 'DES2' : 'AES128', value: randomBytes(16) },
  }
  let folder: string
  let peer: NetworkProcess
  let connector: NetworkConnector

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'network-'))
    const file = Object.values(keys).map(({ value, ...key }) => ({ ...key, value: value.toString('hex') }))
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: file }))
    peer = await openNetwork(
      new Config({
        name: network.name,
        port: 0,
        control: { port: 0 },
        book: join(folder, 'book.jsonl'),
        keyFile: join(folder, 'keys.json'),
        keys: { pin: 'zpk.test.out', mac: 'zak.test.both' },
        conversions: {
          settlement: { currency: '840', rate: '63250000' },
          billing: { currency: '392', rate: '44987500' },
        },
      }),
      { ...network, messages: network.wording === dualMessage ? 'dual' : 'single' },
    )
    let next = 1
    connector = openConnector(network, {
      host: '127.0.0.1',
      port: peer.port,
      clock: systemClock,
      random: systemRandom,
      stanBlocks: { reserve: (_, size) => Promise.resolve({ first: (next += size) - size }) },
      sealer: {
        seal: (data) => Promise.resolve(seal(keys.mac, data)),
        verify: (data, mac) => Promise.resolve(sealHolds(keys.mac, data, mac)),
      },
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    })
    await vi.waitFor(() => expect(connector.availability()).toBe('available'), { timeout: 20_000 })
  })
  afterAll(async () => {
    await connector.drain(0)
    await peer.close()
    await rm(folder, { recursive: true })
  })

  async function ask(mti: string, fields: OutboundLeg['fields']): Promise<[OutboundLeg, LegOutcome]> {
    const leg = { mti, identity: connector.identify()!, fields }
    return [leg, await connector.send(await connector.prepare(leg), systemClock.monotonicMs() + 10_000)]
  }

  function purchase(change: Readonly<Record<number, FieldValue>> = {}): OutboundLeg['fields'] {
    return {
      2: card.pan,
      3: '000000',
      4: 12_500n,
      12: '235930',
      13: '1122',
      14: card.expiry,
      18: '5411',
      22: '051',
      25: '00',
      37: '632612000042',
      41: 'TERM0001',
      42: 'MERCHANT0000001',
      49: '414',
      52: pinBlock(card),
      ...change,
    }
  }

  function pinBlock({ pan, pin }: TestCard): Uint8Array {
    return network.rules.pinFormat === 4 ? format4(keys.pin, pin, pan) : encryptPin(keys.pin, { pin, pan })
  }

  function reversal(
    of: OutboundLeg,
    change: Readonly<Record<number, FieldValue>> = {},
  ): OutboundLeg['fields'] {
    const { 52: _, 14: _expiry, ...fields } = of.fields
    const original = {
      mti: '0200',
      ...of.identity,
      acquirerId: network.rules.acquirerId.padStart(11, '0'),
      forwarderId: '0'.repeat(11),
    }
    return { ...fields, 39: '68', 90: original, ...change }
  }

  async function events(): Promise<readonly string[]> {
    const read: string[] = []
    for await (const line of readBook(join(folder, 'book.jsonl'))) {
      const { event, applied } = line
      read.push([event, applied].filter(Boolean).join(' '))
    }
    return read
  }

  test('signs on, answers a purchase with the right PIN, and undoes it', async () => {
    const [asked, outcome] = await ask('0200', purchase())
    expect(outcome).toMatchObject({ kind: 'answered', answer: { authId: expect.any(String) as string } })
    const { answer } = outcome as LegOutcome & { kind: 'answered' }
    expect(network.rules.approvals).toContain(answer.responseCode)
    // KWD 12.500 are USD 40.625, and JPY 6,234.375: three decimals, two, none.
    const amounts = [
      / 5=0*4063 /,
      / 6=0*6234 /,
      / 9=63250000 /,
      / 10=44987500 /,
      / 16=\d{4} /,
      / 50=840 /,
      / 51=392 /,
    ]
    for (const amount of amounts) expect(answer.described).toMatch(amount)
    const [, undone] = await ask(
      network.rules.reversalMti,
      reversal(asked, { 38: answer.authId!, ...elementsOf(answer.trace) }),
    )
    expect(undone.kind).toBe('answered')
    const { responseCode } = (undone as LegOutcome & { kind: 'answered' }).answer
    expect(network.rules.reversalAnswers.acknowledged).toContain(responseCode)
    expect((await events()).slice(-2)).toEqual(['debit', 'reversal released'])
  })

  test('refuses a wrong PIN in its own code', async () => {
    const [, outcome] = await ask(
      '0200',
      purchase({ 37: '632612000043', 52: pinBlock({ ...card, pin: '9999' }) }),
    )
    expect(outcome).toMatchObject({
      kind: 'answered',
      answer: { responseCode: network.dialect.version === '1987' ? '55' : '117' },
    })
  })

  test('undoes a part, and keeps the rest', async () => {
    const [asked] = await ask('0200', purchase({ 37: '632612000044' }))
    const amounts = {
      transaction: 9_000n,
      settlement: 0n,
      transactionFeeSign: 'D',
      transactionFee: 0n,
      settlementFeeSign: 'D',
      settlementFee: 0n,
    }
    await ask(network.rules.reversalMti, reversal(asked, { 39: '32', 95: amounts }))
    expect((await events()).slice(-2)).toEqual(['debit', 'reversal reduced'])
  })

  test('is told the totals of a date in its own words, and says whether they are its own', async () => {
    const { mti, elements } = network.rules.reconciliation!
    const zeros = Object.entries(elements).map(([name, de]): [number, FieldValue] => [
      de,
      name.endsWith('Count') ? '0000000000' : 0n,
    ])
    const { host, port } = peer.control
    const day = await fetch(`http://${host}:${port}/day`, { method: 'POST', body: '{}' })
    const { date } = (await day.json()) as { readonly date: string }
    const told: OutboundLeg['fields'] = {
      15: date.slice(5, 7) + date.slice(8),
      50: '840',
      97: { sign: 'C', amount: 0n },
      ...Object.fromEntries(zeros),
    }
    const balance = async (debitMinor: bigint): Promise<string> => {
      const [, outcome] = await ask(mti, { ...told, [elements.debitMinor!]: debitMinor })
      if (outcome.kind !== 'answered') return outcome.kind
      return balanceOf(outcome.answer)
    }
    // Of KWD 9.000 that are left of the above, in the dollars that were told.
    expect([await balance(2_925n), await balance(9_000n)]).toEqual(['in', 'out'])
  })

  test('repeats of a reversal are acknowledged and change nothing', async () => {
    const [asked] = await ask('0200', purchase({ 37: '632612000045' }))
    const first = { mti: network.rules.reversalMti, identity: connector.identify()!, fields: reversal(asked) }
    const again = { ...first, mti: `${network.rules.reversalMti.slice(0, 3)}1` }
    for (const leg of [first, again]) {
      const outcome = await connector.send(await connector.prepare(leg), systemClock.monotonicMs() + 10_000)
      expect(outcome.kind).toBe('answered')
    }
    expect((await events()).slice(-2)).toEqual(['reversal released', 'reversal again'])
  })
})

/** ISO 9564-1 format 4, with the field of the HSM room: the simulator opens it with its own. */
function format4(key: TestKey, pin: string, pan: string): Uint8Array {
  const digits = Buffer.alloc(13)
  digits.set(Array.from(pin, Number))
  setPinLength(digits, pin.length)
  const block = Buffer.alloc(16)
  writePinBlock(4, { pin: digits, pan, random: randomBytes(8) }, block)
  const inner = Buffer.from(aes(key.value, block))
  xorInto(inner, panField4(pan))
  return aes(key.value, inner)
}

function aes(key: Buffer, block: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false)
  return Buffer.concat([cipher.update(block), cipher.final()])
}
