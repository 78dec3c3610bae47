import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bodyFromJson,
  bodyOf,
  compile,
  dialect,
  type FieldSpec,
  type FieldValue,
  revealJson,
} from '../../iso8583/iso8583.ts'

/** A field and the values it can hold. */
interface Sample {
  readonly spec: FieldSpec
  readonly values: fc.Arbitrary<FieldValue>
}

const charset = fc.constantFrom('ascii', 'ebcdic037', 'ebcdic500', 'ebcdic1047' as const)
const pad = fc.constantFrom('left-0', 'left-F', 'right-0', 'right-F' as const)

const alphabets = {
  n: '0123456789',
  an: 'ABCabc019 ',
  ans: 'Az09 []{}!^~|$#@',
  z: '0123456789=',
  h: '0123456789ABCDEF',
} as const

const characters = (alphabet: keyof typeof alphabets, min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...alphabets[alphabet].split('')), minLength: min, maxLength: max })

const bytesOf = (min: number, max: number): fc.Arbitrary<FieldValue> =>
  fc.uint8Array({ minLength: min, maxLength: max })

const lengths = fc.record({
  width: fc.constant(2),
  written: fc.constantFrom('ascii', 'ebcdic037', 'bcd', 'binary' as const),
})

/** Text, digits, amounts and bytes, of fixed or varying size, in every writing that fits them. */
const plain: fc.Arbitrary<Sample> = fc
  .record({
    allowed: fc.constantFrom('n', 'an', 'ans', 'z', 'h', 'b' as const),
    size: fc.integer({ min: 1, max: 30 }),
    length: fc.option(lengths, { nil: undefined }),
    packed: fc.boolean(),
    odd: pad,
    hex: fc.boolean(),
    amount: fc.boolean(),
  })
  .map(({ allowed, size, length, packed, odd, hex, amount }) => {
    const canPack = packed && (allowed === 'n' || allowed === 'z' || allowed === 'h')
    const isAmount = amount && allowed === 'n' && length === undefined
    const common = {
      kind: 'plain' as const,
      allowed,
      max: size,
      min: length === undefined ? size : 0,
      odd,
      sensitive: 'secret' as const,
      ...(length && { length }),
      ...(canPack
        ? { written: 'nibbles' as const }
        : allowed === 'b'
          ? { written: hex ? ('hex' as const) : ('bytes' as const) }
          : { written: 'text' as const }),
    }
    // An element of length zero is not written; a track that is text may hold D, a packed one has = for it.
    const least = length === undefined ? size : 1
    if (allowed === 'b') return { spec: { ...common, value: 'bytes' as const }, values: bytesOf(least, size) }
    if (isAmount) {
      return {
        spec: { ...common, value: 'amount' as const },
        values: fc.bigInt({ min: 0n, max: 10n ** BigInt(size) - 1n }),
      }
    }
    return { spec: { ...common, value: 'text' as const }, values: characters(allowed, least, size) }
  })

const positional: fc.Arbitrary<Sample> = fc.array(plain, { minLength: 1, maxLength: 4 }).map((parts) => {
  const fixed = parts.filter(({ spec }) => spec.length === undefined)
  const used =
    fixed.length > 0
      ? fixed
      : [
          {
            spec: { kind: 'plain', allowed: 'n', min: 3, max: 3, value: 'text' } as const,
            values: characters('n', 3, 3),
          },
        ]
  const named = used.map((part, nth) => [`part${String.fromCharCode(97 + nth)}`, part] as const)
  return {
    spec: {
      kind: 'positional',
      sensitive: 'secret',
      parts: Object.fromEntries(named.map(([name, { spec }]) => [name, spec])),
    },
    values: fc.record(Object.fromEntries(named.map(([name, { values }]) => [name, values]))),
  }
})

const primitive = fc.constantFrom('9F26', '82', '5A', 'DF8116', '9F02', '50')
const tags = (depth: number): fc.Arbitrary<FieldValue> =>
  fc
    .dictionary(
      depth === 0 ? primitive : fc.oneof(primitive, fc.constantFrom('70', 'BF0C', 'E1')),
      bytesOf(0, 12),
      { maxKeys: 4, minKeys: 1 },
    )
    .chain(
      (flat) =>
        fc.record(
          Object.fromEntries(
            Object.keys(flat).map((tag) => [
              tag,
              (Number.parseInt(tag.slice(0, 2), 16) & 0x20) !== 0
                ? depth === 0
                  ? fc.constant({})
                  : tags(depth - 1)
                : fc.constant(flat[tag]!),
            ]),
          ),
        ) as fc.Arbitrary<FieldValue>,
    )

