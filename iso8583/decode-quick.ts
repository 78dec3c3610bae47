import { countPresent, readBitmaps, words } from './bitmap.ts'
import { clearFault, cursor, isFaulty } from './cursor.ts'
import { DecodedMessage, stride } from './decoded.ts'
import type { Irregularity } from './message.ts'
import { areAllowed, asciiNumber, isWithin, readRow } from './read.ts'
import { lengthKind, shape, type Table } from './table.ts'

const regular: readonly Irregularity[] = Object.freeze([])

/**
 * Reads a message that is right in every byte, which most are. Neighbours of one alphabet are checked as one run:
 * with elements of a few bytes each, it is the many short loops that cost. undefined: something is wrong or unusual,
 * and the careful way will say what.
 */
export function decodeQuickly(table: Table, bytes: Buffer): DecodedMessage | undefined {
  const end = bytes.length
  clearFault()
  let at = readRow(table, 0, bytes, 0, end)
  if (isFaulty()) return undefined
  const mtiStart = cursor.start
  at = readBitmaps(table, bytes, at, end)
  if (at < 0 || cursor.units !== 0) return undefined

  const { check, declared, lengthBytes, lengthKind: lengthKinds, max, min, shape: shapes } = table
  const index = new Array<number>(countPresent() * stride)
  let slot = 0
  // The run of bytes that are still to be checked, and an element whose alphabet they must be of.
  let runStart = at
  let runDe = 0

  for (let word = 0; word < 6; word++) {
    let left = words[word]!
    if ((left & ~declared[word]!) !== 0) return undefined
    while (left !== 0) {
      const lead = Math.clz32(left)
      left &= ~(0x80000000 >>> lead)
      const de = word * 32 + lead + 1
      const kind = shapes[de]!
      let start = at
      let units = min[de]!

      if (kind === shape.range || kind === shape.table) {
        if (runDe === 0 || check[de] !== check[runDe]) {
          if (runDe !== 0 && !isRunRight(table, bytes, runStart, at, runDe)) return undefined
          runStart = at
          runDe = de
        }
        at += units
        if (at > end) return undefined
      } else {
        if (runDe !== 0) {
          if (!isRunRight(table, bytes, runStart, at, runDe)) return undefined
          runDe = 0
        }
        if (kind === shape.prefixed) {
          start = at + lengthBytes[de]!
          if (start > end) return undefined
          units = asciiNumber(bytes, at, start - at)
          at = start + units
          if (units <= 0 || units < min[de]! || units > max[de]! || at > end) return undefined
          if (!isWithin(bytes, start, at, table.lowest[de]!, table.highest[de]!)) return undefined
        } else if (kind === shape.bytes) {
          at += units
          if (at > end) return undefined
        } else {
          at = readRow(table, de, bytes, at, end)
          if (isFaulty()) return undefined
          start = cursor.start
          units = cursor.units
          if (units === 0 && lengthKinds[de] !== lengthKind.fixed) return undefined
        }
      }
      index[slot] = de
      index[slot + 1] = start
      index[slot + 2] = units
      slot += stride
    }
  }
  if (runDe !== 0 && !isRunRight(table, bytes, runStart, at, runDe)) return undefined
  if (at !== end) return undefined
  return new DecodedMessage(table, bytes, index, slot / stride, mtiStart, regular)
}

function isRunRight(table: Table, bytes: Buffer, start: number, end: number, de: number): boolean {
  const lowest = table.lowest[de]!
  const highest = table.highest[de]!
  if (lowest <= highest) return isWithin(bytes, start, end, lowest, highest)
  return areAllowed(bytes, start, end, table.allowed, table.check[de]!)
}
