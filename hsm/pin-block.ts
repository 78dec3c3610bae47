/**
 * Clear PIN blocks (ISO 9564-1:2017 section 9), byte by byte in buffers that the caller owns and wipes. Nothing
 * here makes a string of a PIN, returns its length to a caller outside the HSM process, or tells one fault of a
 * block from another.
 */
import { ownBytes, withSecret } from './memory.ts'

export type PinFormat = 0 | 1 | 2 | 3 | 4

/** A PIN's digits, one a byte, and their count in the last byte: one buffer to wipe. */
export const pinBufferBytes = 13
const countAt = 12

const digitsMin = 4
const digitsMax = 12

/** Clear bytes of a block before encipherment: format 4 has a second field, which holds the PAN. */
export function pinBlockBytes(format: PinFormat): 8 | 16 {
  return format === 4 ? 16 : 8
}

/** Formats 0 and 3: mixes in four zero nibbles and the twelve PAN digits before the check digit. */
function mixPanField0(field: Buffer, pan: string): void {
  for (let index = Math.max(0, 13 - pan.length); index < 12; index++) {
    const digit = pan.charCodeAt(pan.length - 13 + index) - 48
    const at = (4 + index) >> 1
    field[at]! ^= index % 2 === 0 ? digit << 4 : digit
  }
}

/** Format 4: the length over twelve, the PAN, zeros. */
export function panField4(pan: string): Buffer {
  const field = ownBytes(16)
  const digits = pan.padStart(12, '0')
  putNibble(field, 0, digits.length - 12)
  for (let index = 0; index < digits.length; index++) {
    putNibble(field, 1 + index, digits.charCodeAt(index) - 48)
  }
  return field
}

/**
 * Reads the PIN of a clear block into `pin` and says whether the block was in order. `block` is the field that
 * holds the PIN; for formats 0 and 3 still mixed with the PAN field. All of a block is looked at whatever is
 * found, so that the time taken says nothing.
 */
export function readPinBlock(format: PinFormat, block: Buffer, pan: string, pin: Buffer): boolean {
  return withSecret(block.length, (field) => {
    block.copy(field)
    if (format === 0 || format === 3) mixPanField0(field, pan)
    return readPinField(format, field, pin)
  })
}

function readPinField(format: PinFormat, field: Buffer, pin: Buffer): boolean {
  const count = nibble(field, 1)
  let faults = nibble(field, 0) ^ format
  if (count < digitsMin || count > digitsMax) faults |= 1
  for (let index = 0; index < 14; index++) {
    const value = nibble(field, 2 + index)
    if (index < count) {
      if (value > 9) faults |= 1
      if (index < digitsMax) pin[index] = value
    } else {
      faults |= fillerFault(format, value)
    }
  }
  pin[countAt] = count
  return faults === 0
}

function fillerFault(format: PinFormat, value: number): number {
  switch (format) {
    case 0:
    case 2:
      return value === 0xf ? 0 : 1
    case 1:
      return 0
    case 3:
      return value >= 0xa ? 0 : 1
    case 4:
      return value === 0xa ? 0 : 1
  }
}

/**
 * Writes the PIN as a clear block of `format` into `block`. `random` fills what the format leaves to chance: 7
 * bytes for formats 1 and 3, 8 for format 4, none for the others.
 */
export function writePinBlock(
  format: PinFormat,
  { pin, pan, random }: { readonly pin: Buffer; readonly pan: string; readonly random: Buffer },
  block: Buffer,
): void {
  const count = pin[countAt]!
  putNibble(block, 0, format)
  putNibble(block, 1, count)
  for (let index = 0; index < 14; index++) {
    putNibble(block, 2 + index, index < count ? pin[index]! : filler(format, random, index - count))
  }
  if (format === 4) random.copy(block, 8, 0, 8)
  if (format === 0 || format === 3) mixPanField0(block, pan)
}

function filler(format: PinFormat, random: Buffer, index: number): number {
  switch (format) {
    case 0:
    case 2:
      return 0xf
    case 1:
      return nibble(random, index)
    case 3:
      return randomAToF(nibble(random, index))
    case 4:
      return 0xa
  }
}

/** A nibble of chance as one of A to F; those that are already keep their value. */
function randomAToF(value: number): number {
  return value >= 0xa ? value : 0xa + (value % 6)
}

export function randomBytesNeeded(format: PinFormat): number {
  return format === 4 ? 8 : format === 1 || format === 3 ? 7 : 0
}

/** The digits in a PIN buffer. */
export function pinLength(pin: Buffer): number {
  return pin[countAt]!
}

export function setPinLength(pin: Buffer, count: number): void {
  pin[countAt] = count
}

export function xorInto(target: Buffer, mask: Uint8Array): void {
  for (let index = 0; index < target.length; index++) target[index]! ^= mask[index]!
}

export function nibble(bytes: Uint8Array, index: number): number {
  const byte = bytes[index >> 1]!
  return index % 2 === 0 ? byte >> 4 : byte & 0x0f
}

function putNibble(bytes: Buffer, index: number, value: number): void {
  const at = index >> 1
  bytes[at] = index % 2 === 0 ? (value << 4) | (bytes[at]! & 0x0f) : (bytes[at]! & 0xf0) | value
}
