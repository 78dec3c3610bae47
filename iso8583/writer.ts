import { IsoCodecError, type IsoCodecErrorCode } from './error.ts'
import type { FieldValue } from './message.ts'
import { counting, elementsMax, lengthKind, making, packing, type Table, type Writer } from './table.ts'
import { writeLength } from './write-length.ts'
import { joinedParts } from './write-parts.ts'
import { writeText } from './write-text.ts'

/** Thrown when a slab ends before the message does, which says nothing about the message. */
export const noRoom = new Error('the slab ends before the message')

/** Writes rows one behind the other. */
export class RowWriter implements Writer {
  readonly table: Table
  readonly buffer: Buffer
  at = 0
  /** Of the same bytes. */
  readonly view: DataView

  readonly #isSlab: boolean

  constructor(table: Table, bytesMax: number, isSlab: boolean) {
    this.table = table
    this.#isSlab = isSlab
    // What `areWithin` looks at behind the last byte is there.
    const memory = new ArrayBuffer(bytesMax + 4)
    this.buffer = Buffer.from(memory, 0, bytesMax)
    this.view = new DataView(memory)
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
        return writeText(
          this,
          row,
          typeof value === 'string' ? value : joinedParts(this, row, value, path),
          path,
        )
      default:
        if (typeof value !== 'string') return this.fail('VALUE_WRONG_TYPE', path)
        return writeText(this, row, value, path)
    }
  }

  /** Whether a value may have so many units. */
  size(row: number, units: number, path: string): void {
    const { min, max } = this.table
    if (units > max[row]!) this.fail('VALUE_TOO_LONG', path, max[row], units)
    if (units < min[row]! && !(units === 0 && this.table.lengthKind[row] !== 0)) {
      this.fail('VALUE_TOO_SHORT', path, min[row], units)
    }
  }

  #bytes(row: number, value: FieldValue, path: string): number {
    if (!(value instanceof Uint8Array)) return this.fail('VALUE_WRONG_TYPE', path)
    this.size(row, value.length, path)
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
    this.size(row, units, path)
    if (table.packing[row] === packing.hex) this.#hex(start, path)
    return units
  }

  #amount(row: number, value: FieldValue, path: string): number {
    if (typeof value !== 'bigint' || value < 0n) return this.fail('VALUE_WRONG_TYPE', path)
    return writeText(this, row, value.toString().padStart(this.table.min[row]!, '0'), path)
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
    writeLength(buffer, kind, at, at + size, count)
  }
}
