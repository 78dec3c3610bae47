import { characterOf, charsets } from './charset.ts'
import { nestedObject } from './field/nested.ts'
import { mask } from './mask.ts'
import type { FieldValue } from './message.ts'
import { making, packing, type Source, type Table } from './table.ts'

/** Bytes of nested data that had to be written anew to be read: hexadecimal digits as the bytes they stand for. */
class PlainSource implements Source {
  readonly table: Table
  readonly bytes: Buffer

  constructor(table: Table, bytes: Buffer) {
    this.table = table
    this.bytes = bytes
  }

  get latin1(): string {
    return this.bytes.toString('latin1')
  }

  get hex(): string {
    return this.bytes.toString('hex')
  }
}

/** The value of a row whose bytes were checked. */
export function valueOf(
  source: Source,
  row: number,
  start: number,
  units: number,
  masked: boolean,
): FieldValue {
  const { table, bytes } = source
  switch (table.making[row]!) {
    case making.bytes:
      return copied(bytes, start, units)
    case making.hex:
      return new Uint8Array(unhex(bytes, start, start + units * 2, table.charset[row]!))
    case making.nested: {
      const node = table.nodes[table.nested[row]!]!
      if (table.packing[row] !== packing.hex) return node.read(source, start, start + units, masked)
      const plain = unhex(bytes, start, start + units * 2, table.charset[row]!)
      return node.read(new PlainSource(table, plain), 0, plain.length, masked)
    }
    case making.amount:
      return amountOf(source, row, start, units)
    case making.parts:
      return partsOf(table, row, plainText(source, row, start, units), masked)
    default: {
      const text = plainText(source, row, start, units)
      return table.trim[row] === 0 ? text : trimmed(text, table.trim[row]!)
    }
  }
}

/** A value of its own: what happens to the message's bytes later doesn't touch it. */
export function copied(bytes: Buffer, start: number, size: number): Uint8Array {
  const out = new Uint8Array(size)
  for (let index = 0; index < size; index++) out[index] = bytes[start + index]!
  return out
}

/** Characters and digits as text, nothing taken off. */
export function plainText(source: Source, row: number, start: number, units: number): string {
  const { table } = source
  if (table.packing[row] === packing.nibbles) {
    const first = start * 2 + ((units & 1) === 1 && table.padSide[row] === 1 ? 1 : 0)
    const text = source.hex.substring(first, first + units)
    // The engine's hexadecimal is lower-case, and only nibbles beyond digits can tell.
    if (table.making[row] === making.nibbles) return text.toUpperCase()
    return table.making[row] === making.track ? text.replaceAll('d', '=') : text
  }
  const charset = table.charset[row]!
  if (charset === 0) return source.latin1.substring(start, start + units)
  const characters = characterOf[charsets[charset]!]
  const out = Buffer.allocUnsafe(units)
  for (let index = 0; index < units; index++) out[index] = characters[source.bytes[start + index]!]!
  return out.toString('latin1', 0, units)
}

function amountOf(source: Source, row: number, start: number, units: number): bigint {
  // Up to 15 digits a double is exact, and the way through it is the shorter one.
  if (units > 15) return BigInt(plainText(source, row, start, units) || '0')
  const { table, bytes } = source
  let sum = 0
  if (table.packing[row] === packing.nibbles) {
    const isOdd = (units & 1) === 1
    const padsLeft = isOdd && table.padSide[row] === 1
    const next = start + (units >> 1) + Number(padsLeft)
    if (padsLeft) sum = bytes[start]! & 15
    for (let index = start + Number(padsLeft); index < next; index++) {
      const pair = bytes[index]!
      sum = sum * 100 + (pair >> 4) * 10 + (pair & 15)
    }
    if (isOdd && !padsLeft) sum = sum * 10 + (bytes[next]! >> 4)
  } else {
    // The low nibble of a digit is its value, in ASCII and in EBCDIC.
    for (let index = start; index < start + units; index++) sum = sum * 10 + (bytes[index]! & 15)
  }
  return BigInt(sum)
}

/** Cuts one run of digits into its parts. */
function partsOf(table: Table, row: number, text: string, masked: boolean): FieldValue {
  const { names, sizes, amounts, sensitive } = table.parts[row]!
  const out = nestedObject()
  let at = 0
  names.forEach((name, index) => {
    const part = text.slice(at, at + sizes[index]!)
    const sensitivity = masked ? sensitive[index] : undefined
    out[name] = sensitivity !== undefined ? mask(sensitivity, part) : amounts[index]! ? BigInt(part) : part
    at += sizes[index]!
  })
  return Object.freeze(out)
}

function trimmed(text: string, trim: number): string {
  if (trim === 1) return text.replace(/^ +/, '')
  if (trim === 2) return text.replace(/ +$/, '')
  return text.replace(/^0+(?=.)/, '')
}

/** Bytes of upper-case hexadecimal digits that were checked. */
export function unhex(bytes: Buffer, start: number, end: number, charset: number): Buffer {
  const out = Buffer.allocUnsafe((end - start) >> 1)
  const characters = characterOf[charsets[charset]!]
  for (let index = 0; index < out.length; index++) {
    out[index] =
      (nibbleOf(characters[bytes[start + index * 2]!]!) << 4) |
      nibbleOf(characters[bytes[start + index * 2 + 1]!]!)
  }
  return out
}

function nibbleOf(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x37
}
