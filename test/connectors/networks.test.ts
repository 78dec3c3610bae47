import { describe, expect, test } from 'vitest'
import { allNetworks } from '../../bin/networks.ts'
import { network as issuerHost } from '../../connectors/issuer-host/network.ts'
import { lintNetwork } from '../../connectors/lint.ts'
import { network as mastercard } from '../../connectors/mastercard/network.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import { elementsOf, traceOf } from '../../connectors/trace.ts'
import { network as visa } from '../../connectors/visa/network.ts'
import { compile, encodeFrame, type FieldValue, FrameReader } from '../../iso8583/iso8583.ts'

const networks = await allNetworks()
const now = Date.UTC(2027, 0, 2, 8)

const purchase: Readonly<Record<number, FieldValue>> = {
  3: '000000',
  4: 12_500n,
  7: '0101205930',
  11: '000042',
  12: '235930',
  13: '1231',
  18: '5411',
  22: '051',
  25: '00',
  32: '41400002',
  37: '636523000042',
  41: 'TERM0001',
  42: 'MERCHANT0000001',
  49: '414',
}

const reversal: Readonly<Record<number, FieldValue>> = {
  ...purchase,
  11: '000043',
  39: '68',
  90: {
    mti: '0200',
    stan: '000042',
    transmittedAt: '0101205930',
    acquirerId: '00041400002',
    forwarderId: '00000000000',
  },
}

/** What the network reads of what we say. */
function read(network: NetworkProfile, mti: string, fields: Readonly<Record<number, FieldValue>>) {
  const codec = compile(network.dialect)
  const body = network.wording?.say({ mti, fields }, now) ?? { mti, fields }
  return codec.decode(codec.encode(body))
}

describe('each network', () => {
  test.each([...networks])(
    '$name holds public facts only, and says what it does not claim',
    ({ dialect }) => {
      expect(dialect.fidelity).toBe('illustrative')
      expect(dialect.notClaimed?.length).toBeGreaterThan(3)
    },
  )

  test.each([...networks])('$name has a profile without mistakes', (network) => {
    expect(lintNetwork(network)).toEqual([])
  })

  test.each([...networks])('$name reads back what we say, from its own frames', (network) => {
    const codec = compile(network.dialect)
    for (const [mti, fields] of [
      ['0200', purchase],
      [network.rules.reversalMti, reversal],
    ] as const) {
      const bytes = codec.encode(network.wording?.say({ mti, fields }, now) ?? { mti, fields })
      const [frame] = new FrameReader(network.frame, 2_000).push(encodeFrame(network.frame, bytes))
      expect(codec.decode(frame!).amount(4)).toBe(12_500n)
    }
  })
})

describe('a dual-message network', () => {
  test('is asked for an authorization where a source made a purchase, and its reversal names that', () => {
    expect(read(visa, '0200', purchase).mti).toBe('0100')
    expect(read(visa, '0201', purchase).mti).toBe('0101')
    const undone = read(visa, '0400', reversal)
    expect(undone.mti).toBe('0400')
    expect(undone.reveal(90)).toMatchObject({ mti: '0100', stan: '000042' })
  })
})

describe('the edition of 1993', () => {
  test('has the date with the time, the year nearest to now, and a function code', () => {
    const asked = read(issuerHost, '0200', purchase)
    expect(asked.mti).toBe('1200')
    expect(asked.text(12)).toBe('261231235930')
    expect(asked.text(24)).toBe('200')
    expect(asked.text(26)).toBe('5411')
    expect(asked.has(13)).toBe(false)
  })

  test('says of a chip card with a PIN how it was read and who was asked for what', () => {
    const asked = read(issuerHost, '0200', { ...purchase, 52: new Uint8Array(16) })
    expect(asked.text(22)).toBe('510101513001')
  })

  test('names the original in DE56, and why it is undone in DE25', () => {
    const undone = read(issuerHost, '0420', reversal)
    expect(undone.mti).toBe('1420')
    expect(undone.text(24)).toBe('400')
    expect(undone.text(25)).toBe('4021')
    expect(undone.text(56)).toBe('12000000422612312359300841400002')
    expect(undone.has(39)).toBe(false)
  })

  test('says what remains in DE4 and what it was in DE30, for a part', () => {
    const amounts = {
      transaction: 9_000n,
      settlement: 0n,
      transactionFeeSign: 'D',
      transactionFee: 0n,
      settlementFeeSign: 'D',
      settlementFee: 0n,
    }
    const undone = read(issuerHost, '0420', { ...reversal, 95: amounts })
    expect(undone.text(24)).toBe('401')
    expect(undone.amount(4)).toBe(9_000n)
    expect(undone.reveal(30)).toMatchObject({ transaction: 12_500n })
  })
})

