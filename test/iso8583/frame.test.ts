import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrame, FrameError, type FrameFault, type FrameFormat } from '../../iso8583/frame.ts'
import {
  answerTpdu,
  ascii4Frame,
  binary2Frame,
  fixedHeader,
  reservedHeader,
  sizedHeader,
  tpdu,
  vmlFrame,
} from '../../iso8583/frame-formats.ts'
import { FrameReader } from '../../iso8583/frame-reader.ts'

const header22 = `16${'0102'.repeat(10)}03`

const formats: readonly FrameFormat[] = [
  binary2Frame,
  ascii4Frame,
  { ...binary2Frame, lengthBytes: 4, counts: 'self+body' },
  { ...ascii4Frame, counts: 'self+body' },
  { encoding: 'bcd', lengthBytes: 2, counts: 'body', zeroLength: 'keepAlive' },
  { ...binary2Frame, header: tpdu({ destination: '0012', origin: '8000' }) },
  { ...binary2Frame, counts: 'self+body', header: sizedHeader(header22), zeroLength: 'keepAlive' },
  { ...binary2Frame, header: reservedHeader(2) },
  { ...ascii4Frame, counts: 'self+body', header: fixedHeader('49534f303136') },
  vmlFrame,
]
const format = fc.constantFrom(...formats)
// `size`, or fast-check hardly ever makes one of more than ten bytes.
const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 900, size: 'max' }), { maxLength: 12 })
/** Where to cut, as sizes of pieces that repeat. */
const cuts = fc.array(fc.integer({ min: 1, max: 1_200 }), { minLength: 1, maxLength: 8 })

function pieces(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const out: Buffer[] = []
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const size = sizes[turn % sizes.length]!
    out.push(stream.subarray(at, at + size))
    at += size
  }
  return out
}

