import type { BitmapSpec, EncodingProfile, FieldSpec } from '../dialect.ts'
import { bits, digits } from '../fields.ts'

/** How a generic dialect writes the standard's table: the half of it that is not the standard's. */
export interface Profile {
  readonly defaults: EncodingProfile
  readonly mti: FieldSpec
  readonly bitmap: BitmapSpec
}

/** Characters throughout, bytes as hexadecimal characters; bitmaps alone are binary. */
export const asciiProfile: Profile = {
  defaults: { text: 'ascii', digits: 'ascii', len: 'ascii', bytes: 'hex' },
  mti: digits(4),
  bitmap: bits('binary', { max: 2 }),
}

/** Characters throughout, bitmaps too. */
export const asciiHexProfile: Profile = { ...asciiProfile, bitmap: bits('hex', { max: 2 }) }

/** The mainframe's: EBCDIC text, packed digits, lengths of one or two binary bytes. */
export const ebcdicProfile: Profile = {
  defaults: { text: 'ebcdic037', digits: 'bcd', len: 'binary', bytes: 'bytes', odd: 'left-0' },
  mti: digits(4),
  bitmap: bits('binary', { max: 2 }),
}

/** Digits packed, bytes as they are. */
export const bcdProfile: Profile = {
  defaults: { text: 'ascii', digits: 'bcd', len: 'bcd', bytes: 'bytes', odd: 'left-0' },
  mti: digits(4),
  bitmap: bits('binary', { max: 2 }),
}

/** What travels back in an answer, by the standard's lists of mandatory echo elements: what was asked, by whom, when. */
export const answers1987 = { echo: [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] } as const
/** Of 1993 and 2003, where DE12 has the date as well, and DE13 is another one. */
export const answers1993 = { echo: [3, 4, 7, 11, 12, 32, 37, 41, 42, 49] } as const
