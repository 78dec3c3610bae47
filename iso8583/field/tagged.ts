import { clearFault, cursor, isFaulty, wrong } from '../cursor.ts'
import { hidden } from '../mask.ts'
import type { FieldValue } from '../message.ts'
import { readRow } from '../read.ts'
import { plainText } from '../source.ts'
import type { Nested, Source, Table, Writer } from '../table.ts'
import { isParts, put, nestedObject, tagOf, wireOf, withWire } from './nested.ts'
import { partOf } from './positional.ts'

const tagsMax = 256

/** Tag, length, value, again and again, each tag and value a row. */
export class Tagged implements Nested {
  readonly #table: Table
  readonly #tagRow: number
  /** The row of a tag that is not known; 0: such a tag is refused. */
  readonly #otherRow: number
  readonly #rows: ReadonlyMap<string, number>

  constructor(table: Table, rows: { tagRow: number; otherRow: number; known: ReadonlyMap<string, number> }) {
    this.#table = table
    this.#tagRow = rows.tagRow
    this.#otherRow = rows.otherRow
    this.#rows = rows.known
  }

  check(bytes: Buffer, start: number, end: number): boolean {
    const source = { bytes, table: this.#table } as Source
    let at = start
    for (let count = 0; at < end; count++) {
      if (count === tagsMax) return wrong('TOO_MANY_TAGS', '', at, tagsMax, count + 1)
      const tagAt = at
      at = readRow(this.#table, this.#tagRow, bytes, at, end)
      if (isFaulty()) return false
      const tag = tagText(source, this.#tagRow)
      const row = this.#rows.get(tag) ?? this.#otherRow
      if (row === 0) return wrong('TAG_NOT_IN_SPEC', '', tagAt)
      at = readRow(this.#table, row, bytes, at, end)
      if (isFaulty()) {
        cursor.path = `.${tag}${cursor.path}`
        return false
      }
    }
    return true
  }

  read(source: Source, start: number, end: number, masked: boolean): FieldValue {
    const out = nestedObject()
    let at = start
    while (at < end) {
      at = readRow(this.#table, this.#tagRow, source.bytes, at, end)
      const tag = tagText(source, this.#tagRow)
      const known = this.#rows.get(tag)
      at = readRow(this.#table, known ?? this.#otherRow, source.bytes, at, end)
      const shown = !masked || known !== undefined
      put(out, tag, shown ? partOf(source, this.#table, known ?? this.#otherRow, masked) : hidden('private'))
    }
    return masked ? Object.freeze(out) : withWire(out, source.bytes.subarray(start, end))
  }

  rowOf(name: string): number {
    return this.#rows.get(tagOf(name)) ?? this.#otherRow
  }

  mayShow(): boolean {
    return false
  }

  write(writer: Writer, value: FieldValue, path: string): void {
    if (writeWire(this, writer, value, path)) return
    if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
    const names = Object.keys(value)
    if (names.length > tagsMax) writer.fail('TOO_MANY_TAGS', path, tagsMax, names.length)
    for (const name of names) {
      const tag = tagOf(name)
      const row = this.#rows.get(tag) ?? this.#otherRow
      if (row === 0) writer.fail('TAG_NOT_IN_SPEC', path)
      writer.row(this.#tagRow, tag, path)
      writer.row(row, value[name]!, `${path}.${tag}`)
    }
  }
}

function tagText(source: Source, row: number): string {
  // A tag is short; reading it from its own bytes spares the text of the whole message.
  const { start, units } = cursor
  const bytes = source.bytes.subarray(start, start + units)
  return plainText(
    {
      table: source.table,
      bytes,
      latin1: bytes.toString('latin1', 0, units),
      hex: bytes.toString('hex', 0, units),
    },
    row,
    0,
    units,
  )
}

/** Bytes given for nested data, or kept with it since it was read: checked and written as they are. */
export function writeWire(node: Nested, writer: Writer, value: FieldValue, path: string): boolean {
  const bytes = value instanceof Uint8Array ? value : isParts(value) ? wireOf(value) : undefined
  if (bytes === undefined) return false
  const copy = Buffer.from(bytes)
  if (!node.check(copy, 0, copy.length)) {
    const { fault, path: inner } = cursor
    clearFault()
    writer.fail(fault === '' ? 'VALUE_REFUSED' : fault, path + inner)
  }
  writer.need(copy.length, path)
  writer.buffer.set(copy, writer.at)
  writer.at += copy.length
  return true
}
