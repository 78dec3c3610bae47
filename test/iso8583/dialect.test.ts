import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  absent,
  amount,
  bertlv,
  bitmapped,
  bits,
  bodyOf,
  bundledDialects,
  bytes,
  compile,
  datasets,
  type Dialect,
  dialect,
  dialectFromJson,
  differences,
  digits,
  emvTags,
  extend,
  type FieldValue,
  IsoCodecError,
  iso87Bcd,
  len,
  lllvar,
  llvar,
  type MessageOf,
  nibbles,
  pan,
  positional,
  secret,
  tagged,
  text,
  track,
} from '../../iso8583/iso8583.ts'

const mixed = dialect({
  name: 'acq-mixed-87',
  version: '1987',
  defaults: { text: 'ebcdic1047', digits: 'bcd', len: 'binary', bytes: 'bytes' },
  mti: digits(4),
  bitmap: bits('binary', { max: 2 }),
  fields: {
    2: pan(llvar(digits.upTo(19), { counts: 'digits' })),
    3: positional({ type: digits(2), from: digits(2), to: digits(2) }),
    4: amount(12),
    11: digits(6),
    35: track(llvar(nibbles.upTo(37), { counts: 'digits', odd: 'left-0' })),
    43: positional({ name: text(25), city: text(13), country: text(2) }),
    48: tagged(lllvar, { tag: text(2), len: len(2, { written: 'ascii' }), unknown: 'keep' }),
    52: secret(bytes(8)),
    55: bertlv(lllvar(bytes.upTo(255), { bytes: 1 }), { tags: emvTags }),
    62: bitmapped(lllvar(bytes.upTo(255)), {
      bitmapBytes: 8,
      fields: { 1: text(1), 2: digits(15), 20: text(5) },
    }),
    104: datasets(lllvar(bytes.upTo(255)), { tags: { '80': { name: 'kind', open: true } } }),
  },
})

const body: MessageOf<typeof mixed> = {
  mti: '0200',
  fields: {
    2: '4000000000000002',
    3: { type: '00', from: '20', to: '00' },
    4: 12_500n,
    11: '000001',
    35: '4000000000000002D2512101100001234',
    43: { name: 'Mafraq test shop'.padEnd(25), city: 'Kuwait'.padEnd(13), country: 'KW' },
    48: { AB: 'first', '01': '[]{}', ZZ: '' },
    52: new Uint8Array(8),
    55: { '9F26': new Uint8Array(8), E1: { '5A': Uint8Array.of(0x40) } },
    62: { 2: '123456789012345', 20: 'abcde' },
    104: { '71': { '80': Uint8Array.of(1), '81': Uint8Array.of(2) } },
  },
}

test('every kind of nested data is written and read by its declaration', () => {
  const codec = compile(mixed)
  const message = codec.decode(codec.encode(body))
  const plain = (value: unknown): unknown =>
    value instanceof Uint8Array || typeof value !== 'object' || value === null
      ? value
      : Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
  for (const de of message.elements) {
    expect(plain(message.reveal(de as 2)), `DE${de}`).toEqual(
      plain((body.fields as Record<number, FieldValue>)[de]),
    )
  }
})

test('nested data is masked by what its declaration knows', () => {
  const message = compile(mixed).decode(compile(mixed).encode(body))
  expect(message.toJSON().fields).toMatchObject({
    2: '400000******0002',
    35: '[track]',
    48: { AB: '[private]', '01': '[private]' },
    52: '[secret]',
    55: { '9F26': '0000000000000000', E1: { '5A': '[emv]' } },
    104: { '71': { '80': '01', '81': '[emv]' } },
  })
})

test('the type of a message follows from the declaration', () => {
  const codec = compile(mixed)
  expectTypeOf<MessageOf<typeof mixed>['fields'][4]>().toEqualTypeOf<bigint | undefined>()
  const message = codec.decode(codec.encode(body))
  expectTypeOf(message.reveal(2)).toEqualTypeOf<string | undefined>()
  expectTypeOf(message.reveal(3)?.type).toEqualTypeOf<string | undefined>()
  expectTypeOf(message.reveal(52)).toEqualTypeOf<Uint8Array | undefined>()
  // @ts-expect-error an amount is not text
  expect(() => codec.encode({ mti: '0200', fields: { 4: '1' } })).toThrow(IsoCodecError)
})

