/** What a hardened parser refuses: each row of attacks seen on other codecs, and the answer of this one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bertlv,
  bits,
  bytes,
  type Codec,
  compile,
  dialect,
  digits,
  extend,
  IsoCodecError,
  iso87Ascii,
  iso87AsciiHex,
  iso87Bcd,
  len,
  llllllvar,
  lllvar,
  llvar,
  pan,
  positional,
  priv,
  tagged,
  text,
} from '../../iso8583/iso8583.ts'
import { purchase } from './messages.ts'
import { codecOf, messageVectors } from './vectors.ts'

const ascii = compile(iso87Ascii)
const bcd = compile(iso87Bcd)

/** A message with the bits of `elements` set, the elements' bytes given as they are. */
function message(elements: readonly number[], content: string | Buffer, mti = '0200'): Buffer {
  const bitmap = Buffer.alloc(elements.some((de) => de > 64) ? 16 : 8)
  if (bitmap.length === 16) bitmap[0] = 0x80
  for (const de of elements) bitmap[(de - 1) >> 3]! |= 0x80 >> ((de - 1) & 7)
  return Buffer.concat([Buffer.from(mti, 'latin1'), bitmap, Buffer.from(content as string, 'latin1')])
}

function packed(elements: readonly number[], hex: string): Buffer {
  return Buffer.concat([
    Buffer.from('0200', 'hex'),
    message(elements, '').subarray(4),
    Buffer.from(hex, 'hex'),
  ])
}

function refusal(codec: Codec, input: Uint8Array): IsoCodecError {
  const result = codec.tryDecode(input)
  if (result.ok) throw new Error('accepted')
  return result.error
}

describe('lengths', () => {
  test.each(['-5', '+5', ' 5', '5 ', '0x', '1_', '\xb2\xb3', '5.', '\x00\x05'])(
    '%j is no length in ASCII',
    (length) => {
      const error = refusal(ascii, message([2], `${length}12345`))
      expect([error.code, error.path, error.offset]).toEqual(['BAD_LENGTH', '2', 12])
    },
  )

  test.each(['0a', 'a0', 'ff'])('%s is no length in BCD', (length) => {
    const error = refusal(bcd, packed([2], `${length}1234567890`))
    expect([error.code, error.offset]).toEqual(['BAD_LENGTH', 10])
  })

  test('a length over the maximum is refused before what is left is looked at', () => {
    expect(refusal(ascii, message([2], '99')).code).toBe('LENGTH_OVER_MAX')
    expect(refusal(bcd, packed([48], '9999')).code).toBe('LENGTH_OVER_MAX')
  })

  test('a length of a megabyte allocates nothing: what is left is too short', () => {
    const wide = compile(
      dialect({
        name: 'wide',
        version: '1987',
        defaults: { text: 'ascii', digits: 'ascii', len: 'ascii', bytes: 'bytes' },
        mti: digits(4),
        bitmap: bits('binary'),
        fields: { 60: priv(llllllvar(bytes.upTo(999_999))) },
      }),
    )
    const error = refusal(wide, message([60], '999999x'))
    expect([error.code, error.need, error.have]).toEqual(['TRUNCATED', 999_999, 1])
  })

  test('half a byte of hexadecimal is no length', () => {
    const codec = compile(iso87AsciiHex)
    const input = Buffer.from(`02000000000000000200003ABC`, 'latin1')
    expect(refusal(codec, input).code).toBe('BAD_LENGTH')
  })
})

describe('digits and characters', () => {
  test.each([':', '/', 'A', ' ', '\xb9', '\x00'])('%j is no digit in ASCII', (character) => {
    const error = refusal(ascii, message([3], `00${character}000`))
    expect([error.code, error.path, error.offset]).toEqual(['BAD_DIGIT', '3', 14])
  })

  test.each(['0a0000', '00f000', '00000b'])('%s holds a nibble that is no digit', (hex) => {
    expect(refusal(bcd, packed([3], hex)).code).toBe('BAD_DIGIT')
  })

  test('a pad that is not the declared one is refused', () => {
    expect(refusal(bcd, packed([22], '1051'))).toMatchObject({ code: 'BAD_PADDING', offset: 10 })
    expect(bcd.decode(packed([22], '0051')).get(22)).toBe('051')
  })

  test('control characters are refused in text', () => {
    expect(refusal(ascii, message([41], 'TERM\n001')).code).toBe('BAD_CHARACTER')
  })
})

