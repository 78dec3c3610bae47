import { expect, test } from 'vitest'
import { compile, encodeSealed, iso87Ascii, iso87Bcd, sealedPart } from '../../iso8583/iso8583.ts'
import { purchase } from './messages.ts'

const mac = Uint8Array.from([0xa1, 2, 3, 4, 5, 6, 7, 0xf8])

test.each([iso87Ascii, iso87Bcd])(
  '$name: a seal covers every byte before it, and is the last element',
  async (dialect) => {
    const codec = compile(dialect)
    for (const [extra, de] of [
      [{}, 64],
      [{ 70: '301' }, 128],
    ] as const) {
      let sealed = Buffer.alloc(0)
      const bytes = await encodeSealed(codec, purchase(extra), (data) => {
        sealed = Buffer.from(data)
        return Promise.resolve(mac)
      })
      expect(bytes.subarray(0, sealed.length).equals(sealed)).toBe(true)
      const message = codec.decode(bytes)
      expect(message.elements.at(-1)).toBe(de)
      for (const given of [bytes, message]) {
        const part = sealedPart(codec, given)
        expect(part?.mac).toEqual(mac)
        expect(Buffer.from(part!.data).equals(sealed)).toBe(true)
      }
    }
  },
)

test('a seal that was there is replaced, and goes where the new message wants it', async () => {
  const codec = compile(iso87Bcd)
  const bytes = await encodeSealed(codec, purchase({ 64: new Uint8Array(8), 90: originalOf() }), () =>
    Promise.resolve(mac),
  )
  expect(codec.decode(bytes).has(64)).toBe(false)
  expect(codec.decode(bytes).reveal(128)).toEqual(mac)
})

test('a message without a seal has no sealed part', () => {
  const codec = compile(iso87Bcd)
  expect(sealedPart(codec, codec.encode(purchase()))).toBeUndefined()
  // DE64 before further elements seals nothing of them.
  expect(sealedPart(codec, codec.encode(purchase({ 64: mac, 70: '301' })))).toBeUndefined()
})

test('a seal that is not eight bytes is refused', async () => {
  const codec = compile(iso87Bcd)
  await expect(encodeSealed(codec, purchase(), () => Promise.resolve(new Uint8Array(4)))).rejects.toThrow(
    'DE64',
  )
})

function originalOf() {
  return { mti: '0200', stan: '000001', transmittedAt: '1122020304', acquirerId: '1', forwarderId: '2' }
}