describe('declaring', () => {
  const broken = (fields: Dialect['fields']): readonly string[] => {
    try {
      compile(dialect<Dialect['fields']>({ ...iso87Bcd, name: 'broken', fields }))
      return []
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      return error.mistakes
    }
  }

  test('all mistakes are told at once', () => {
    const mistakes = broken({
      2: llvar(digits.upTo(19)),
      11: digits.upTo(6),
      48: lllvar(text.upTo(2_000)),
      52: bytes(8),
      200: digits(1),
      60: positional({}),
    })
    expect(mistakes.map((one) => one.split(' ')[0])).toEqual(
      expect.arrayContaining(['DE2', 'DE11', 'DE48', 'DE52', 'DE200', 'DE60']),
    )
  })

  test.each<[string, Dialect['fields'], RegExp]>([
    ['a card number that is shown', { 2: llvar(digits.upTo(19)) }, /DE2 must be declared sensitive/],
    ['text in packed digits', { 41: text(8, { written: 'bcd' }) }, /cannot be written as bcd/],
    ['a variable amount', { 4: llvar(amount(12)) }, /an amount only as digits of fixed size/],
    ['more than the length can say', { 60: llvar(text.upTo(100)) }, /more than its length can say/],
    ['trimming what is not filled', { 41: text(8, { trim: 'right-space' }) }, /takes off/],
    ['parts that vary in a fixed element', { 60: positional({ a: llvar(text.upTo(9)) }) }, /varies in size/],
  ])('%s is a mistake', (_what, fields, mistake) => {
    expect(broken(fields).join('\n')).toMatch(mistake)
  })

  test('a declaration cannot be changed afterwards', () => {
    expect(() => Object.assign(mixed.fields[4], { max: 1 })).toThrow(TypeError)
  })

  test('trimming and filling undo each other where they are asked for', () => {
    const codec = compile(
      extend(iso87Bcd, {
        name: 'trims',
        fields: { 42: text(15, { fill: 'right-space', trim: 'right-space' }) },
      }),
    )
    const bytes = codec.encode({ mti: '0200', fields: { 42: 'SHOP' } })
    expect(codec.decode(bytes).get(42)).toBe('SHOP')
    expect(codec.encode(bodyOf(codec.decode(bytes)) as never).equals(bytes)).toBe(true)
  })

  test('a value can be held to a rule of its own in the form of Standard Schema', () => {
    const known = ['00', '05', '91']
    const refine = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) =>
          known.includes(value as string) ? { value } : { issues: [{ message: 'not a response code' }] },
      },
    } as const
    const codec = compile(extend(iso87Bcd, { name: 'refined', fields: { 39: text(2, { refine }) } }))
    expect(codec.encode({ mti: '0210', fields: { 39: '05' } })).toHaveLength(12)
    expect(() => codec.encode({ mti: '0210', fields: { 39: '77' } })).toThrow('VALUE_REFUSED')
  })
})

test('a codec validates bodies as a Standard Schema', () => {
  const { validate, version } = compile(mixed)['~standard']
  expect(version).toBe(1)
  expect(validate(body)).toEqual({ value: body })
  const wrong: readonly (readonly [unknown, readonly string[]])[] = [
    [null, ['fields']],
    [{ mti: '0200' }, ['fields']],
    [{ mti: 200, fields: {} }, ['mti']],
    [{ mti: '0200', fields: { 4: '1' } }, ['fields', '4']],
    [{ mti: '0200', fields: { 3: { type: '00', from: '00' } } }, ['fields', '3', 'to']],
    [{ mti: '0200', fields: { 4: null } }, ['fields', '4']],
    [{ mti: '0200', fields: { 43: null, 55: { '9F26': null } } }, ['fields', '43']],
    [{ mti: '0200', fields: { 55: { '9F26': null } } }, ['fields', '55', '9F26']],
  ]
  for (const [value, path] of wrong) {
    const { issues = [] } = validate(value)
    expect(issues.map((issue) => issue.path)).toEqual([path])
  }
})

