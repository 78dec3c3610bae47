import { cursor, isFaulty, wrong } from '../cursor.ts'
import { mask } from '../mask.ts'
import type { FieldValue } from '../message.ts'
import { readRow } from '../read.ts'
import { safeName } from '../safe-name.ts'
import { valueOf } from '../source.ts'
import type { Nested, Source, Table, Writer } from '../table.ts'
import { isParts, nestedObject } from './nested.ts'

/** Parts one after another, each a row of its own. */
export class Positional implements Nested {
  readonly #table: Table
  readonly #parts: readonly { readonly name: string; readonly row: number; readonly optional: boolean }[]

  constructor(table: Table, parts: readonly { name: string; row: number; optional: boolean }[]) {
    this.#table = table
    this.#parts = parts
  }

  check(bytes: Buffer, start: number, end: number): boolean {
    let at = start
    for (const { name, row, optional } of this.#parts) {
      if (optional && at === end) return true
      at = readRow(this.#table, row, bytes, at, end)
      if (isFaulty()) {
        cursor.path = `.${name}${cursor.path}`
        return false
      }
    }
    return at === end || wrong('TRAILING_BYTES', '', at, 0, end - at)
  }

  read(source: Source, start: number, end: number, masked: boolean): FieldValue {
    const out = nestedObject()
    let at = start
    for (const { name, row } of this.#parts) {
      if (at === end) break
      at = readRow(this.#table, row, source.bytes, at, end)
      out[name] = partOf(source, this.#table, row, masked)
    }
    return Object.freeze(out)
  }

  rowOf(name: string): number {
    return this.#parts.find((part) => part.name === name)?.row ?? 0
  }

  mayShow(): boolean {
    return false
  }

  write(writer: Writer, value: FieldValue, path: string): void {
    if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
    for (const name of Object.keys(value)) {
      if (!this.#parts.some((part) => part.name === name))
        writer.fail('FIELD_NOT_IN_SPEC', `${path}.${safeName(name)}`)
    }
    let ended = false
    for (const { name, row, optional } of this.#parts) {
      const part = Object.hasOwn(value, name) ? value[name] : undefined
      if (part === undefined && optional) {
        ended = true
        continue
      }
      if (part === undefined || ended) return writer.fail('VALUE_MISSING', `${path}.${name}`)
      writer.row(row, part, `${path}.${name}`)
    }
  }
}

/** The value of the row just read, or its mask. */
export function partOf(source: Source, table: Table, row: number, masked: boolean): FieldValue {
  const { start, units } = cursor
  const sensitivity = masked ? table.sensitive[row] : undefined
  const value = valueOf(source, row, start, units, masked)
  return sensitivity === undefined || sensitivity === 'emv' ? value : mask(sensitivity, value)
}