describe('bitmaps', () => {
  test('a bit for an element that is not declared is refused at the place where it would be', () => {
    const codec = compile(dialect({ ...iso87Ascii, name: 'few', fields: { 3: digits(6), 11: digits(6) } }))
    const error = refusal(codec, message([3, 4, 11], '000000000000000100000001'))
    expect([error.code, error.path, error.offset]).toEqual(['FIELD_NOT_IN_SPEC', '4', 18])
    expect(error.partial?.text(3)).toBe('000000')
  })

  test('bit 1 without a secondary bitmap is a message cut short', () => {
    expect(refusal(ascii, Buffer.from('303230308000000000000000', 'hex'))).toMatchObject({
      code: 'TRUNCATED',
      path: 'bitmap',
    })
  })

  test('a chain of bitmaps ends where the dialect says', () => {
    const one = compile(
      dialect({
        ...iso87Bcd,
        name: 'one-bitmap',
        bitmap: bits('binary', { max: 1 }),
        fields: { 3: digits(6) },
      }),
    )
    expect(refusal(one, Buffer.from('020080000000000000000000000000000000', 'hex')).code).toBe('BAD_BITMAP')
    const three = compile(
      dialect({
        ...iso87Bcd,
        name: 'three-bitmaps',
        bitmap: bits('binary', { max: 3 }),
        fields: { 3: digits(6), 130: digits(2) },
      }),
    )
    const bytes = three.encode({ mti: '0200', fields: { 3: '000000', 130: '42' } })
    expect(three.decode(bytes).elements).toEqual([3, 130])
    bytes[2 + 16] = 0xff
    expect(refusal(three, bytes).code).toBe('BAD_BITMAP')
    // Where two bitmaps are all there is, bit 65 is an element, and one that the dialect doesn't have.
    expect(refusal(bcd, packed([65], '00'))).toMatchObject({ code: 'FIELD_NOT_IN_SPEC', path: '65' })
  })

  test('an empty secondary bitmap is accepted and noted, or refused by setting, and never written', () => {
    const empty = Buffer.from('020080000000000000000000000000000000', 'hex')
    const decoded = bcd.decode(empty)
    expect(decoded.irregularities).toEqual([{ code: 'EMPTY_BITMAP', path: 'bitmap' }])
    expect(bcd.encode({ mti: '0200', fields: {} })).toHaveLength(10)
    const strict = compile(extend(iso87Bcd, { name: 'strict', settings: { emptyBitmap: 'refuse' } }))
    expect(refusal(strict, empty).code).toBe('BAD_BITMAP')
  })

  test('hexadecimal bitmaps are upper-case hexadecimal and nothing else', () => {
    const codec = compile(iso87AsciiHex)
    expect(refusal(codec, Buffer.from('02002000000000000g00000000', 'latin1'))).toMatchObject({
      code: 'BAD_BITMAP',
      offset: 17,
    })
  })
})

describe('ends', () => {
  test('bytes after the last element are refused, or noted by setting', () => {
    const bytes = message([3], '000000AB')
    expect(refusal(ascii, bytes)).toMatchObject({ code: 'TRAILING_BYTES', offset: 18, have: 2 })
    const lax = compile(extend(iso87Ascii, { name: 'lax', settings: { trailing: 'allow' } }))
    expect(lax.decode(bytes).irregularities).toEqual([{ code: 'TRAILING_BYTES', path: '' }])
  })

  test('a variable element of length zero is accepted and noted', () => {
    expect(ascii.decode(message([32], '00')).irregularities).toEqual([{ code: 'EMPTY_FIELD', path: '32' }])
  })

  test('nothing at all is a message cut short', () => {
    expect(refusal(ascii, Buffer.alloc(0))).toMatchObject({ code: 'TRUNCATED', path: 'mti', offset: 0 })
  })
})