test('a derived dialect is its base but for its changes, and can tell them', () => {
  const derived = extend(iso87Bcd, {
    name: 'derived',
    settings: { emptyFields: 'write' },
    fields: {
      48: absent,
      62: bitmapped(lllvar(bytes.upTo(255)), { bitmapBytes: 8, fields: { 1: text(1) } }),
      65: bytes(1),
    },
  })
  expect(derived.fields).not.toHaveProperty('48')
  expect(derived.fields[4]).toBe(iso87Bcd.fields[4])
  expect(differences(derived)).toEqual([
    'settings: {} becomes {"emptyFields":"write"}',
    'DE48: absent',
    'DE62: LLLVAR ans ..999 becomes LLLVAR bitmap of 8 bytes, 1 subfields, shown',
    'DE65: added, b 1',
  ])
})

describe('from JSON', () => {
  const find = (name: string): Dialect | undefined => bundledDialects[name]

  test('a file says what the helpers say', () => {
    const loaded = dialectFromJson(
      {
        name: 'member-private',
        extends: 'iso87-bcd',
        fields: {
          48: { length: 'lllvar', tagged: { max: 999, tag: 'an 2', len: 'llvar', tags: { '01': 'n ..6' } } },
          60: { title: 'Terminal data', format: 'lllvar ans 20 private' },
          62: { length: 'lllvar', bitmapped: { max: 255, bitmapBytes: 8, fields: { 1: 'an 1', 2: 'n 15' } } },
          43: { positional: { name: 'ans 25', city: 'ans 13', country: 'an 2' } },
          104: { length: 'lllvar', datasets: { max: 100 } },
          120: null,
        },
      },
      find,
    )
    const codec = compile(loaded)
    expect(loaded.fields).not.toHaveProperty('120')
    const fields = { 48: { '01': '123456', XX: 'abc' }, 60: 'abc', 62: { 2: '123456789012345' } }
    const message = codec.decode(codec.encode({ mti: '0200', fields }))
    expect({ ...(message.reveal(48) as object) }).toEqual(fields[48])
    expect(message.get(60)).toBe('[private]')
    expect(message.get(48)).toEqual({ '01': '123456', XX: '[private]' })
  })

  test('all mistakes of a file are told at once, and nothing else is thrown', () => {
    const wrong = [
      null,
      [],
      {},
      { name: 'x', extends: 'nobody' },
      {
        name: 'x',
        version: '1988',
        surprise: 1,
        defaults: { text: 'utf8' },
        bitmap: { written: 'octal', max: 4 },
        fields: {
          a: 'n 1',
          3: 'q 6',
          4: 'n',
          5: 'n 12 colour',
          6: 7,
          7: { positional: { a: 'n x' } },
          8: 'lvar n 3 counts=apples',
        },
      },
    ]
    const told = wrong.map((json) => {
      try {
        compile(dialectFromJson(json, find))
        return 0
      } catch (error) {
        if (!(error instanceof IsoCodecError)) throw error
        expect(error.code).toBe('BAD_DIALECT')
        return error.mistakes.length
      }
    })
    expect(told.every((count) => count > 0)).toBe(true)
    expect(told.at(-1)).toBeGreaterThanOrEqual(12)
  })

  test.each([
    [
      'a word of a length that names something every object has',
      { length: 'llvar constructor=1', format: 'an 5' },
    ],
    ['padding that is not known', { length: 'lllvar', bertlv: { max: 255, padding: 'zero' } }],
    ['a writing that is not known', { length: 'lllvar', bertlv: { max: 255, written: 'octal' } }],
    ['a word that tags do not have', { length: 'lllvar', bertlv: { max: 255, tag: 'emv' } }],
    [
      'a subfield taken away where nothing is extended',
      { length: 'llvar', bitmapped: { max: 9, bitmapBytes: 1, fields: { 1: null } } },
    ],
  ])('%s is a mistake of its element', (_what, field) => {
    const json = { name: 'x', extends: 'iso87-bcd', fields: { 60: { ...field, sensitive: 'private' } } }
    expect(() => dialectFromJson(json, find)).toThrow(/fields\.60/)
  })

  test('a setting that is no object, an about that is no text, and claims that are no list are mistakes', () => {
    const json = { name: 'x', extends: 'iso87-bcd', settings: 1, about: 2, notClaimed: 'nothing' }
    expect(() => dialectFromJson(json, find)).toThrow(
      expect.objectContaining({ mistakes: expect.toSatisfy((all: string[]) => all.length === 3) }),
    )
  })
})
