import { type Charset, characterOf } from './charset.ts'

/**
 * Which characters an element may hold, in the standard's letters: digits, letters, both, with specials, track
 * data, credit or debit, bytes. `h` (any nibble) and `any` (any byte as a character) are ours.
 */
export type Alphabet = 'n' | 'a' | 'an' | 'ans' | 'z' | 'x' | 'h' | 'any' | 'b'

const members: Readonly<Record<Alphabet, RegExp>> = {
  n: /^[0-9]$/,
  // A blank fills what is too short for its fixed length, so the standard's letters include it.
  a: /^[A-Za-z ]$/,
  an: /^[A-Za-z0-9 ]$/,
  ans: /^[\x20-\x7e]$/,
  // ISO 7813: digits and the separator, which is = as a character and D as a nibble.
  z: /^[0-9=D]$/,
  x: /^[CD]$/,
  h: /^[0-9A-F]$/,
  any: /^[\s\S]$/,
  b: /^[\s\S]$/,
}

/** For each byte 1 when it is a character of the alphabet in that charset. */
export function bytesAllowed(alphabet: Alphabet, charset: Charset): Uint8Array {
  return Uint8Array.from(characterOf[charset], (code) =>
    Number(members[alphabet].test(String.fromCharCode(code))),
  )
}

/** For each byte 1 when both its nibbles are allowed. The nibble D stands for the separator of a track. */
export function nibblesAllowed(alphabet: 'n' | 'z' | 'h'): Uint8Array {
  const allowed = (nibble: number): boolean =>
    nibble < 10 || alphabet === 'h' || (alphabet === 'z' && nibble === 0xd)
  return Uint8Array.from({ length: 256 }, (_, byte) => Number(allowed(byte >> 4) && allowed(byte & 15)))
}

/** For each byte 1 when it is an upper-case hexadecimal digit in that charset. */
export function hexAllowed(charset: Charset): Uint8Array {
  return bytesAllowed('h', charset)
}
