/**
 * Short ways of writing a value: ASCII characters that lie side by side; characters that lie anywhere in their charset;
 * packed digits; an amount as ASCII digits, and packed; bytes.
 */
export const way = {
  range: 0,
  mapped: 1,
  packed: 2,
  digits: 3,
  packedDigits: 4,
  bytes: 5,
  none: 6,
} as const

/** What writing needs of a row, side by side: with elements of a few bytes each, it is the look-ups that cost. */
export interface Piece {
  /** See `way`. */
  readonly way: number
  /** In digits, characters or bytes; never 0. */
  readonly min: number
  readonly max: number
  /** With the length. */
  readonly bytesMax: number
  /** Of the length, at most four; and for each size the bytes of the length as one number. */
  readonly lengthBytes: number
  readonly lengths: Int32Array
  /** First and last character of a range, and the same for four bytes at once: see `WordRange`. */
  readonly lowest: number
  readonly highest: number
  readonly over: number
  readonly under: number
  /** For the code of each character its byte, and -1 where it is not allowed. */
  readonly byteOf: Int16Array
}
