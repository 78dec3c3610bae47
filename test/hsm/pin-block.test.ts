import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  pinBlockBytes,
  pinBufferBytes,
  randomBytesNeeded,
  readPinBlock,
  setPinLength,
  writePinBlock,
} from '../../hsm/pin-block.ts'
import type { PinFormat } from '../../hsm/pin-block.ts'

const pins = fc.string({ unit: fc.constantFrom(...Array.from('0123456789')), minLength: 4, maxLength: 12 })
const pans = fc.string({ unit: fc.constantFrom(...Array.from('0123456789')), minLength: 13, maxLength: 19 })
const formats = fc.constantFrom<PinFormat>(0, 1, 2, 3, 4)

function pinOf(text: string): Buffer {
  const pin = Buffer.alloc(pinBufferBytes)
  for (let index = 0; index < text.length; index++) pin[index] = text.charCodeAt(index) - 48
  setPinLength(pin, text.length)
  return pin
}

function written(format: PinFormat, pin: string, pan: string, random: Uint8Array): Buffer {
  const block = Buffer.alloc(pinBlockBytes(format))
  writePinBlock(format, { pin: pinOf(pin), pan, random: Buffer.from(random) }, block)
  return block
}

function read(format: PinFormat, block: Buffer, pan: string): string | undefined {
  const pin = Buffer.alloc(pinBufferBytes)
  if (!readPinBlock(format, block, pan, pin)) return undefined
  return [...pin.subarray(0, pin[12])].join('')
}

const randoms = fc.uint8Array({ minLength: 8, maxLength: 8 })

test('what is written in a format is read from it', () => {
  fc.assert(
    fc.property(formats, pins, pans, randoms, (format, pin, pan, random) => {
      expect(read(format, written(format, pin, pan, random), pan)).toBe(pin)
    }),
  )
})

test('a block of one format is none of another', () => {
  fc.assert(
    fc.property(formats, formats, pins, pans, randoms, (format, other, pin, pan, random) => {
      fc.pre(format !== other && pinBlockBytes(format) === pinBlockBytes(other))
      expect(read(other, written(format, pin, pan, random), pan)).toBeUndefined()
    }),
  )
})

test('reading leaves the block as it was, and never throws', () => {
  fc.assert(
    fc.property(formats, fc.uint8Array({ minLength: 16, maxLength: 16 }), pans, (format, bytes, pan) => {
      const block = Buffer.from(bytes.subarray(0, pinBlockBytes(format)))
      const before = Buffer.from(block)
      read(format, block, pan)
      expect(block).toEqual(before)
    }),
  )
})

test.each([0, 3] as const)('a block of format %i under another card’s number is refused', (format) => {
  const block = written(format, '1234', '5555555551234567', Buffer.alloc(8))
  expect(read(format, block, '5555555551234666')).toBeUndefined()
})

test('formats with chance in them need it, and the others do not', () => {
  expect(([0, 1, 2, 3, 4] as const).map(randomBytesNeeded)).toEqual([0, 7, 0, 7, 8])
})
