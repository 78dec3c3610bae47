import { bytesAllowed, hexAllowed, nibblesAllowed } from './alphabet.ts'
import { byteOf, charsets } from './charset.ts'
import { faultsOf } from './check.ts'
import type {
  Dialect,
  EncodingProfile,
  FieldSpec,
  LengthSpec,
  NibblePad,
  PlainSpec,
  Sensitivity,
} from './dialect.ts'
import { IsoCodecError } from './error.ts'
import { BerTlv } from './field/bertlv.ts'
import { Bitmapped } from './field/bitmapped.ts'
import { Datasets } from './field/datasets.ts'
import { Positional } from './field/positional.ts'
import { Tagged } from './field/tagged.ts'
import { noPlans } from './plan.ts'
import { wordRange } from './scan.ts'
import { lengthBytesOf, writingOf } from './writing.ts'
import {
  fact,
  factsPerRow,
  counting,
  type DigitParts,
  elementsMax,
  filling,
  lengthKind,
  making,
  type Nested,
  packing,
  shape,
  type Table,
} from './table.ts'

/** Turns a declaration into columns, or throws one `BAD_DIALECT` with all its mistakes. */
export function compileTable(dialect: Dialect): Table {
  const mistakes = faultsOf(dialect)
  if (mistakes.length > 0)
    throw new IsoCodecError({ code: 'BAD_DIALECT', path: '', dialect: dialect.name, mistakes })
  return new Builder(dialect).build()
}

/** One row before it becomes a column each. */
interface Row {
  lengthKind: number
  lengthBytes: number
  counting: number
  packing: number
  min: number
  max: number
  check: number
  lowest: number
  highest: number
  padSide: number
  padNibble: number
  making: number
  charset: number
  fill: number
  trim: number
  nested: number
  parts: DigitParts | undefined
  sensitive: Sensitivity | undefined
  refine: ((value: unknown) => boolean) | undefined
}

