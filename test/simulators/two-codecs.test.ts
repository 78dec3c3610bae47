import { describe, expect, test } from 'vitest'
import { compile, encodeSealed, iso87AsciiHex, sealedPart } from '../../iso8583/iso8583.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { seal } from '../../simulators/keys.ts'
import { type Purchase, purchaseRequest, reversalRequest } from '../../simulators/terminals/messages.ts'
import { terminalBitmap } from '../../simulators/terminals/terminal.ts'
import { decode, encode } from '../../simulators/terminals/wire.ts'
import { macKey } from './scripted-switch.ts'

// The terminals' codec and the switch's were written apart; here they meet.
const codec = compile(iso87AsciiHex)
const card = cardNamed('knet')
const purchase: Purchase = {
  terminalId: 'T0000001',
  merchantId: '000000000000001',
  rrn: '632600000042',
  stan: '000042',
  processingCode: '000000',
  madeAt: Date.UTC(2026, 10, 22, 22, 30, 5),
  amountMinor: 12_500n,
  currency: '414',
  pan: card.pan,
  expiry: card.expiry,
  entry: 'track2',
  pinBlock: '0123456789ABCDEF',
}
const reversal = reversalRequest({ purchase, mti: '0420', stan: '000043', madeAt: purchase.madeAt + 9_000 })
const sealed = (message: typeof reversal): Buffer =>
  encode(message, terminalBitmap, (bytes) => seal(macKey, bytes))

test("the switch's codec reads a terminal's purchase", () => {
  const message = codec.decode(sealed(purchaseRequest(purchase)))
  expect(message.mti).toBe('0200')
  expect(message.elements).toEqual([3, 4, 7, 11, 12, 13, 14, 22, 25, 35, 37, 41, 42, 49, 52, 64])
  expect(message.amount(4)).toBe(12_500n)
  expect([7, 11, 12, 13, 37, 41, 42, 49].map((de) => message.text(de))).toEqual([
    '1122223005',
    '000042',
    '013005',
    '1123',
    '632600000042',
    'T0000001',
    '000000000000001',
    '414',
  ])
  expect(String(message.reveal(35))).toMatch(new RegExp(`^${card.pan}[=D]${card.expiry}`))
  expect(Buffer.from(message.reveal(52)!)).toEqual(Buffer.from('0123456789ABCDEF', 'hex'))
})

test("the switch's codec reads a terminal's reversal, with what it reverses", () => {
  const message = codec.decode(sealed(reversal))
  expect(message.reveal(90)).toMatchObject({ mti: '0200', stan: '000042', transmittedAt: '1122223005' })
})

describe('a seal is over the same bytes for both', () => {
  test.each([purchaseRequest(purchase), reversal])('of a $mti', (message) => {
    const part = sealedPart(codec, sealed(message))
    expect(Buffer.from(part!.mac)).toEqual(seal(macKey, part!.data))
  })

  test('of an answer', async () => {
    const answer = {
      mti: '0210',
      fields: { 3: '000000', 4: 12_500n, 11: '000042', 38: 'A00001', 39: '00', 41: 'T0000001' },
    }
    const bytes = await encodeSealed(codec, answer, (data) => Promise.resolve(seal(macKey, data)))
    const decoded = decode(bytes, terminalBitmap)
    expect(decoded).toMatchObject({
      kind: 'message',
      message: { mti: '0210', fields: { 4: '000000012500', 38: 'A00001', 39: '00' } },
    })
    expect(decoded.kind === 'message' && decoded.sealed?.mac.equals(seal(macKey, decoded.sealed.bytes))).toBe(
      true,
    )
  })
})