function read(reader: FrameReader, stream: Buffer, sizes: readonly number[]) {
  const frames = pieces(stream, sizes).flatMap((piece) => reader.push(piece))
  return { frames: frames.map((frame) => frame.toString('hex')), fault: reader.fault }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('however the stream is cut, the same frames come out', () => {
  fc.assert(
    fc.property(format, bodies, cuts, (frame, sent, sizes) => {
      const stream = Buffer.concat(sent.map((body) => encodeFrame(frame, body)))
      const reader = new FrameReader(frame, 1_000)
      expect(read(reader, stream, sizes)).toEqual({ frames: sent.map(hex), fault: undefined })
      expect(reader.partial).toBe(false)
      expect(reader.framesRead).toBe(sent.length)
    }),
  )
})

test('however garbage is cut, the same frames and the same fault come out', () => {
  fc.assert(
    fc.property(
      format,
      bodies,
      fc.uint8Array({ maxLength: 400, size: 'max' }),
      cuts,
      (frame, sent, garbage, sizes) => {
        const stream = Buffer.concat([...sent.map((body) => encodeFrame(frame, body)), garbage])
        const whole = read(new FrameReader(frame, 1_000), stream, [Math.max(1, stream.length)])
        expect(read(new FrameReader(frame, 1_000), stream, sizes)).toEqual(whole)
        expect(whole.frames.slice(0, sent.length)).toEqual(sent.map(hex))
      },
    ),
  )
})

test('frames before a fault are given, and nothing after it', () => {
  const reader = new FrameReader(ascii4Frame)
  const given = reader.push(Buffer.from('0002ab00x1zz0002cd'))
  expect(given.map(String)).toEqual(['ab'])
  expect(reader.fault).toEqual({ kind: 'badLength', lengthByte: 2 })
  expect(reader.push(Buffer.from('0002cd'))).toEqual([])
})

describe('a length is refused as soon as it is whole', () => {
  const cases: readonly [string, FrameFormat, string, FrameFault][] = [
    ['zero', binary2Frame, '0000', { kind: 'tooShort', bodyBytes: 0 }],
    ['over the cap', binary2Frame, 'ffff', { kind: 'tooLong', bodyBytes: 65_535, frameBytesMax: 100 }],
    ['no more than a header', formats[5]!, '0005', { kind: 'tooShort', bodyBytes: 0 }],
    ['less than header and itself', formats[6]!, '0017', { kind: 'tooShort', bodyBytes: -1 }],
    ['a sign', ascii4Frame, '2b303035', { kind: 'badLength', lengthByte: 0 }],
    ['a space', ascii4Frame, '20203132', { kind: 'badLength', lengthByte: 0 }],
    ['hexadecimal', ascii4Frame, '30304131', { kind: 'badLength', lengthByte: 2 }],
    ['a nibble over nine', formats[4]!, '001a', { kind: 'badLength', lengthByte: 1 }],
    ['less than itself', formats[2]!, '00000003', { kind: 'tooShort', bodyBytes: -1 }],
  ]
  test.each(cases)('%s', (_, frame, header, fault) => {
    const reader = new FrameReader(frame, 100)
    expect(reader.push(Buffer.from(header, 'hex'))).toEqual([])
    expect(reader.fault).toEqual(fault)
  })
})

test('a frame without a body is a keep-alive only where the format says so', () => {
  const reader = new FrameReader({ ...binary2Frame, zeroLength: 'keepAlive' })
  expect(reader.push(Buffer.from('00000000000141', 'hex')).map(String)).toEqual(['A'])
  expect(reader).toMatchObject({ keepAlives: 2, framesRead: 3, partial: false, fault: undefined })
})

test('a TPDU stands before the body, is counted, and is answered with its addresses exchanged', () => {
  const frame = { ...binary2Frame, header: tpdu({ destination: '0012', origin: '8000' }) }
  const sent = encodeFrame(frame, Buffer.from('AB'))
  expect(sent.toString('hex')).toBe('0007' + '6000128000' + '4142')
  const [read] = new FrameReader(frame).read(sent)
  expect(read).toMatchObject({ body: Buffer.from('AB'), control: false })
  const answer = encodeFrame(frame, Buffer.from('C'), 100, answerTpdu(read!.header))
  expect(answer.toString('hex')).toBe('0006' + '6080000012' + '43')
})

test.each([
  [
    'a header that names another protocol',
    { ...ascii4Frame, header: fixedHeader('49534f') },
    '303030344953503a',
    2,
  ],
  ['a TPDU that is none', formats[5]!, '0006610012800041', 0],
  ['a header of another size than its own', formats[6]!, `0019${'17'.repeat(22)}41`, 0],
])('%s is a fault, after which nothing is read', (_what, frame, hex, headerByte) => {
  const reader = new FrameReader(frame)
  expect(reader.push(Buffer.from(hex, 'hex'))).toEqual([])
  expect(reader.fault).toEqual({ kind: 'badHeader', headerByte })
  expect(reader.push(Buffer.from(hex, 'hex'))).toEqual([])
})

test("a frame that is the session's own is counted and kept from who reads messages", () => {
  const reader = new FrameReader(vmlFrame)
  expect(reader.push(Buffer.from('0001002041' + '0001000042', 'hex')).map(String)).toEqual(['B'])
  expect(reader).toMatchObject({ keepAlives: 1, framesRead: 2, fault: undefined })
  const frames = new FrameReader(vmlFrame).read(Buffer.from('0001002041', 'hex'))
  expect(frames.map(({ control }) => control)).toEqual([true])
})

test('a keep-alive has the reserved bytes of every frame, and none of a header that the length counts', () => {
  const reserved = new FrameReader({ ...vmlFrame, zeroLength: 'keepAlive' })
  expect(reserved.push(Buffer.from('00000000' + '0001000041', 'hex')).map(String)).toEqual(['A'])
  expect(reserved.keepAlives).toBe(1)
  const counted = new FrameReader({ ...formats[5]!, zeroLength: 'keepAlive' })
  expect(
    counted.push(Buffer.from('0000' + '0005' + '6000128000' + '0006600012800041', 'hex')).map(String),
  ).toEqual(['A'])
  expect(counted.keepAlives).toBe(2)
})

test('a header of another size than the format has is not sent', () => {
  expect(() => encodeFrame(formats[5]!, Buffer.from('A'), 100, Buffer.alloc(4))).toThrow(RangeError)
})

test('a body that the length cannot say, or that is over the cap, is not framed', () => {
  const fault = (make: () => unknown): unknown => {
    try {
      make()
    } catch (error) {
      return error instanceof FrameError ? error.fault : error
    }
    return undefined
  }
  expect(fault(() => encodeFrame(ascii4Frame, Buffer.alloc(10_000), 60_000))).toEqual({
    kind: 'tooLong',
    bodyBytes: 10_000,
    frameBytesMax: 9_999,
  })
  expect(fault(() => encodeFrame(binary2Frame, Buffer.alloc(8_193)))).toMatchObject({ kind: 'tooLong' })
  expect(fault(() => encodeFrame(binary2Frame, Buffer.alloc(0)))).toMatchObject({ kind: 'tooShort' })
})

test('a length of 64 KiB with nothing behind it costs no more memory than the bytes that came', () => {
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 2_000 }, () => {
    const reader = new FrameReader({ ...binary2Frame, lengthBytes: 4 }, 65_536)
    reader.push(Buffer.from('0001000041', 'hex'))
    return reader
  })
  expect(readers.every((reader) => reader.partial)).toBe(true)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
})
