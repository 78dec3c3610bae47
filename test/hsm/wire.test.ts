import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader, packFrame, WireError } from '../../hsm/wire.ts'
import type { Fields, Value } from '../../hsm/wire.ts'

const names = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019')), minLength: 1, maxLength: 10 })
const { fields } = fc.letrec<{ fields: Fields; value: Value }>((tie) => ({
  fields: fc.dictionary(names, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true }),
    fc.boolean(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('fields'),
  ),
}))

test('however the stream is cut, the same records come out', () => {
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 4 }), fc.integer({ min: 1, max: 30 }), (sent, pieceBytes) => {
      const stream = Buffer.concat(sent.map((one, index) => packFrame(index, one)))
      const reader = new FrameReader()
      const heard: Fields[] = []
      for (let at = 0; at < stream.length; at += pieceBytes) {
        const piece = Buffer.from(stream.subarray(at, at + pieceBytes))
        heard.push(...reader.push(piece).map((frame) => frame.fields))
      }
      expect(heard.map((one) => packFrame(0, one))).toEqual(sent.map((one) => packFrame(0, one)))
    }),
  )
})

test('any bytes are a record, or an error of ours', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
      const frame = Buffer.alloc(4 + body.length)
      frame.writeUInt32BE(body.length)
      frame.set(body, 4)
      try {
        new FrameReader().push(frame)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('what was read is wiped', () => {
  const frame = packFrame(7, { pan: '4111111111111111', pinBlock: Buffer.from('0011223344556677', 'hex') })
  new FrameReader().push(frame)
  expect(frame.every((byte) => byte === 0)).toBe(true)
})

test('a length that no frame has ends the stream at once', () => {
  for (const length of [0, 4, 131_073, 0xffffffff]) {
    const frame = Buffer.alloc(4)
    frame.writeUInt32BE(length)
    expect(() => new FrameReader().push(frame)).toThrow(WireError)
  }
})

test('a record that is too long is refused by its sender', () => {
  expect(() => packFrame(1, { data: Buffer.alloc(140_000) })).toThrow(WireError)
  expect(() => packFrame(1, { text: 'x'.repeat(140_000) })).toThrow(WireError)
})

test('a record within records within records is refused', () => {
  let nested: Fields = { end: true }
  for (let depth = 0; depth < 20; depth++) nested = { nested }
  expect(() => new FrameReader().push(packFrame(1, nested))).toThrow(WireError)
})
