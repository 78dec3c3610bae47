import { describe, expect, test } from 'vitest'
import { bodyFromJson, bodyOf, IsoCodecError, revealJson } from '../../iso8583/iso8583.ts'
import { codecOf, joined, malformedVectors, messageVectors } from './vectors.ts'

describe.each(messageVectors)('known answer $id', ({ hex, dialectName, fields }) => {
  const codec = codecOf(dialectName)
  const bytes = Buffer.from(hex, 'hex')

  test('decodes to the stated values', () => {
    const { mti, fields: decoded } = revealJson(codec, codec.decode(bytes))
    const values = Object.entries(decoded).map(([de, value]) => [de, joined(value)] as const)
    expect({ 0: mti, ...Object.fromEntries(values) }).toEqual(fields)
  })

  test('is written again byte for byte, from values and from JSON', () => {
    const message = codec.decode(bytes)
    expect(codec.encode(bodyOf(message)).toString('hex')).toBe(hex.toLowerCase())
    const json: unknown = JSON.parse(JSON.stringify(revealJson(codec, message)))
    expect(codec.encode(bodyFromJson(codec, json)).toString('hex')).toBe(hex.toLowerCase())
  })

  test('cut anywhere is refused at an offset inside it, with what came before', () => {
    const whole = codec.decode(bytes).elements
    for (let length = 0; length < bytes.length; length++) {
      const result = codec.tryDecode(bytes.subarray(0, length))
      if (result.ok) throw new Error(`a cut at ${length} is accepted`)
      const { error } = result
      expect(error).toBeInstanceOf(IsoCodecError)
      expect(error.offset).toBeGreaterThanOrEqual(0)
      expect(error.offset).toBeLessThanOrEqual(length)
      const read = error.partial?.elements ?? []
      expect(whole.slice(0, read.length)).toEqual(read)
    }
  })

  test('shows no more than six digits of the card number in a row, in whatever form it is printed', () => {
    const message = codec.decode(bytes)
    const printed = [codec.describe(message), codec.describe(bodyOf(message)), JSON.stringify(message)].join(
      '\n',
    )
    const hidden = [fields?.['2'], fields?.['35'], fields?.['52']].filter((value) => value !== undefined)
    // The made-up numbers of some vectors are said again by elements that are open.
    const open = Object.entries(fields ?? {}).filter(([de]) => !['2', '35', '52'].includes(de))
    const elsewhere = open.map(([, value]) => value).join('\n')
    for (const value of hidden) {
      for (let at = 0; at + 7 <= value.length; at++) {
        const run = value.slice(at, at + 7)
        if (/^\d+$/.test(run) && !elsewhere.includes(run)) expect(printed).not.toContain(run)
      }
    }
  })
})

test.each(malformedVectors)(
  '$id is refused with $expectedError',
  ({ hex, dialectName, expectedError = '' }) => {
    const result = codecOf(dialectName).tryDecode(Buffer.from(hex, 'hex'))
    if (result.ok) throw new Error('accepted')
    const [, code, field, offset] = /^(\w+)(?: field (\d+))?(?: at offset (\d+))?$/.exec(expectedError)!
    expect(result.error.code).toBe(code)
    if (field !== undefined) expect(result.error.path).toBe(field)
    if (offset !== undefined) expect(result.error.offset).toBe(Number(offset))
  },
)
