/** Digits out of ciphertext, in the two ways the card schemes have. */
import { nibble } from './pin-block.ts'
import { ownBytes } from './memory.ts'

/**
 * The first `count` digits by the rule of PVV and CVV: the decimal nibbles in order, then, when these don't
 * suffice, the others less ten.
 */
export function scannedDigits(bytes: Uint8Array, count: number): number[] {
  const nibbles = Array.from({ length: bytes.length * 2 }, (_, index) => nibble(bytes, index))
  const decimal = nibbles.filter((value) => value < 10)
  const others = nibbles.filter((value) => value >= 10).map((value) => value - 10)
  return [...decimal, ...others].slice(0, count)
}

/** Writes 16 nibbles given as digits or hexadecimal text. */
export function packNibbles(text: string): Buffer {
  const out = ownBytes(text.length / 2)
  out.write(text, 'hex')
  return out
}

export function digitsText(digits: readonly number[]): string {
  return digits.join('')
}

/** Compares two short texts without stopping at the first difference. */
export function sameText(one: string, other: string): boolean {
  if (one.length !== other.length) return false
  let difference = 0
  for (let index = 0; index < one.length; index++)
    difference |= one.charCodeAt(index) ^ other.charCodeAt(index)
  return difference === 0
}
