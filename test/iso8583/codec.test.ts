import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  bodyOf,
  type Codec,
  compile,
  type Dialect,
  digits,
  extend,
  type FieldValue,
  IsoCodecError,
  iso87Ascii,
  iso87AsciiHex,
  iso87Bcd,
  iso87Ebcdic,
  iso93Bcd,
  type Message,
} from '../../iso8583/iso8583.ts'
import { pan, purchase, track2 } from './messages.ts'

const ascii = compile(iso87Ascii)
const bcd = compile(iso87Bcd)

function failure(run: () => unknown): IsoCodecError {
  try {
    run()
  } catch (error) {
    if (error instanceof IsoCodecError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe.each([iso87Ascii, iso87AsciiHex, iso87Bcd])('$name', (dialect) => {
  const codec = compile(dialect)

  test('what is encoded is decoded again, each value of its own type', () => {
    const body = purchase()
    const message = codec.decode(codec.encode(body)) as Message
    expect(message.mti).toBe('0200')
    expect(message.elements).toEqual(Object.keys(body.fields).map(Number))
    for (const de of message.elements) {
      if (de !== 55) expect(message.reveal(de), `DE${de}`).toEqual(body.fields[de])
    }
    expect({ ...(message.reveal(55) as object) }).toEqual(body.fields[55])
    expect(message.amount(4)).toBe(12_500n)
    expect(message.text(41)).toBe('TERM0001')
    expect(message.reveal(52)).toBeInstanceOf(Uint8Array)
  })

  test('original data elements are read and written by their parts', () => {
    const original = {
      mti: '0200',
      stan: '000001',
      transmittedAt: '1122020304',
      acquirerId: '00000123456',
      forwarderId: '00000000000',
    }
    const message = codec.decode(
      codec.encode({ mti: '0420', fields: { 90: { ...original, acquirerId: '123456' } } }),
    )
    expect(message.get(90)).toEqual(original)
  })

  test('replacement amounts and fees keep their signs', () => {
    const fields = {
      28: { sign: 'D', amount: 150n },
      95: {
        transaction: 1_000n,
        settlement: 0n,
        transactionFeeSign: 'C',
        transactionFee: 5n,
        settlementFeeSign: 'D',
        settlementFee: 0n,
      },
    }
    expect(bodyOf(codec.decode(codec.encode({ mti: '0420', fields })))).toEqual({ mti: '0420', fields })
  })

  test('the secondary bitmap is there when an element above 64 is, and only then', () => {
    const small = codec.encode({ mti: '0800', fields: { 7: '1122020304', 11: '000001' } })
    const large = codec.encode({ mti: '0800', fields: { 7: '1122020304', 11: '000001', 70: '301' } })
    expect(codec.decode(small).irregularities).toEqual([])
    expect(codec.decode(large).elements).toEqual([7, 11, 70])
    const bitmapBytes = dialect === iso87AsciiHex ? 16 : 8
    const de70Bytes = dialect === iso87Bcd ? 2 : 3
    expect(large.length - small.length).toBe(bitmapBytes + de70Bytes)
  })
})

test('sensitive elements are masked by get, by describe and by every way of printing, and clear by reveal alone', () => {
  const message = bcd.decode(bcd.encode(purchase())) as Message
  expect(message.get(2)).toBe('400000******0002')
  expect(message.reveal(2)).toBe(pan)
  expect(message.get(35)).toBe('[track]')
  expect(message.reveal(35)).toBe(track2)
  expect(message.get(48)).toBe('[private]')
  expect(message.get(52)).toBe('[secret]')
  const icc = message.get(55) as Readonly<Record<string, FieldValue>>
  expect(icc['5A']).toBe('[emv]')
  expect(icc['57']).toBe('[emv]')
  // A tag the table doesn't have could hold anything.
  expect(icc['DF8116']).toBe('[emv]')
  expect(icc['9F26']).toEqual(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]))

  const printed = [
    bcd.describe(message),
    bcd.describe(purchase()),
    JSON.stringify(message),
    inspect(message, { depth: 9, showHidden: true }),
    inspect(message.get(55), { depth: 9, showHidden: true }),
  ]
  for (const text of printed) {
    expect(text).not.toMatch(/4000000000|25121011|deadbeef|private words/i)
    expect(text).toContain('9F26')
  }
})

test('a card number that is no card number is hidden whole', () => {
  const message = bcd.decode(bcd.encode({ mti: '0200', fields: { 2: '40000' } }))
  expect(message.get(2)).toBe('[pan]')
})

test('describe hides what it does not know and never throws', () => {
  expect(bcd.describe({ mti: '0200', fields: { 200: 'x', 4: 1n } })).toBe('0200 4=000000000001 200=[private]')
  expect(bcd.describe({ mti: 'x', fields: { 3: 'line\nbreak' } })).toBe('???? 3="line\\nbreak"')
  expect(bcd.describe(undefined as never)).toBe('[message not describable]')
})

test('asking for a sensitive element as text is a bug, and is told without its value', () => {
  const message = ascii.decode(ascii.encode(purchase()))
  expect(() => message.text(2)).toThrow('DE2 is not plain text in iso87-ascii')
  expect(() => message.amount(2)).toThrow('DE2 is not an amount')
  expect(message.text(38)).toBeUndefined()
})

test('fixed text is filled on encoding and not trimmed on decoding; fixed digits are never filled', () => {
  const message = ascii.decode(ascii.encode({ mti: '0800', fields: { 42: 'SHOP' } }))
  expect(message.get(42)).toBe('SHOP           ')
  expect(failure(() => ascii.encode({ mti: '0800', fields: { 11: '1' } })).code).toBe('VALUE_TOO_SHORT')
})

test('an error of decoding keeps what was read, masked, so that the sender can be answered', () => {
  const bytes = ascii.encode(purchase())
  const error = failure(() => ascii.decode(bytes.subarray(0, 150)))
  expect(error.code).toBe('TRUNCATED')
  expect(error.partial?.mti).toBe('0200')
  expect(error.partial?.text(11)).toBe('000001')
  expect(error.message).toMatch(/^DE\d+ needs \d+ bytes at offset \d+, \d+ left \(dialect iso87-ascii\)$/)
  expect(inspect(error) + JSON.stringify(error)).not.toContain(pan.slice(0, 7))
})

test('a bad character in an element of known size does not hide the references behind it', () => {
  const bytes = ascii.encode(purchase())
  const at = bytes.indexOf('000000012500')
  bytes.write('X', at + 3, 'latin1')
  const error = failure(() => ascii.decode(bytes))
  expect([error.code, error.path, error.offset]).toEqual(['BAD_DIGIT', '4', at + 3])
  expect(error.partial?.has(4)).toBe(false)
  expect([error.partial?.text(11), error.partial?.text(37), error.partial?.text(41)]).toEqual([
    '000001',
    '632602000001',
    'TERM0001',
  ])
})

test.each<[string, FieldValue, number, string]>([
  ['digits that are not', '00000x', 3, 'BAD_CHARACTER'],
  ['too long a value', '0000000', 3, 'VALUE_TOO_LONG'],
  ['text for an amount', '100', 4, 'VALUE_WRONG_TYPE'],
  ['an amount below zero', -1n, 4, 'VALUE_WRONG_TYPE'],
  ['an amount too large', 10n ** 12n, 4, 'VALUE_TOO_LONG'],
  ['a character beyond the charset', 'TERM000\u0100', 41, 'BAD_CHARACTER'],
  ['a PIN block of seven bytes', new Uint8Array(7), 52, 'VALUE_TOO_SHORT'],
  ['an element of length zero', '', 32, 'VALUE_MISSING'],
  ['a tag that is not one', { '9F': new Uint8Array(1) }, 55, 'BAD_TLV_TAG'],
  ['text in a tag', { '9F26': 'x' }, 55, 'VALUE_WRONG_TYPE'],
  ['more tags than fit', { '9F26': new Uint8Array(300) }, 55, 'VALUE_TOO_LONG'],
  ['a part that is not there', { mti: '0200' }, 90, 'VALUE_MISSING'],
  [
    'a part too many',
    { mti: '0200', stan: '000001', transmittedAt: '1122020304', extra: '1' },
    90,
    'FIELD_NOT_IN_SPEC',
  ],
  ['an element that is not declared', '1', 65, 'FIELD_NOT_IN_SPEC'],
  ['an element beyond the bitmaps', '1', 192, 'FIELD_NOT_IN_SPEC'],
])('encoding refuses %s', (_what, value, de, code) => {
  const error = failure(() => ascii.encode({ mti: '0200', fields: { [de]: value } }))
  expect(error.code).toBe(code)
  expect(error.path.split('.')[0]).toBe(String(de))
})

test('the buffer that messages are written in keeps nothing of the last one after a refusal', () => {
  expect(() => ascii.encode({ mti: '0200', fields: { 2: pan, 3: 'x' } })).toThrow(IsoCodecError)
  expect(ascii.encode({ mti: '0800', fields: { 11: '000001' } }).toString('latin1')).not.toContain(pan)
})

test('tags read come out as they came in: order, repetition and long forms of lengths', () => {
  const icc = Buffer.from('9f26080102030405060708820219809f3303e0f0c8820100950500000000005a81020102', 'hex')
  const length = Buffer.from('0036', 'hex')
  const bytes = Buffer.concat([Buffer.from('02000000000000000200', 'hex'), length, icc])
  const message = bcd.decode(bytes)
  expect(Object.keys(message.reveal(55) as object)).toContain('82#2')
  expect(bcd.encode(bodyOf(message) as never).equals(bytes)).toBe(true)
})

test.each([
  ['193', '193'],
  ['0', '0'],
  ['1', '1'],
  ['2.5', 'fields.?'],
  ['002', '002'],
  ['-3', 'fields.?'],
  ['stan', 'fields.stan'],
  ['__proto__', 'fields.__proto__'],
  ['constructor', 'fields.constructor'],
  ['toString', 'fields.toString'],
  [pan, 'fields.?'],
  [track2, 'fields.?'],
])(
  'encoding refuses a body with the key %#, which is no element, and says it only where it is a word',
  (key, path) => {
    const sound = { 3: '000000', 11: '000001' }
    const body = (fields: object): never => ({ mti: '0200', fields }) as never
    // Once the kind is known, the key takes the place of an element or stands beside them.
    ascii.encode(body(sound))
    ascii.encode(body({ ...sound, 41: 'TERM0001' }))
    const odd = JSON.parse(`{"3":"000000","11":"000001","${key}":"000002"}`) as object
    const error = failure(() => ascii.encode(body(odd)))
    expect(error).toMatchObject({ code: 'FIELD_NOT_IN_SPEC', path })
    expect(error.message).not.toMatch(/000002|\d{7}/)
  },
)

test('a key without a value is as if it were not there, whatever its name, also where the kind is known', () => {
  const plain = ascii.encode({ mti: '0200', fields: { 3: '000000', 11: '000001' } })
  for (const fields of [
    { 3: '000000', 11: '000001', 41: undefined },
    { 3: '000000', 4: undefined, 11: '000001', stan: undefined },
    Object.assign(Object.create({ 12: '120000' }) as object, { 3: '000000', 11: '000001' }),
  ])
    for (let turn = 0; turn < 2; turn++)
      expect(ascii.encode({ mti: '0200', fields } as never).equals(plain)).toBe(true)
  const [without, withIt] = [{ 11: '000001' }, { 3: '000000', 11: '000001' }].map((fields) =>
    ascii.encode({ mti: '0200', fields }),
  )
  // As many keys as the kind just written, and another element among them.
  expect(
    ascii.encode({ mti: '0200', fields: { 3: undefined, 11: '000001' } } as never).equals(without!),
  ).toBe(true)
  expect(withIt!.equals(plain)).toBe(true)
})

test.each<Dialect>([iso87Ascii, iso87AsciiHex, iso87Bcd, iso87Ebcdic, iso93Bcd] as readonly Dialect[])(
  '$name writes a message of a known kind as it wrote the first of the kind, and refuses the same values',
  (dialect) => {
    // In 1993 these have other formats.
    const others = dialect.version === '1987' ? [] : ['12', '22', '25', '43', '55']
    const fields = Object.fromEntries(
      Object.entries(purchase().fields).filter(([de]) => !others.includes(de)),
    )
    const codec = compile(dialect)
    const body = { mti: '0200', fields }
    const first = codec.encode(body)
    expect(codec.encode(body).equals(first)).toBe(true)
    for (const de of Object.keys(fields).map(Number))
      for (const value of [
        '',
        'x',
        '\u0130\u0131',
        '9'.repeat(1000),
        'é'.repeat(30),
        -1n,
        10n ** 20n,
        7,
        null,
        {},
      ]) {
        const wrong = { mti: '0200', fields: { ...fields, [de]: value } } as never
        const outcome = (codec: Codec) => {
          try {
            return codec.encode(wrong).toString('hex')
          } catch (error) {
            if (!(error instanceof IsoCodecError)) throw error
            return error.message
          }
        }
        // A codec that has written nothing yet goes the careful way.
        expect(outcome(codec), `DE${de}`).toBe(outcome(compile(dialect)))
      }
  },
)

test("a dialect's own rule may encode another message while one is being encoded", () => {
  const inner = { mti: '0800', fields: { 7: '1122020304', 11: '000001', 70: '301' } }
  const refine = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) => (nested.encode(inner).length > 0 ? { value } : { issues: [{}] }),
    },
  } as const
  const nested: Codec = compile(
    extend(iso87Ascii, { name: 'asks-itself', fields: { 3: digits(6, { refine }) } }),
  )
  const body = { mti: '0200', fields: { 3: '000000', 11: '000002', 41: 'TERM0001', 102: '1' } }
  for (let turn = 0; turn < 2; turn++) expect(bodyOf(ascii.decode(nested.encode(body)))).toEqual(body)
})

test('messages do not run into each other where a slab ends', () => {
  const bodies = Array.from({ length: 300 }, (_, nth) => ({
    mti: '0200',
    fields: { 11: String(nth).padStart(6, '0'), 48: 'x'.repeat((nth * 37) % 999 || 1), 62: 'y'.repeat(900) },
  }))
  const written = bodies.map((body) => ascii.encode(body))
  written.forEach((bytes, nth) => expect(bodyOf(ascii.decode(bytes))).toEqual(bodies[nth]))
})