const blank: Row = {
  lengthKind: 0,
  lengthBytes: 0,
  counting: 0,
  packing: 0,
  min: 0,
  max: 0,
  check: 0,
  lowest: 1,
  highest: 0,
  padSide: 1,
  padNibble: 0,
  making: making.text,
  charset: 0,
  fill: 0,
  trim: 0,
  nested: 0,
  parts: undefined,
  sensitive: undefined,
  refine: undefined,
}

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
    const rows = this.#rows
    const small = (column: (row: Row) => number): Uint8Array => Uint8Array.from(rows, column)
    const wide = (column: (row: Row) => number): Int32Array => Int32Array.from(rows, column)
    const text = defaults.text
    const table: Table = {
      name,
      bitmap: {
        hex: bitmap.written === 'hex',
        max: bitmap.max,
        nibbleOf: nibbleTable(text),
        digitOf: Uint8Array.from('0123456789ABCDEF', (digit) => byteOf[text][digit.charCodeAt(0)]!),
      },
      settings: { trailing: 'refuse', emptyBitmap: 'accept', emptyFields: 'refuse', ...settings },
      declared,
      facts: Int32Array.from(rows.flatMap(factsOf)),
      plans: noPlans(),
      lengthKind: small((row) => row.lengthKind),
      lengthBytes: small((row) => row.lengthBytes),
      counting: small((row) => row.counting),
      packing: small((row) => row.packing),
      min: wide((row) => row.min),
      max: wide((row) => row.max),
      check: wide((row) => row.check),
      allowed: Uint8Array.from(this.#allowed.flatMap((flags) => [...flags])),
      lowest: small((row) => row.lowest),
      highest: small((row) => row.highest),
      padSide: small((row) => row.padSide),
      padNibble: small((row) => row.padNibble),
      making: small((row) => row.making),
      cut: small((row) =>
        Number(row.making === making.text && row.packing === packing.single && row.trim === 0),
      ),
      charset: small((row) => row.charset),
      fill: small((row) => row.fill),
      trim: small((row) => row.trim),
      nested: wide((row) => row.nested),
      nodes: this.#nodes,
      parts: rows.map((row) => row.parts),
      sensitive: rows.map((row) => row.sensitive),
      refine: rows.map((row) => row.refine),
      bytesMax,
    }
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

function lengthOf(
  length: LengthSpec | undefined,
  packed: number,
  defaults: EncodingProfile,
): Pick<Row, 'lengthKind' | 'lengthBytes' | 'counting'> {
  if (length === undefined) return { lengthKind: lengthKind.fixed, lengthBytes: 0, counting: 0 }
  const written = length.written ?? defaults.len
  const kind =
    written === 'ascii'
      ? lengthKind.ascii
      : written === 'bcd'
        ? lengthKind.bcd
        : written === 'binary'
          ? lengthKind.binary
          : lengthKind.ebcdic
  const rule =
    packed === packing.nibbles && length.counts === 'bytes'
      ? counting.bytesOfNibbles
      : packed === packing.hex && length.counts === 'characters'
        ? counting.digitsOfHex
        : counting.units
  return { lengthKind: kind, lengthBytes: lengthBytesOf(length, written), counting: rule }
}

/** Digits beside digits are one run: packed, a part may begin in the middle of a byte. */
function digitRun(
  spec: Extract<FieldSpec, { kind: 'positional' }>,
  defaults: EncodingProfile,
): { spec: PlainSpec; parts: DigitParts } | undefined {
  const parts = Object.entries(spec.parts)
  const first = parts[0]?.[1]
  if (first?.kind !== 'plain' || spec.optionalFrom !== undefined) return undefined
  const written = writingOf(first, defaults)
  let size = 0
  for (const [, part] of parts) {
    if (part.kind !== 'plain' || part.allowed !== 'n' || part.length !== undefined || part.trim !== undefined)
      return undefined
    if (part.min !== part.max || writingOf(part, defaults) !== written || part.refine !== undefined)
      return undefined
    size += part.max
  }
  const plain = parts.map(([, part]) => part as PlainSpec)
  return {
    spec: {
      kind: 'plain',
      allowed: 'n',
      value: 'text',
      written,
      min: size,
      max: size,
      ...(spec.length !== undefined && { length: spec.length }),
    },
    parts: {
      names: parts.map(([name]) => name),
      sizes: plain.map((part) => part.max),
      amounts: plain.map((part) => part.value === 'amount'),
      fills: plain.map((part) => part.fill === 'left-0'),
      sensitive: plain.map((part) => part.sensitive),
    },
  }
}

function padOf(pad: NibblePad): Pick<Row, 'padSide' | 'padNibble'> {
  return { padSide: pad.startsWith('left') ? 1 : 2, padNibble: pad.endsWith('F') ? 15 : 0 }
}

function fillOf(fill: PlainSpec['fill']): number {
  if (fill === undefined) return filling.none
  return { 'left-space': filling.leftSpace, 'right-space': filling.rightSpace, 'left-0': filling.leftZero }[
    fill
  ]
}

function shapeOf(row: Row): number {
  if (row.nested !== 0 || row.counting !== counting.units || row.refine !== undefined) return shape.other
  const isText = row.making === making.text || row.making === making.ebcdic
  const isDigits = row.making === making.text || row.making === making.amount || row.making === making.parts
  if (row.packing === packing.nibbles) {
    // A left pad of 0 is a digit like others; every other pad is looked at by itself.
    if (!isDigits || row.padSide !== 1 || row.padNibble !== 0) return shape.other
    if (row.lengthKind === lengthKind.fixed) return shape.packed
    return row.lengthKind === lengthKind.bcd && row.making === making.text
      ? shape.packedPrefixed
      : shape.other
  }
  if (row.packing !== packing.single) return shape.other
  if (row.lengthKind !== lengthKind.fixed)
    return isText && isShortLength(row) && row.check !== 0 ? shape.prefixed : shape.other
  if (row.making === making.bytes) return shape.bytes
  if ((!isText && !isDigits) || row.check === 0) return shape.other
  return wordRange(row.lowest, row.highest) === undefined ? shape.table : shape.range
}

function isShortLength(row: Row): boolean {
  return row.lengthKind === lengthKind.ascii || row.lengthKind === lengthKind.bcd
}

const runOfPacked = 255

function factsOf(row: Row): number[] {
  const kind = shapeOf(row)
  const range = wordRange(row.lowest, row.highest)
  const facts = new Array<number>(factsPerRow).fill(0)
  facts[fact.shape] = kind
  if (kind === shape.packed) facts[fact.run] = runOfPacked
  else if (kind === shape.range || kind === shape.table) facts[fact.run] = row.check / 256
  facts[fact.min] = row.min
  facts[fact.max] = row.max
  facts[fact.lengthBytes] = row.lengthBytes
  facts[fact.lengthKind] = row.lengthKind
  facts[fact.check] = row.check
  facts[fact.lowest] = row.lowest
  facts[fact.highest] = row.highest
  facts[fact.flip] = range?.flip ?? 0
  facts[fact.over] = range?.over ?? 0
  facts[fact.under] = range?.under ?? 0
  if (row.packing === packing.nibbles || row.charset === 0)
    facts[fact.writes] = row.making === making.amount ? 1 : row.making === making.bytes ? 0 : 2
  return facts
}

function bytesMaxOf(row: Row): number {
  const size =
    row.packing === packing.nibbles ? (row.max + 1) >> 1 : row.packing === packing.hex ? row.max * 2 : row.max
  return size + row.lengthBytes
}

function nibbleTable(charset: keyof typeof byteOf): Uint8Array {
  const out = new Uint8Array(256).fill(255)
  for (let nibble = 0; nibble < 16; nibble++)
    out[byteOf[charset]['0123456789ABCDEF'.charCodeAt(nibble)]!] = nibble
  return out
}

function refinement({ refine }: FieldSpec): ((value: unknown) => boolean) | undefined {
  if (refine === undefined) return undefined
  return (value) => {
    const result = refine['~standard'].validate(value)
    return (
      typeof result === 'object' &&
      result !== null &&
      !('then' in result) &&
      !('issues' in result && result.issues)
    )
  }
}
