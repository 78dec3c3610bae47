import { bytesAllowed, hexAllowed, nibblesAllowed } from './alphabet.ts'
import { byteOf, charsets } from './charset.ts'
import { faultsOf } from './check.ts'
import { tableOfRows } from './columns.ts'
import type { Dialect, FieldSpec, PlainSpec } from './dialect.ts'
import { digitRun } from './digit-run.ts'
import { IsoCodecError } from './error.ts'
import { BerTlv } from './field/bertlv.ts'
import { Bitmapped } from './field/bitmapped.ts'
import { Datasets } from './field/datasets.ts'
import { Positional } from './field/positional.ts'
import { Tagged } from './field/tagged.ts'
import { blank, bytesMaxOf, fillOf, lengthOf, padOf, refinement, type Row } from './row.ts'
import { elementsMax, making, type Nested, packing, type Table } from './table.ts'
import { writingOf } from './writing.ts'

/** Turns a declaration into columns, or throws one `BAD_DIALECT` with all its mistakes. */
export function compileTable(dialect: Dialect): Table {
  const mistakes = faultsOf(dialect)
  if (mistakes.length > 0)
    throw new IsoCodecError({ code: 'BAD_DIALECT', path: '', dialect: dialect.name, mistakes })
  return new Builder(dialect).build()
}

/** Makes a row of every field, and nodes of what is nested. */
class Builder {
  readonly #dialect: Dialect
  readonly #rows: Row[] = []
  readonly #allowed: Uint8Array[] = [new Uint8Array(256).fill(1)]
  readonly #allowedAt = new Map<string, number>()
  readonly #nodes: (Nested | undefined)[] = [undefined]
  /** Nodes need the finished table, so they are made last, inside out of order. */
  readonly #later: { readonly at: number; readonly make: (table: Table) => Nested }[] = []

  constructor(dialect: Dialect) {
    this.#dialect = dialect
  }

