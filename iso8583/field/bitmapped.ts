import { cursor, isFaulty, wrong } from '../cursor.ts'
import type { FieldValue } from '../message.ts'
import { readRow } from '../read.ts'
import { safeName } from '../safe-name.ts'
import type { Nested, Source, Table, Writer } from '../table.ts'
import { isParts } from './nested.ts'
import { partOf } from './positional.ts'

/** A bitmap of its own, then the subfields it names. There is no chain of bitmaps here: bit 1 is a subfield or an error. */
export class Bitmapped implements Nested {
  readonly #table: Table
  readonly #bitmapBytes: number
  readonly #hex: boolean
  readonly #rows: ReadonlyMap<number, number>

  constructor(table: Table, spec: { bitmapBytes: number; hex: boolean; rows: ReadonlyMap<number, number> }) {
    this.#table = table
    this.#bitmapBytes = spec.bitmapBytes
    this.#hex = spec.hex
    this.#rows = spec.rows
  }

  check(bytes: Buffer, start: number, end: number): boolean {
    const size = this.#size()
    if (size > end - start) return wrong('TRUNCATED', '.bitmap', start, size, end - start)
    let at = start + size
    for (let bit = 1; bit <= this.#bitmapBytes * 8; bit++) {
      const set = this.#bit(bytes, start, bit)
      if (set < 0) return wrong('BAD_BITMAP', '.bitmap', start - set - 1)
      if (set === 0) continue
      const row = this.#rows.get(bit)
      if (row === undefined) return wrong('FIELD_NOT_IN_SPEC', `.${bit}`, at)
      at = readRow(this.#table, row, bytes, at, end)
      if (isFaulty()) {
        cursor.path = `.${bit}${cursor.path}`
        return false
      }
    }
    return at === end || wrong('TRAILING_BYTES', '', at, 0, end - at)
  }

  read(source: Source, start: number, end: number, masked: boolean): FieldValue {
    const out: Record<string, FieldValue> = {}
    let at = start + this.#size()
    for (let bit = 1; bit <= this.#bitmapBytes * 8; bit++) {
      if (this.#bit(source.bytes, start, bit) === 0) continue
      const row = this.#rows.get(bit)!
      at = readRow(this.#table, row, source.bytes, at, end)
      out[bit] = partOf(source, this.#table, row, masked)
    }
    return Object.freeze(out)
  }

  rowOf(name: string): number {
    return this.#rows.get(Number(name)) ?? 0
  }

  mayShow(): boolean {
    return false
  }

  write(writer: Writer, value: FieldValue, path: string): void {
    if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
    const bitmap = Buffer.alloc(this.#bitmapBytes)
    const at = writer.at
    writer.need(this.#size(), path)
    writer.at += this.#size()
    for (const name of Object.keys(value)) {
      const row = this.#rows.get(Number(name))
      if (row === undefined || String(Number(name)) !== name)
        return writer.fail('FIELD_NOT_IN_SPEC', `${path}.${safeName(name)}`)
      writer.row(row, value[name]!, `${path}.${name}`)
      bitmap[(Number(name) - 1) >> 3]! |= 0x80 >> ((Number(name) - 1) & 7)
    }
    const { digitOf } = this.#table.bitmap
    bitmap.forEach((byte, index) => {
      if (!this.#hex) writer.buffer[at + index] = byte
      else {
        writer.buffer[at + index * 2] = digitOf[byte >> 4]!
        writer.buffer[at + index * 2 + 1] = digitOf[byte & 15]!
      }
    })
  }

  #size(): number {
    return this.#hex ? this.#bitmapBytes * 2 : this.#bitmapBytes
  }

  /** 1 or 0; below 0: minus the place of the character that is no hexadecimal digit, counted from 1. */
  #bit(bytes: Buffer, start: number, bit: number): number {
    const index = bit - 1
    if (!this.#hex) return (bytes[start + (index >> 3)]! >> (7 - (index & 7))) & 1
    const nibble = this.#table.bitmap.nibbleOf[bytes[start + (index >> 2)]!]!
    return nibble === 255 ? -1 - (index >> 2) : (nibble >> (3 - (index & 3))) & 1
  }
}
