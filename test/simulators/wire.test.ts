import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader, framed } from '../../simulators/terminals/frames.ts'
import { type BitmapForm, decode, encode, type WireMessage } from '../../simulators/terminals/wire.ts'

const purchase: WireMessage = {
  mti: '0200',
  fields: {
    2: '8888880000000001',
    3: '000000',
    4: '000000012500',
    7: '1122015325',
    11: '000042',
    37: '632600000042',
    41: 'T0000001',
    42: 'M00000000000001',
    49: '414',
    52: '0123456789ABCDEF',
  },
}
const reversal: WireMessage = {
  mti: '0420',
  fields: { ...purchase.fields, 90: '0200000042112201532500000000000000000000000'.slice(0, 42) },
}
const sealer = (bytes: Buffer): Buffer => Buffer.alloc(8, bytes.length)

test('a message is written as the standard says, byte for byte', () => {
  const body =
    '16888888000000000100000000000001250011220153250000426326000000' +
    '42T0000001M000000000000014140123456789ABCDEF'
  expect(encode(purchase, 'hex').toString('latin1')).toBe(`020072200000` + `08C09000` + body)
  expect(encode(purchase, 'binary').subarray(4, 12).toString('hex')).toBe('7220000008c09000')
})

test.each<BitmapForm>(['hex', 'binary'])('what is encoded is decoded, with a %s bitmap', (form) => {
  for (const message of [purchase, reversal]) {
    expect(decode(encode(message, form), form)).toEqual({ kind: 'message', message })
  }
})

test('the seal is DE64, or DE128 behind a second bitmap, and covers every byte before it', () => {
  for (const [message, de] of [
    [purchase, 64],
    [reversal, 128],
  ] as const) {
    const bytes = encode(message, 'hex', sealer)
    const decoded = decode(bytes, 'hex')
    expect(decoded).toMatchObject({
      kind: 'message',
      message: { fields: { [de]: sealer(bytes.subarray(0, -16)).toString('hex').toUpperCase() } },
      sealed: { bytes: bytes.subarray(0, -16), mac: sealer(bytes.subarray(0, -16)) },
    })
  }
})

test('every cut of a message is malformed, and so is one with bytes left over', () => {
  const bytes = encode(reversal, 'hex', sealer)
  for (let end = 0; end < bytes.length; end++) {
    expect(decode(bytes.subarray(0, end), 'hex').kind).toBe('malformed')
  }
  expect(decode(Buffer.concat([bytes, Buffer.from('0')]), 'hex')).toMatchObject({
    kind: 'malformed',
    de: 129,
  })
})

test('the element at fault is named', () => {
  expect(decode(encode({ mti: '0210', fields: { 39: '00', 49: '41\u00e9' } }, 'hex'), 'hex')).toMatchObject({
    kind: 'malformed',
    de: 49,
  })
  expect(decode(encode({ mti: '0210', fields: { 4: '00000001250A' } }, 'hex'), 'hex')).toMatchObject({
    kind: 'malformed',
    de: 4,
  })
  expect(decode(encode({ mti: '0210', fields: { 63: 'unknown here' } }, 'hex'), 'hex')).toMatchObject({
    kind: 'malformed',
    de: 63,
  })
  expect(decode(encode({ mti: '02x0', fields: {} }, 'hex'), 'hex')).toMatchObject({
    kind: 'malformed',
    de: 0,
  })
  expect(decode(Buffer.from('0200' + 'zz00000000000000'), 'hex')).toMatchObject({ kind: 'malformed', de: 1 })
})

test('no bytes make the decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, withMti) => {
      const bytes = Buffer.concat([Buffer.from(withMti ? '0210' : ''), noise])
      for (const form of ['hex', 'binary'] as const)
        expect(decode(bytes, form).kind).toMatch(/message|malformed/)
    }),
  )
})

test('public test messages with hex bitmaps read as their makers say', () => {
  const { vectors } = JSON.parse(readFileSync('test/vectors/iso8583.json', 'utf8')) as {
    vectors: { kind: string; dialectName: string; hex: string; fields: Record<string, string> }[]
  }
  let read = 0
  for (const { kind, dialectName, hex, fields } of vectors) {
    if (kind !== 'message' || dialectName !== 'iso87-ascii-hexbitmap') continue
    const decoded = decode(Buffer.from(hex, 'hex'), 'hex')
    if (decoded.kind === 'malformed') continue // it carries an element that our terminals don't know
    const { 0: mti, ...rest } = fields
    expect(decoded.message).toEqual({ mti, fields: rest })
    read++
  }
  expect(read).toBeGreaterThan(0)
})

test('however the stream is cut, the same frames come out', () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 })
  fc.assert(
    fc.property(bodies, fc.integer({ min: 1, max: 7 }), (sent, pieceBytes) => {
      const stream = Buffer.concat(sent.map((body) => framed(Buffer.from(body))))
      const reader = new FrameReader()
      const received: Buffer[] = []
      for (let at = 0; at < stream.length; at += pieceBytes)
        received.push(...reader.push(stream.subarray(at, at + pieceBytes)))
      expect(received).toEqual(sent.map((body) => Buffer.from(body)))
    }),
  )
})
