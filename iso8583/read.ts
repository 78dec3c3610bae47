import { cursor, isFaulty, stop } from './cursor.ts'
import { unhex } from './source.ts'
import { counting, lengthKind, making, packing, type Table } from './table.ts'

/**
 * Reads one row at `at`: its length, then a check of every byte of its content, all before anything is made of
 * them. Returns where the next row begins, and leaves start and units in `cursor`; -1 when its end is not known.
 * A fault inside known bounds is left in `cursor.fault` and reading may go on behind it.
 */
export function readRow(table: Table, row: number, bytes: Buffer, at: number, end: number): number {
  let units = table.min[row]!
  let start = at
  const kind = table.lengthKind[row]!
  if (kind !== lengthKind.fixed) {
    const size = table.lengthBytes[row]!
    if (size > end - at) return stop('TRUNCATED', at, size, end - at)
    const count = readLength(kind, bytes, at, size)
    if (count < 0) return stop('BAD_LENGTH', at)
    start = at + size
    units = count
    const rule = table.counting[row]!
    if (rule !== counting.units) {
      if (rule === counting.bytesOfNibbles) units = count * 2
      else if ((count & 1) === 1) return stop('BAD_LENGTH', at)
      else units = count >> 1
    }
    const max = table.max[row]!
    if (units > max) {
      // A count of bytes cannot say that the last nibble is padding.
      if (rule !== counting.bytesOfNibbles || units !== max + 1)
        return stop('LENGTH_OVER_MAX', at, max, units)
    }
    if (units < table.min[row]! && units !== 0) return stop('BAD_LENGTH', at, table.min[row], units)
  }

  const packed = table.packing[row]!
  const size = packed === packing.single ? units : packed === packing.nibbles ? (units + 1) >> 1 : units * 2
  if (size > end - start) return stop('TRUNCATED', start, size, end - start)
  const next = start + size

  if (table.check[row] !== 0) {
    if (packed === packing.nibbles) units = checkNibbles(table, row, bytes, start, next, units)
    else checkBytes(table, row, bytes, start, next)
  }

  const nested = table.nested[row]!
  if (nested !== 0 && !isFaulty()) {
    if (packed === packing.hex) checkHex(table, row, bytes, start, next)
    else table.nodes[nested]!.check(bytes, start, next)
  }
  cursor.start = start
  cursor.units = units
  return next
}

/** Checks each byte; the first that is not allowed is the fault. */
function checkBytes(table: Table, row: number, bytes: Buffer, start: number, next: number): void {
  const { allowed } = table
  const check = table.check[row]!
  for (let index = start; index < next; index++) {
    if (allowed[check + bytes[index]!] === 0) {
      stop(table.packing[row] === packing.hex ? 'BAD_DIGIT' : faultOf(table, row), index)
      return
    }
  }
}

/** The length's value, or -1: exactly digits, no sign, no blank. */
function readLength(kind: number, bytes: Buffer, at: number, size: number): number {
  let count = 0
  if (kind === lengthKind.ascii || kind === lengthKind.ebcdic) {
    const zero = kind === lengthKind.ascii ? 0x30 : 0xf0
    for (let index = at; index < at + size; index++) {
      const digit = bytes[index]! - zero
      if (digit < 0 || digit > 9) return -1
      count = count * 10 + digit
    }
    return count
  }
  if (kind === lengthKind.bcd) {
    for (let index = at; index < at + size; index++) {
      const pair = bytes[index]!
      if (pair >> 4 > 9 || (pair & 15) > 9) return -1
      count = count * 100 + (pair >> 4) * 10 + (pair & 15)
    }
    return count
  }
  for (let index = at; index < at + size; index++) count = count * 256 + bytes[index]!
  return count
}

/** Digits that are not digits have a code of their own: they are what a hostile or confused peer sends. */
function faultOf(table: Table, row: number): 'BAD_DIGIT' | 'BAD_CHARACTER' {
  // The flags of an alphabet of digits alone have ten bytes set.
  const check = table.check[row]!
  let members = 0
  for (let byte = 0; byte < 256; byte++) members += table.allowed[check + byte]!
  return members === 10 ? 'BAD_DIGIT' : 'BAD_CHARACTER'
}

/** Checks packed nibbles and their padding; returns the units without it. */
function checkNibbles(
  table: Table,
  row: number,
  bytes: Buffer,
  start: number,
  next: number,
  units: number,
): number {
  const { allowed } = table
  const check = table.check[row]!
  const pad = table.padNibble[row]!
  let first = start
  let last = next
  let left = units
  if (table.counting[row] === counting.bytesOfNibbles) {
    // Counted in bytes, a pad of F is told from a digit, and a pad of 0 is a digit.
    const edge = table.padSide[row] === 1 ? bytes[start]! >> 4 : bytes[next - 1]! & 15
    if (units > 0 && pad === 15 && edge === 15) left = units - 1
    if (left > table.max[row]!) {
      stop('LENGTH_OVER_MAX', start, table.max[row], left)
      return left
    }
  }
  if ((left & 1) === 1) {
    if (table.padSide[row] === 1) {
      const byte = bytes[start]!
      if (byte >> 4 !== pad) stop('BAD_PADDING', start)
      else if (allowed[check + (byte & 15)] === 0) stop('BAD_DIGIT', start)
      first = start + 1
    } else {
      const byte = bytes[next - 1]!
      if ((byte & 15) !== pad) stop('BAD_PADDING', next - 1)
      else if (allowed[check + (byte & 0xf0)] === 0) stop('BAD_DIGIT', next - 1)
      last = next - 1
    }
  }
  if (isFaulty()) return left
  if (table.making[row] !== making.nibbles && table.making[row] !== making.track) {
    // A nibble above 9 carries when 6 is added to it: both nibbles of a byte at once.
    let carries = 0
    for (let index = first; index < last; index++) {
      const byte = bytes[index]!
      carries |= (byte ^ 0x66 ^ (byte + 0x66)) & 0x110
    }
    if (carries === 0) return left
  }
  for (let index = first; index < last; index++) {
    if (allowed[check + bytes[index]!] === 0) {
      stop('BAD_DIGIT', index)
      break
    }
  }
  return left
}

/** Nested data written as hexadecimal digits: checked as bytes, its offsets told in digits. */
function checkHex(table: Table, row: number, bytes: Buffer, start: number, next: number): void {
  const plain = unhex(bytes, start, next, table.charset[row]!)
  if (!table.nodes[table.nested[row]!]!.check(plain, 0, plain.length))
    cursor.offset = start + cursor.offset * 2
}