describe('BER-TLV', () => {
  const icc = (hex: string): Buffer => packed([55], `${String(hex.length / 2).padStart(4, '0')}${hex}`)

  test.each([
    ['an indefinite length', '6180', 'BAD_TLV_LENGTH'],
    ['a length of four bytes', '9f268400000001', 'BAD_TLV_LENGTH'],
    ['a length of 17 bytes', '5a9100', 'BAD_TLV_LENGTH'],
    ['a length that would be negative in 32 bits', '5a84ffffffff', 'BAD_TLV_LENGTH'],
    ['a length that is cut', '5a82', 'BAD_TLV_LENGTH'],
    ['no length', '5a', 'BAD_TLV_LENGTH'],
    ['a value longer than the element', '5a0512', 'TLV_OVERRUN'],
    ['a child longer than its parent', '70045a055400', 'TLV_OVERRUN'],
    ['a tag that does not end', '9fff', 'BAD_TLV_TAG'],
    ['a tag of five bytes', 'dfffffffff0100', 'BAD_TLV_TAG'],
    ['a tag number with leading zeros', '9f800100', 'BAD_TLV_TAG'],
    ['zeros where a tag should be', '5a01120000', 'BAD_TLV_TAG'],
  ])('%s is refused', (_what, hex, code) => {
    const error = refusal(bcd, icc(hex))
    expect(error.code).toBe(code)
    expect(error.path.startsWith('55')).toBe(true)
    expect(error.offset).toBeLessThanOrEqual(icc(hex).length)
  })

  test('nine levels are too deep, eight are not', () => {
    const nest = (levels: number): string =>
      levels === 0
        ? ''
        : `70${((nest(levels - 1).length / 2) | 0).toString(16).padStart(2, '0')}${nest(levels - 1)}`
    expect(refusal(bcd, icc(nest(9))).code).toBe('TLV_TOO_DEEP')
    expect(bcd.decode(icc(nest(7))).has(55)).toBe(true)
  })

  test('257 tags are too many', () => {
    const codec = compile(
      extend(iso87Bcd, { name: 'wide-icc', fields: { 55: bertlv(lllvar(bytes.upTo(999)), { tags: {} }) } }),
    )
    const hex = '8200'.repeat(257)
    expect(refusal(codec, packed([55], `0514${hex}`)).code).toBe('TOO_MANY_TAGS')
    expect(codec.decode(packed([55], `0512${'8200'.repeat(256)}`)).has(55)).toBe(true)
  })

  test('zero padding is taken at the end and only by setting', () => {
    const codec = compile(
      extend(iso87Bcd, {
        name: 'padded-icc',
        fields: { 55: bertlv(lllvar(bytes.upTo(255)), { tags: {}, padding: 'zeros' }) },
      }),
    )
    expect(Object.keys(codec.decode(icc('8201010000')).reveal(55) as object)).toEqual(['82'])
    expect(refusal(codec, icc('820101000082')).code).toBe('BAD_PADDING')
  })
})

test('tags named after what objects have by themselves are tags', () => {
  const codec = compile(
    dialect({
      ...iso87Ascii,
      name: 'prototype-names',
      fields: { 2: pan(llvar(digits.upTo(19))), 48: tagged(lllvar, { tag: text(9), len: len(2) }) },
    }),
  )
  const value = { ['__proto__']: 'x' }
  const entries = Object.create(null) as Record<string, string>
  entries['__proto__'] = 'polluted'
  const bytes = codec.encode({ mti: '0200', fields: { 48: entries } })
  const decoded = codec.decode(bytes).reveal(48) as Record<string, string>
  expect(Object.getPrototypeOf(decoded)).toBeNull()
  expect(Object.keys(decoded)).toEqual(['__proto__'])
  expect(({} as { polluted?: string }).polluted).toBeUndefined()
  expect(value).toBeDefined()
})

test('a part named after what objects have by themselves is a part', () => {
  const field = positional(Object.fromEntries([['__proto__', digits(2)]]))
  const codec = compile(
    dialect({ ...iso87Ascii, name: 'prototype-part', fields: { 2: pan(llvar(digits.upTo(19))), 3: field } }),
  )
  const value = Object.fromEntries([['__proto__', '12']])
  const decoded = codec.decode(codec.encode({ mti: '0200', fields: { 3: value } })).reveal(3) as object
  expect(Object.keys(decoded)).toEqual(['__proto__'])
})

test('one changed byte anywhere is decoded or refused, never anything else, and never read past', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...messageVectors),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      ({ hex, dialectName }, place, byte) => {
        const input = Buffer.from(hex, 'hex')
        input[place % input.length] = byte
        const codec = codecOf(dialectName)
        const result = codec.tryDecode(input)
        if (result.ok) {
          JSON.stringify(result.message)
          for (const de of result.message.elements) result.message.reveal(de)
        } else expect(result.error.offset).toBeLessThanOrEqual(input.length)
      },
    ),
    { numRuns: 3_000 },
  )
})

test('any bytes at all are decoded or refused with the one error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
      for (const codec of [ascii, bcd]) {
        const result = codec.tryDecode(input)
        if (!result.ok) expect(result.error).toBeInstanceOf(IsoCodecError)
      }
    }),
    { numRuns: 1_000 },
  )
})

test('no error says what the message holds', () => {
  const bytes = ascii.encode(purchase())
  for (let at = 12; at < bytes.length; at++) {
    const input = Buffer.from(bytes)
    input[at] = 0x01
    const result = ascii.tryDecode(input)
    if (!result.ok)
      expect(`${result.error.message} ${JSON.stringify(result.error)}`).not.toMatch(/4000000000|DEADBEEF/)
  }
})

test('the time to read grows with the input and not with what it claims', () => {
  const codec = compile(
    extend(iso87Bcd, {
      name: 'long-icc',
      fields: { 55: bertlv(llllllvar(bytes.upTo(65_000)), { tags: {} }) },
    }),
  )
  const bomb = (tags: number): Buffer =>
    packed([55], `${String(tags * 2).padStart(6, '0')}${'7000'.repeat(tags)}`)
  // Refused at the 257th tag, whatever follows: so many steps and no more.
  expect(refusal(codec, bomb(32_000))).toMatchObject({ code: 'TOO_MANY_TAGS', have: 257 })
})
