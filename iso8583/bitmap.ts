import { cursor, stop } from './cursor.ts'
import type { Table, Writer } from './table.ts'

/** The bits of the message being read or written, 32 a word. One for all, since neither ever waits. */
export const words = new Int32Array(6)

/**
 * Reads the primary bitmap and those that it announces into `words`, announcements taken out. Answers where the
 * first element begins, or -1. `cursor.units` is 1 when a further bitmap was sent that names no element.
 */
export function readBitmaps(table: Table, bytes: Buffer, start: number, end: number): number {
  const { max, hex } = table.bitmap
  const size = hex ? 16 : 8
  let at = start
  clearWords()
  cursor.units = 0
  for (let nth = 0; nth < 3; nth++) {
    if (size > end - at) return stop('TRUNCATED', at, size, end - at)
    if (hex) {
      if (!readHex(table, bytes, at, nth * 2)) return -1
    } else {
      words[nth * 2] = wordAt(bytes, at)
      words[nth * 2 + 1] = wordAt(bytes, at + 4)
    }
    // In a dialect without a third bitmap, bit 65 is an element like others.
    const more = words[nth * 2]! < 0 && (nth === 0 || max === 3)
    if (more) {
      if (nth + 1 >= max) return stop('BAD_BITMAP', at)
      words[nth * 2]! &= 0x7fffffff
    } else if (nth > 0 && words[nth * 2] === 0 && words[nth * 2 + 1] === 0) {
      if (table.settings.emptyBitmap === 'refuse') return stop('BAD_BITMAP', at)
      cursor.units = 1
    }
    at += size
    if (!more) break
  }
  return at
}

function clearWords(): void {
  for (let word = 0; word < 6; word++) words[word] = 0
}

/** `readInt32BE` of bytes that are known to be there. */
function wordAt(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

function readHex(table: Table, bytes: Buffer, at: number, into: number): boolean {
  const { nibbleOf } = table.bitmap
  for (let half = 0; half < 2; half++) {
    let word = 0
    for (let index = at + half * 8; index < at + half * 8 + 8; index++) {
      const nibble = nibbleOf[bytes[index]!]!
      if (nibble === 255) {
        stop('BAD_BITMAP', index)
        return false
      }
      word = (word << 4) | nibble
    }
    words[into + half] = word
  }
  return true
}

/** Writes the bitmaps of `elements`, which are ascending, with the announcements of the further ones that they need. */
export function writeBitmaps(writer: Writer, elements: readonly number[]): void {
  const { hex, digitOf } = writer.table.bitmap
  const last = elements.at(-1) ?? 0
  const bitmaps = last > 128 ? 3 : last > 64 ? 2 : 1
  clearWords()
  for (const de of elements) words[(de - 1) >> 5]! |= 0x80000000 >>> ((de - 1) & 31)
  if (bitmaps > 1) words[0]! |= 0x80000000
  if (bitmaps > 2) words[2]! |= 0x80000000
  writer.need(bitmaps * (hex ? 16 : 8), 'bitmap')
  const { buffer } = writer
  for (let word = 0; word < bitmaps * 2; word++) {
    const value = words[word]!
    if (!hex) for (let shift = 24; shift >= 0; shift -= 8) buffer[writer.at++] = value >>> shift
    else for (let shift = 28; shift >= 0; shift -= 4) buffer[writer.at++] = digitOf[(value >>> shift) & 15]!
  }
}