const bertlv: fc.Arbitrary<Sample> = fc
  .record({ hex: fc.boolean(), written: lengths })
  .map(({ hex, written }) => ({
    spec: {
      kind: 'bertlv',
      sensitive: 'emv',
      tags: {},
      unknown: 'keep',
      padding: 'refuse',
      max: 900,
      written: hex ? 'hex' : 'bytes',
      length: { ...written, width: 3 },
    },
    values: tags(2),
  }))

const tagged: fc.Arbitrary<Sample> = fc.constant({
  spec: {
    kind: 'tagged',
    tag: { kind: 'plain', allowed: 'an', value: 'text', min: 2, max: 2 },
    len: { width: 2 },
    content: { kind: 'plain', allowed: 'ans', value: 'text', min: 0, max: 99 },
    tags: {},
    unknown: 'keep',
    max: 900,
    length: { width: 3 },
  },
  values: fc.dictionary(characters('an', 2, 2), characters('ans', 0, 20), {
    minKeys: 1,
    maxKeys: 5,
  }),
})

const bitmapped: fc.Arbitrary<Sample> = fc.array(plain, { minLength: 1, maxLength: 6 }).map((parts) => {
  const named = parts.map((part, nth) => [String(nth * 7 + 1), part] as const)
  return {
    spec: {
      kind: 'bitmapped',
      sensitive: 'secret',
      bitmap: { written: 'binary', bytes: 8 },
      fields: Object.fromEntries(named.map(([bit, { spec }]) => [bit, spec])),
      max: 900,
      length: { width: 3 },
    },
    values: fc.record(Object.fromEntries(named.map(([bit, { values }]) => [bit, values])), {
      requiredKeys: [],
    }) as fc.Arbitrary<FieldValue>,
  }
})

const anyField: fc.Arbitrary<Sample> = fc.oneof(
  { arbitrary: plain, weight: 6 },
  positional,
  bertlv,
  tagged,
  bitmapped,
)

const world = fc
  .record({
    defaults: fc.record({
      text: charset,
      digits: fc.oneof(charset, fc.constant('bcd' as const)),
      len: fc.constantFrom('ascii', 'bcd', 'binary', 'ebcdic500' as const),
      bytes: fc.constantFrom('bytes', 'hex' as const),
    }),
    written: fc.constantFrom('binary', 'hex' as const),
    elements: fc.uniqueArray(
      fc.tuple(
        fc.integer({ min: 2, max: 192 }).filter((de) => de !== 65 && de !== 129),
        anyField,
      ),
      {
        selector: ([de]) => de,
        minLength: 1,
        maxLength: 12,
      },
    ),
    mti: characters('n', 4, 4),
  })
  .chain(({ defaults, written, elements, mti }) => {
    const made = dialect({
      name: 'generated',
      version: '1987',
      defaults,
      mti: { kind: 'plain', allowed: 'n', value: 'text', min: 4, max: 4 },
      bitmap: { written, max: 3 },
      fields: Object.fromEntries(elements.map(([de, { spec }]) => [de, mustHide(de, spec)])),
    })
    const fields = fc.record(Object.fromEntries(elements.map(([de, { values }]) => [de, values])), {
      requiredKeys: [],
    }) as fc.Arbitrary<Record<number, FieldValue>>
    return fields.map((values) => ({ made, body: { mti, fields: values } }))
  })

/** Elements that no dialect may show are declared hidden, each in its own way. */
function mustHide(de: number, spec: FieldSpec): FieldSpec {
  const kinds: Record<number, FieldSpec['sensitive']> = { 35: 'track', 36: 'track', 45: 'track' }
  return { ...spec, sensitive: kinds[de] ?? 'secret' }
}

test('in any dialect, what was encoded is decoded to the same values and encoded to the same bytes', () => {
  fc.assert(
    fc.property(world, ({ made, body }) => {
      const codec = compile(made)
      const bytes = codec.encode(body)
      const message = codec.decode(bytes)
      expect(plainOf(bodyOf(message))).toEqual(plainOf(body))
      expect(codec.encode(bodyOf(message)).equals(bytes)).toBe(true)
      const json: unknown = JSON.parse(JSON.stringify(revealJson(codec, message)))
      expect(plainOf(codec.decode(codec.encode(bodyFromJson(codec, json))).reveal(2) ?? '')).toEqual(
        plainOf(message.reveal(2) ?? ''),
      )
    }),
    { numRuns: 400 },
  )
})

test('in any dialect, a message cut anywhere is refused', () => {
  fc.assert(
    fc.property(world, fc.nat(), ({ made, body }, place) => {
      const codec = compile(made)
      const bytes = codec.encode(body)
      const cut = codec.tryDecode(bytes.subarray(0, place % bytes.length))
      expect(cut.ok).toBe(false)
    }),
    { numRuns: 200 },
  )
})

/** The same with every object plain, so that they compare by what they hold. */
function plainOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainOf(part)]))
}
