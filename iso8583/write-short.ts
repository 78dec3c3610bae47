import type { FieldValue } from './message.ts'
import { areWithin } from './scan.ts'
import { fact, factsPerRow, lengthKind, shape, type Table } from './table.ts'

/** From so many characters on, one trip into the engine is shorter than a loop over them. */
const tripCharacters = 20

/**
 * The short way of most elements: of the right type and size and, as it turns out on the way, of the right characters.
 * Answers where the next element begins; -1: what is written counts for nothing, and the long way says what is wrong,
 * or does what is not so simple.
 */
export function writeShort(
  table: Table,
  row: number,
  buffer: Buffer,
  view: DataView,
  at: number,
  value: FieldValue,
): number {
  const { facts } = table
  const from = row * factsPerRow
  const kind = facts[from]!
  const max = facts[from + fact.max]!
  // A length prefix is at most six bytes, and no unit is more than one.
  if (kind === shape.other || max + 6 > buffer.length - at) return -1
  if (typeof value === 'string') {
    const units = value.length
    if (units > max || units < facts[from + fact.min]! || units === 0 || facts[from + fact.writes] !== 2)
      return -1
    let start = at
    if (kind >= shape.prefixed) {
      start = at + facts[from + fact.lengthBytes]!
      writeCount(buffer, facts[from + fact.lengthKind]!, at, start, units)
    }
    if (kind === shape.packed || kind === shape.packedPrefixed) return writePacked(buffer, start, value)
    if (facts[from + fact.under] === 0) return writeAllowed(table, from, buffer, start, value)
    return writeRange(facts, from, buffer, view, start, value)
  }
  if (typeof value === 'bigint')
    return facts[from + fact.writes] === 1 ? writeAmount(kind, max, buffer, at, value) : -1
  if (kind !== shape.bytes || !(value instanceof Uint8Array) || value.length !== max) return -1
  for (let index = 0; index < max; index++) buffer[at + index] = value[index]!
  return at + max
}

/** ASCII characters that lie side by side. */
function writeRange(
  facts: Int32Array,
  from: number,
  buffer: Buffer,
  view: DataView,
  start: number,
  value: string,
): number {
  const units = value.length
  if (units < tripCharacters) {
    const lowest = facts[from + fact.lowest]!
    const highest = facts[from + fact.highest]!
    let sign = 0
    for (let index = 0; index < units; index++) {
      const code = value.charCodeAt(index)
      sign |= (code - lowest) | (highest - code)
      buffer[start + index] = code
    }
    return sign < 0 ? -1 : start + units
  }
  // In UTF-8 what is not ASCII takes more bytes than characters, or bytes that no range of ASCII has.
  if (buffer.write(value, start, units) !== units) return -1
  const isRight = areWithin(
    view,
    start,
    start + units,
    0,
    facts[from + fact.over]!,
    facts[from + fact.under]!,
  )
  return isRight ? start + units : -1
}

/** ASCII characters that lie anywhere. */
function writeAllowed(
  { allowed, facts }: Table,
  from: number,
  buffer: Buffer,
  start: number,
  value: string,
): number {
  const check = facts[from + fact.check]!
  let flags = 1
  let codes = 0
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    codes |= code
    flags &= allowed[check + (code & 255)]!
    buffer[start + index] = code
  }
  return flags === 1 && codes < 256 ? start + value.length : -1
}

/** Digits, two to the byte; an odd one has the first byte to itself. */
function writePacked(buffer: Buffer, start: number, value: string): number {
  let at = start
  let index = value.length & 1
  let sign = 0
  if (index === 1) {
    const digit = value.charCodeAt(0) - 0x30
    sign = digit | (9 - digit)
    buffer[at++] = digit
  }
  for (; index < value.length; index += 2) {
    const tens = value.charCodeAt(index) - 0x30
    const ones = value.charCodeAt(index + 1) - 0x30
    sign |= tens | (9 - tens) | ones | (9 - ones)
    buffer[at++] = (tens << 4) | ones
  }
  return sign < 0 ? -1 : at
}

/** What a small integer holds of an amount: eight digits, and then the rest. */
const half = 100_000_000

/** A double holds 15 digits exactly, and two halves of it are small integers, which are the shortest way to digits. */
function writeAmount(kind: number, size: number, buffer: Buffer, at: number, value: bigint): number {
  const number = Number(value)
  if (!(number >= 0 && number < 1_000_000_000_000_000) || size > 15) return -1
  const high = Math.floor(number / half)
  const low = number - high * half
  if (size <= 8 && high > 0) return -1
  return kind === shape.packed
    ? packAmount(buffer, at, size, low | 0, high | 0)
    : spellAmount(buffer, at, size, low | 0, high | 0)
}

function spellAmount(buffer: Buffer, start: number, size: number, low: number, high: number): number {
  let rest = low
  for (let nth = 1; nth <= size; nth++) {
    const tens = (rest / 10) | 0
    buffer[start + size - nth] = 0x30 + rest - tens * 10
    rest = nth === 8 ? high : tens
  }
  return rest === 0 ? start + size : -1
}

function packAmount(buffer: Buffer, start: number, size: number, low: number, high: number): number {
  const pairs = (size + 1) >> 1
  let rest = low
  for (let nth = 1; nth <= pairs; nth++) {
    const hundreds = (rest / 100) | 0
    const pair = rest - hundreds * 100
    const tens = (pair / 10) | 0
    buffer[start + pairs - nth] = (tens << 4) | (pair - tens * 10)
    rest = nth === 4 ? high : hundreds
  }
  if (rest !== 0 || ((size & 1) === 1 && buffer[start]! > 9)) return -1
  return start + pairs
}

function writeCount(buffer: Buffer, kind: number, start: number, end: number, units: number): void {
  let rest = units
  for (let at = end - 1; at >= start; at--) {
    const tens = (rest / 10) | 0
    if (kind === lengthKind.ascii) {
      buffer[at] = 0x30 + rest - tens * 10
      rest = tens
    } else {
      const hundreds = (tens / 10) | 0
      buffer[at] = ((tens - hundreds * 10) << 4) | (rest - tens * 10)
      rest = hundreds
    }
  }
}