describe('what an answer says of itself', () => {
  test('comes back with the reversal, a part of an element as well as a whole one', () => {
    const codec = compile(visa.dialect)
    const answer = codec.decode(
      codec.encode({ mti: '0110', fields: { 39: '00', 62: { 2: '123456789012345' } } }),
    )
    const { trace } = traceOf(answer, visa.rules.traceElements ?? [])
    expect(trace).toEqual({ '62.2': '123456789012345' })
    const undone = read(visa, '0400', { ...reversal, ...elementsOf(trace) })
    expect(undone.reveal(62)).toEqual({ 2: '123456789012345' })
  })

  test('becomes one identifier where the network wants it so, and its date is not said as ours', () => {
    const codec = compile(mastercard.dialect)
    const fields = { 15: '0102', 39: '00', 63: 'ABC123456' }
    const answer = codec.decode(codec.encode({ mti: '0210', fields }))
    const { trace } = traceOf(answer, mastercard.rules.traceElements ?? [])
    const undone = read(mastercard, '0420', { ...reversal, ...elementsOf(trace) })
    expect(undone.reveal(48)).toEqual({ '63': 'ABC1234560102' })
    expect(undone.has(15)).toBe(false)
  })

  test('is nothing where the answer does not say it', () => {
    const codec = compile(visa.dialect)
    const answer = codec.decode(codec.encode({ mti: '0110', fields: { 39: '00' } }))
    expect(traceOf(answer, ['62.2', '63'])).toEqual({})
  })
})

describe('the lint of a profile', () => {
  const changed = (change: Partial<NetworkProfile>): readonly string[] => lintNetwork({ ...visa, ...change })

  test.each([
    [{ correlation: { ...visa.correlation, key: [11] } }, 'correlation.key: DE11 alone'],
    [{ correlation: { ...visa.correlation, key: [7, 11, 129] } }, 'no DE129'],
    [{ correlation: { ...visa.correlation, key: [2, 11] } }, 'DE2 is sensitive'],
    [{ rules: { ...visa.rules, approvals: ['000'] } }, '000 is no code of 1987'],
    [{ rules: { ...visa.rules, approvals: ['00', '85'] } }, '85 approves no money'],
    [{ rules: { ...visa.rules, approvals: ['00', '10'] } }, '10 approves a part'],
    [{ rules: { ...visa.rules, traceElements: ['35'] } }, '35 is card data'],
    [{ rules: { ...visa.rules, remainingMinMs: 60_000 } }, 'rules.remainingMinMs: 60000 ms'],
    [
      { rules: { ...visa.rules, reversalAnswers: { acknowledged: ['00', '91'], retry: ['91'] } } },
      "91 can't both",
    ],
    [{ session: { ...visa.session, mti: '1804' } }, '1804 is not of the edition of 1987'],
    [{ inFlightMax: 1 }, 'inFlightMax'],
    [{ dialect: issuerHost.dialect }, '0100 is not of the edition of 1993'],
  ] satisfies [Partial<NetworkProfile>, string][])('%#: says what is wrong and where', (change, what) => {
    expect(changed(change).join('\n')).toContain(what)
  })
})