  build(): Table {
    const { name, mti, bitmap, fields, settings = {}, defaults } = this.#dialect
    const declared = new Int32Array(6)
    for (let row = 0; row <= elementsMax; row++) this.#rows.push(blank)
    this.#rows[0] = this.#row(mti)
    let bytesMax = bytesMaxOf(this.#rows[0]) + bitmap.max * 16
    for (const [key, spec] of Object.entries(fields)) {
      const de = Number(key)
      this.#rows[de] = this.#row(spec)
      bytesMax += bytesMaxOf(this.#rows[de])
      declared[(de - 1) >> 5]! |= 0x80000000 >>> ((de - 1) & 31)
    }
    const table = tableOfRows(this.#rows, {
      name,
      bitmap: {
        hex: bitmap.written === 'hex',
        max: bitmap.max,
        nibbleOf: nibbleTable(defaults.text),
        digitOf: Uint8Array.from('0123456789ABCDEF', (digit) => byteOf[defaults.text][digit.charCodeAt(0)]!),
      },
      settings: { trailing: 'refuse', emptyBitmap: 'accept', emptyFields: 'refuse', ...settings },
      declared,
      allowed: Uint8Array.from(this.#allowed.flatMap((flags) => [...flags])),
      nodes: this.#nodes,
      bytesMax,
    })
    for (const { at, make } of this.#later) this.#nodes[at] = make(table)
    return table
  }

  #row(spec: FieldSpec): Row {
    const shared = { sensitive: spec.sensitive, refine: refinement(spec) }
    switch (spec.kind) {
      case 'plain':
        return { ...this.#plain(spec), ...shared }
      case 'positional': {
        const run = digitRun(spec, this.#dialect.defaults)
        if (run !== undefined)
          return { ...this.#plain(run.spec), ...shared, making: making.parts, parts: run.parts }
        const parts = Object.entries(spec.parts).map(([name, part]) => ({
          name,
          row: this.#add(part),
          spec: part,
        }))
        const optionalFrom = parts.findIndex(({ name }) => name === spec.optionalFrom)
        const nested = this.#node(
          (table) =>
            new Positional(
              table,
              parts.map(({ name, row }, nth) => ({
                name,
                row,
                optional: optionalFrom >= 0 && nth >= optionalFrom,
              })),
            ),
        )
        const size = parts.reduce((sum, { row }) => sum + bytesMaxOf(this.#rows[row]!), 0)
        return { ...this.#container(spec, size, 'bytes'), ...shared, nested }
      }
      case 'tagged': {
        const tagRow = this.#add(spec.tag)
        const otherRow = spec.unknown === 'keep' ? this.#add({ ...spec.content, length: spec.len }) : 0
        const known = new Map(
          Object.entries(spec.tags).map(([tag, content]) => [
            tag,
            this.#add({ ...content, length: spec.len }),
          ]),
        )
        const nested = this.#node((table) => new Tagged(table, { tagRow, otherRow, known }))
        return { ...this.#container(spec, spec.max, 'bytes'), ...shared, nested }
      }
      case 'bertlv': {
        const nested = this.#node(() => new BerTlv(spec))
        return {
          ...this.#container(spec, spec.max, spec.written ?? this.#dialect.defaults.bytes),
          ...shared,
          nested,
        }
      }
      case 'datasets': {
        const nested = this.#node(() => new Datasets(spec))
        return { ...this.#container(spec, spec.max, 'bytes'), ...shared, nested }
      }
      case 'bitmapped': {
        const rows = new Map(
          Object.entries(spec.fields).map(([bit, field]) => [Number(bit), this.#add(field)]),
        )
        const { bytes: bitmapBytes, written } = spec.bitmap
        const nested = this.#node(
          (table) => new Bitmapped(table, { bitmapBytes, hex: written === 'hex', rows }),
        )
        return { ...this.#container(spec, spec.max, 'bytes'), ...shared, nested }
      }
    }
  }

  #add(spec: FieldSpec): number {
    const row = this.#row(spec)
    return this.#rows.push(row) - 1
  }

  #node(make: (table: Table) => Nested): number {
    const at = this.#nodes.push(undefined) - 1
    this.#later.push({ at, make })
    return at
  }

  #plain(spec: PlainSpec): Row {
    const { defaults } = this.#dialect
    const written = writingOf(spec, defaults)
    const pad = padOf(spec.odd ?? defaults.odd ?? 'left-0')
    const row: Row = {
      ...blank,
      min: spec.min,
      max: spec.max,
      ...pad,
      fill: fillOf(spec.fill),
      trim: fillOf(spec.trim),
    }
    if (written === 'bcd' || written === 'nibbles') {
      row.packing = packing.nibbles
      const alphabet = spec.allowed === 'h' ? 'h' : spec.allowed === 'z' ? 'z' : 'n'
      row.check = this.#flags(`nibbles ${alphabet}`, () => nibblesAllowed(alphabet))
      row.making = alphabet === 'h' ? making.nibbles : alphabet === 'z' ? making.track : making.text
    } else if (written === 'bytes') {
      row.making = making.bytes
    } else if (written === 'hex') {
      row.packing = packing.hex
      row.charset = charsets.indexOf(defaults.text)
      row.check = this.#flags(`hex ${defaults.text}`, () => hexAllowed(defaults.text))
      row.making = making.hex
    } else {
      row.charset = charsets.indexOf(written)
      row.check =
        spec.allowed === 'any'
          ? 0
          : this.#flags(`${written} ${spec.allowed}`, () => bytesAllowed(spec.allowed, written))
      row.making = row.charset === 0 ? making.text : making.ebcdic
    }
    if (spec.value === 'amount') row.making = making.amount
    if (row.packing === packing.single && row.check !== 0) Object.assign(row, this.#range(row.check))
    return { ...row, ...lengthOf(spec.length, row.packing, defaults) }
  }

  /** A row whose content is bytes of which a node makes more. */
  #container(spec: FieldSpec, max: number, written: 'bytes' | 'hex'): Row {
    const { defaults } = this.#dialect
    const row: Row = { ...blank, making: making.nested, min: spec.length === undefined ? max : 0, max }
    if (written === 'hex') {
      row.packing = packing.hex
      row.charset = charsets.indexOf(defaults.text)
      row.check = this.#flags(`hex ${defaults.text}`, () => hexAllowed(defaults.text))
    }
    return { ...row, ...lengthOf(spec.length, row.packing, defaults) }
  }

  /** First and last of the allowed bytes, where all between them are allowed too. */
  #range(check: number): { lowest: number; highest: number } {
    const flags = this.#allowed[check / 256]!
    const lowest = flags.indexOf(1)
    const highest = flags.lastIndexOf(1)
    const isWhole = lowest >= 0 && flags.subarray(lowest, highest + 1).every((flag) => flag === 1)
    return isWhole ? { lowest, highest } : { lowest: 1, highest: 0 }
  }

  #flags(key: string, make: () => Uint8Array): number {
    const known = this.#allowedAt.get(key)
    if (known !== undefined) return known
    const at = (this.#allowed.push(make()) - 1) * 256
    this.#allowedAt.set(key, at)
    return at
  }
}

function nibbleTable(charset: keyof typeof byteOf): Uint8Array {
  const out = new Uint8Array(256).fill(255)
  for (let nibble = 0; nibble < 16; nibble++)
    out[byteOf[charset]['0123456789ABCDEF'.charCodeAt(nibble)]!] = nibble
  return out
}
