import { countPresent, readBitmaps, words } from './bitmap.ts'
import { clearFault, cursor, isFaulty } from './cursor.ts'
import { DecodedMessage, stride } from './decoded.ts'
import type { Irregularity } from './message.ts'
import { readRow } from './read.ts'
import { arePacked, areWithin, bench, benchBytes, benchView } from './scan.ts'
import { fact, factsPerRow, lengthKind, shape, type Table } from './table.ts'

const regular: readonly Irregularity[] = Object.freeze([])

/**
 * Reads a message that is right in every byte, which most are. Neighbours of one alphabet are checked as one run, four
 * bytes at once: with elements of a few bytes each, it is the many short loops that cost. undefined: something is
 * wrong or unusual, and the careful way will say what.
 */
export function decodeQuickly(table: Table, bytes: Buffer): DecodedMessage | undefined {
  if (bytes.length > benchBytes) return undefined
  bench.set(bytes)
  const message = scan(table, bytes, bytes.length)
  // Nothing of a card stays behind on a bench that lives on.
  bench.fill(0, 0, bytes.length)
  return message
}

function scan(table: Table, bytes: Buffer, end: number): DecodedMessage | undefined {
  clearFault()
  let at = readRow(table, 0, bytes, 0, end)
  if (isFaulty()) return undefined
  const mtiStart = cursor.start
  at = readBitmaps(table, bytes, at, end)
  if (at < 0 || cursor.units !== 0) return undefined

  const { declared, facts } = table
  const index = new Array<number>(countPresent() * stride)
  let slot = 0
  // The run of bytes that are still to be checked, and an element of it.
  let runStart = at
  let runRow = 0
  let run = 0

  for (let word = 0; word < 6; word++) {
    let left = words[word]!
    if ((left & ~declared[word]!) !== 0) return undefined
    while (left !== 0) {
      const lead = Math.clz32(left)
      left &= ~(0x80000000 >>> lead)
      const de = word * 32 + lead + 1
      const row = de * factsPerRow
      let start = at
      let units = facts[row + fact.min]!

      if (facts[row + fact.run] !== run) {
        if (run !== 0 && !isRight(table, runStart, at, runRow)) return undefined
        run = facts[row + fact.run]!
        runStart = at
        runRow = row
      }
      const kind = facts[row]!
      if (kind === shape.packed) {
        at += (units + 1) >> 1
        if (at > end || ((units & 1) === 1 && bench[start]! > 9)) return undefined
      } else if (run !== 0) {
        at += units
        if (at > end) return undefined
      } else if (kind === shape.prefixed || kind === shape.packedPrefixed) {
        start = at + facts[row + fact.lengthBytes]!
        if (start > end) return undefined
        const isAscii = facts[row + fact.lengthKind] === lengthKind.ascii
        units = isAscii ? asciiNumber(at, start) : packedNumber(at, start)
        if (units <= 0 || units < facts[row + fact.min]! || units > facts[row + fact.max]!) return undefined
        at = start + (kind === shape.prefixed ? units : (units + 1) >> 1)
        if (at > end || !isRight(table, start, at, row)) return undefined
        if (kind === shape.packedPrefixed && (units & 1) === 1 && bench[start]! > 9) return undefined
      } else if (kind === shape.bytes) {
        at += units
        if (at > end) return undefined
      } else {
        at = readRow(table, de, bytes, at, end)
        if (isFaulty()) return undefined
        start = cursor.start
        units = cursor.units
        if (units === 0 && facts[row + fact.lengthKind] !== lengthKind.fixed) return undefined
      }
      index[slot] = de
      index[slot + 1] = start
      index[slot + 2] = units
      slot += stride
    }
  }
  if (run !== 0 && !isRight(table, runStart, at, runRow)) return undefined
  if (at !== end) return undefined
  return new DecodedMessage(table, bytes, index, slot / stride, mtiStart, regular)
}

/** Whether all bytes between `start` and `end` are such as the row may have whose facts begin at `row`. */
function isRight({ allowed, facts }: Table, start: number, end: number, row: number): boolean {
  const kind = facts[row]
  if (kind === shape.packed || kind === shape.packedPrefixed) return arePacked(benchView, start, end)
  const under = facts[row + fact.under]!
  if (under !== 0)
    return areWithin(benchView, start, end, facts[row + fact.flip]!, facts[row + fact.over]!, under)
  const check = facts[row + fact.check]!
  let flags = 1
  for (let index = start; index < end; index++) flags &= allowed[check + bench[index]!]!
  return flags === 1
}

/** The number that the ASCII digits on the bench say, or -1. */
function asciiNumber(start: number, end: number): number {
  let count = 0
  for (let index = start; index < end; index++) {
    const digit = bench[index]! - 0x30
    if (digit < 0 || digit > 9) return -1
    count = count * 10 + digit
  }
  return count
}

/** The same of packed digits. */
function packedNumber(start: number, end: number): number {
  let count = 0
  for (let index = start; index < end; index++) {
    const pair = bench[index]!
    if (pair >> 4 > 9 || (pair & 15) > 9) return -1
    count = count * 100 + (pair >> 4) * 10 + (pair & 15)
  }
  return count
}
