import { byteOf, charsets } from './charset.ts'
import { IsoCodecError, type IsoCodecErrorCode } from './error.ts'
import { isParts } from './field/nested.ts'
import type { FieldValue } from './message.ts'
import { writeShort } from './write-short.ts'
import {
  counting,
  elementsMax,
  filling,
  lengthKind,
  making,
  packing,
  type Table,
  type Writer,
} from './table.ts'

/** Thrown when a slab ends before the message does, which says nothing about the message. */
export const noRoom = new Error('the slab ends before the message')

/** Writes rows one behind the other. */
export class RowWriter implements Writer {
  readonly table: Table
  readonly buffer: Buffer
  at = 0
  readonly #view: DataView

  readonly #isSlab: boolean

  constructor(table: Table, bytesMax: number, isSlab: boolean) {
    this.table = table
    this.#isSlab = isSlab
    // What `areWithin` looks at behind the last byte is there.
    const memory = new ArrayBuffer(bytesMax + 4)
    this.buffer = Buffer.from(memory, 0, bytesMax)
    this.#view = new DataView(memory)
  }

  fail(code: IsoCodecErrorCode, path: string, need?: number, have?: number): never {
    throw new IsoCodecError({ code, path, need, have, dialect: this.table.name })
  }

  /** Makes sure of so many bytes; tags that together are longer than any message are found here. */
  need(size: number, path: string): void {
    if (size <= this.buffer.length - this.at) return
    if (this.#isSlab) throw noRoom
    this.fail('VALUE_TOO_LONG', path, this.buffer.length - this.at, size)
  }

  row(row: number, value: FieldValue, path: string): void {
    const { table } = this
    const next = writeShort(table, row, this.buffer, this.#view, this.at, value)
    if (next >= 0) {
      this.at = next
      return
    }
    const refine = table.refine[row]
    if (refine !== undefined && !refine(value)) this.fail('VALUE_REFUSED', path)
    const lengthAt = this.at
    const kind = table.lengthKind[row]!
    if (kind !== lengthKind.fixed) {
      this.need(table.lengthBytes[row]!, path)
      this.at += table.lengthBytes[row]!
    }
    const units = this.#content(row, value, path)
    if (kind === lengthKind.fixed) return
    if (units === 0 && row <= elementsMax && table.settings.emptyFields === 'refuse')
      this.fail('VALUE_MISSING', path)
    this.#length(row, kind, lengthAt, units, path)
  }

  /** Writes the content and returns its size in units. */
  #content(row: number, value: FieldValue, path: string): number {
    const { table } = this
    switch (table.making[row]!) {
      case making.bytes:
        return this.#bytes(row, value, path)
      case making.hex: {
        const start = this.at
        const units = this.#bytes(row, value, path)
        this.#hex(start, path)
        return units
      }
      case making.nested:
        return this.#nested(row, value, path)
      case making.amount:
        return this.#amount(row, value, path)
      case making.parts:
        return this.#text(row, typeof value === 'string' ? value : this.#joined(row, value, path), path)
      default:
        if (typeof value !== 'string') return this.fail('VALUE_WRONG_TYPE', path)
        return this.#text(row, value, path)
    }
  }

  #size(row: number, units: number, path: string): void {
    const { min, max } = this.table
    if (units > max[row]!) this.fail('VALUE_TOO_LONG', path, max[row], units)
    if (units < min[row]! && !(units === 0 && this.table.lengthKind[row] !== 0)) {
      this.fail('VALUE_TOO_SHORT', path, min[row], units)
    }
  }

