/**
 * Checks of many bytes at once, four to the word. A message is copied to the bench first: one view then serves all
 * messages, and a word may be read across the end of an element.
 */

/** The longest message that is read this way; longer ones are rare and are read byte by byte. */
export const benchBytes = 8 * 1024

export const bench = new Uint8Array(benchBytes + 4)
export const benchView = new DataView(bench.buffer)

/** The highest bit of each byte of a word. */
const signs = 0x80808080 | 0

/** What a range of bytes becomes so that one addition tells four bytes at once: see `areWithin`. */
export interface WordRange {
  /** Turns bytes above 0x7f into bytes below it, and nothing else. */
  readonly flip: number
  /** Added to a byte above the range, it sets the highest bit. */
  readonly over: number
  /** Added to a byte below the range, it leaves the highest bit clear. */
  readonly under: number
}

/** undefined: the range has bytes on both sides of 0x80, and no such sum. */
export function wordRange(lowest: number, highest: number): WordRange | undefined {
  if (lowest > highest || lowest >> 7 !== highest >> 7) return undefined
  return {
    flip: lowest >= 0x80 ? signs : 0,
    over: Math.imul(0x7f - (highest & 0x7f), 0x01010101),
    under: Math.imul(0x80 - (lowest & 0x7f), 0x01010101),
  }
}

/**
 * Whether the bytes from `start` to `next` are within a range; there are four bytes more to look at behind them. A byte below 0x80 carries nothing into its
 * neighbour in either sum, and one above is found by its own highest bit.
 */
export function areWithin(
  view: DataView,
  start: number,
  next: number,
  flip: number,
  over: number,
  under: number,
): boolean {
  let above = 0
  let below = -1
  let at = start
  // Two words a turn: the turns cost as much as the sums.
  for (; at <= next - 8; at += 8) {
    const word = view.getInt32(at, true) ^ flip
    const other = view.getInt32(at + 4, true) ^ flip
    above |= word | (word + over) | other | (other + over)
    below &= (word + under) & (other + under)
  }
  let sign = above | ~below
  for (; at < next; at += 4) {
    const word = view.getInt32(at, true) ^ flip
    const left = next - at
    // Little-endian: what lies behind the last byte is in the upper ones, and they carry into nothing below them.
    const mask = left < 4 ? 0x80808080 >>> ((4 - left) * 8) : signs
    sign |= (word | (word + over) | ~(word + under)) & mask
  }
  return (sign & signs) === 0
}

/** Whether every nibble is a decimal digit: one above 9 has its bit of 8 set, and that of 4 or 2. */
export function arePacked(view: DataView, start: number, next: number): boolean {
  let sign = 0
  let at = start
  for (; at <= next - 4; at += 4) {
    const word = view.getInt32(at, true)
    sign |= word & ((word << 1) | (word << 2))
  }
  for (; at < next; at++) {
    const pair = view.getUint8(at)
    sign |= pair & ((pair << 1) | (pair << 2)) & 0x88
  }
  return (sign & 0x88888888) === 0
}

/** Whether each byte has its flag set in `allowed`, from `check` on. */
export function areAllowed(
  allowed: Uint8Array,
  check: number,
  bytes: Uint8Array,
  start: number,
  next: number,
): boolean {
  let flags = 1
  let at = start
  for (; at < next - 1; at += 2) flags &= allowed[check + bytes[at]!]! & allowed[check + bytes[at + 1]!]!
  if (at < next) flags &= allowed[check + bytes[at]!]!
  return flags === 1
}