  #bytes(row: number, value: FieldValue, path: string): number {
    if (!(value instanceof Uint8Array)) return this.fail('VALUE_WRONG_TYPE', path)
    this.#size(row, value.length, path)
    this.need(value.length, path)
    this.buffer.set(value, this.at)
    this.at += value.length
    return value.length
  }

  /** Turns what was written since `start` into hexadecimal digits, in place. */
  #hex(start: number, path: string): void {
    const { digitOf } = this.table.bitmap
    const size = this.at - start
    this.need(size, path)
    const { buffer } = this
    for (let index = size - 1; index >= 0; index--) {
      const byte = buffer[start + index]!
      buffer[start + index * 2] = digitOf[byte >> 4]!
      buffer[start + index * 2 + 1] = digitOf[byte & 15]!
    }
    this.at = start + size * 2
  }

  #nested(row: number, value: FieldValue, path: string): number {
    const { table } = this
    const start = this.at
    const node = table.nodes[table.nested[row]!]!
    if (typeof value !== 'object') return this.fail('VALUE_WRONG_TYPE', path)
    node.write(this, value, path)
    const units = this.at - start
    this.#size(row, units, path)
    if (table.packing[row] === packing.hex) this.#hex(start, path)
    return units
  }

  #amount(row: number, value: FieldValue, path: string): number {
    if (typeof value !== 'bigint' || value < 0n) return this.fail('VALUE_WRONG_TYPE', path)
    const { table } = this
    const size = table.min[row]!
    // A double holds 15 digits exactly, and is the shorter way to them.
    if (value >= 1_000_000_000_000_000n || size > 15)
      return this.#text(row, value.toString().padStart(size, '0'), path)
    this.need(size, path)
    const rest =
      table.packing[row] === packing.nibbles
        ? this.#pairs(row, Number(value))
        : this.#digits(row, Number(value))
    if (rest !== 0) this.fail('VALUE_TOO_LONG', path, size, value.toString().length)
    return size
  }

  /** Writes the row's size in digits as characters, from the last one; returns what did not go in. */
  #digits(row: number, value: number): number {
    const { buffer, table } = this
    const zero = table.charset[row] === 0 ? 0x30 : 0xf0
    let rest = value
    const start = this.at
    this.at += table.min[row]!
    for (let at = this.at - 1; at >= start; at--) {
      const tens = Math.floor(rest / 10)
      buffer[at] = zero + (rest - tens * 10)
      rest = tens
    }
    return rest
  }

  /** The same, packed. */
  #pairs(row: number, value: number): number {
    const { buffer, table } = this
    const size = table.min[row]!
    const start = this.at
    this.at += (size + 1) >> 1
    let rest = value
    let at = this.at - 1
    const isOdd = (size & 1) === 1
    if (isOdd && table.padSide[row] !== 1) {
      buffer[at--] = ((rest % 10) << 4) | table.padNibble[row]!
      rest = Math.floor(rest / 10)
    }
    const first = isOdd && table.padSide[row] === 1 ? start + 1 : start
    for (; at >= first; at--) {
      const hundreds = Math.floor(rest / 100)
      const pair = rest - hundreds * 100
      const tens = Math.floor(pair / 10)
      buffer[at] = (tens << 4) | (pair - tens * 10)
      rest = hundreds
    }
    if (first > start) {
      buffer[start] = (table.padNibble[row]! << 4) | (rest % 10)
      rest = Math.floor(rest / 10)
    }
    return rest
  }

  #joined(row: number, value: FieldValue, path: string): string {
    if (!isParts(value)) return this.fail('VALUE_WRONG_TYPE', path)
    const { names, sizes, amounts, fills } = this.table.parts[row]!
    for (const name of Object.keys(value)) {
      if (!names.includes(name)) this.fail('FIELD_NOT_IN_SPEC', `${path}.${name}`)
    }
    let out = ''
    for (let index = 0; index < names.length; index++) {
      const inner = `${path}.${names[index]!}`
      const size = sizes[index]!
      const part = value[names[index]!] ?? (fills[index]! ? '' : this.fail('VALUE_MISSING', inner))
      if (typeof part !== 'bigint' && typeof part !== 'string') return this.fail('VALUE_WRONG_TYPE', inner)
      if (amounts[index]! !== (typeof part === 'bigint')) return this.fail('VALUE_WRONG_TYPE', inner)
      const digits = String(part)
      if (digits.length > size) this.fail('VALUE_TOO_LONG', inner, size, digits.length)
      if (digits.length < size && !amounts[index]! && !fills[index]!) {
        this.fail('VALUE_TOO_SHORT', inner, size, digits.length)
      }
      out += digits.padStart(size, '0')
    }
    return out
  }

  #text(row: number, given: string, path: string): number {
    const { table } = this
    const fill = table.fill[row]!
    const text =
      fill === filling.none || given.length >= table.min[row]! ? given : filled(given, fill, table.min[row]!)
    const units = text.length
    this.#size(row, units, path)
    if (table.packing[row] === packing.nibbles) {
      this.#nibbles(row, text, path)
      return units
    }
    this.need(units, path)
    const { buffer } = this
    const start = this.at
    this.at = start + units
    const charset = table.charset[row]!
    if (charset === 0 && table.lowest[row]! <= table.highest[row]!) {
      const lowest = table.lowest[row]!
      const highest = table.highest[row]!
      let sign = 0
      for (let index = 0; index < units; index++) {
        const code = text.charCodeAt(index)
        sign |= (code - lowest) | (highest - code)
        buffer[start + index] = code
      }
      if (sign < 0) this.fail('BAD_CHARACTER', path)
      return units
    }
    const { allowed } = table
    const check = table.check[row]!
    const bytes = byteOf[charsets[charset]!]
    for (let index = 0; index < units; index++) {
      const code = text.charCodeAt(index)
      const byte = code < 256 ? bytes[code]! : 256
      if (byte === 256 || (check !== 0 && allowed[check + byte] === 0)) this.fail('BAD_CHARACTER', path)
      buffer[start + index] = byte
    }
    return units
  }

  #nibbles(row: number, text: string, path: string): void {
    const { table } = this
    const size = (text.length + 1) >> 1
    this.need(size, path)
    const { buffer } = this
    const { allowed } = table
    const check = table.check[row]!
    const odd = (text.length & 1) === 1
    const left = table.padSide[row] === 1
    const isTrack = table.making[row] === making.track
    let high = odd && left ? table.padNibble[row]! : -1
    let at = this.at
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      let nibble = code - 0x30
      if (nibble < 0 || nibble > 9)
        nibble = isTrack && code === 0x3d ? 0xd : code >= 0x41 && code <= 0x46 ? code - 0x37 : 255
      if (nibble === 255 || allowed[check + nibble] === 0 || (isTrack && code === 0x44))
        this.fail('BAD_DIGIT', path)
      if (high < 0) high = nibble
      else {
        buffer[at++] = (high << 4) | nibble
        high = -1
      }
    }
    if (high >= 0) buffer[at++] = (high << 4) | table.padNibble[row]!
    this.at = at
  }

  #length(row: number, kind: number, at: number, units: number, path: string): void {
    const { table, buffer } = this
    const size = table.lengthBytes[row]!
    let count = units
    if (table.counting[row] === counting.digitsOfHex) count = units * 2
    else if (table.counting[row] === counting.bytesOfNibbles) {
      // The reader would take a pad of 0 for a digit.
      if ((units & 1) === 1 && table.padNibble[row] !== 15)
        this.fail('VALUE_TOO_SHORT', path, units + 1, units)
      count = (units + 1) >> 1
    }
    for (let index = at + size - 1; index >= at; index--) {
      if (kind === lengthKind.bcd) {
        const pair = count % 100
        buffer[index] = (Math.floor(pair / 10) << 4) | (pair % 10)
        count = Math.floor(count / 100)
      } else if (kind === lengthKind.binary) {
        buffer[index] = count & 255
        count = Math.floor(count / 256)
      } else {
        buffer[index] = (kind === lengthKind.ascii ? 0x30 : 0xf0) + (count % 10)
        count = Math.floor(count / 10)
      }
    }
  }
}

function filled(text: string, fill: number, size: number): string {
  if (fill === filling.rightSpace) return text.padEnd(size, ' ')
  return text.padStart(size, fill === filling.leftSpace ? ' ' : '0')
}
