import type { Kind } from './kinds.ts'
import type { FieldValue } from './message.ts'
import { type Piece, way } from './piece-form.ts'
import { areWithin } from './scan.ts'
import { elementsMax } from './table.ts'
import type { RowWriter } from './writer.ts'

/** Behind `write(text, at, size, 'utf8')`, which spends half its time on finding out which it is. */
type Writing = Buffer & { utf8Write(text: string, at: number, size: number): number }

/** From so many characters on, one trip into the engine is shorter than a loop over them. */
const tripCharacters = 24

/**
 * Writes a message of a kind that is known. Each value goes the short way where it is of the right type, size and, as it
 * turns out on the way, characters; else the careful one, which writes what is unusual and says what is wrong. false: the
 * body is of another kind. There is room for `kind.bytesMax`; the careful way looks after itself.
 */
export function encodeQuickly(
  writer: RowWriter,
  { elements, head, pieces }: Kind,
  fields: Readonly<Record<number, FieldValue | undefined>>,
): boolean {
  const { buffer } = writer
  let at = writeHead(writer, head)
  for (let nth = 0; nth < elements.length; nth++) {
    const value = fields[elements[nth]!]
    const piece = pieces[nth]!
    let next = -1
    if (typeof value === 'string') {
      const units = value.length
      if (units >= piece.min && units <= piece.max) {
        const start = at + piece.lengthBytes
        for (let rest = start === at ? 0 : piece.lengths[units]!, index = start - 1; index >= at; index--) {
          buffer[index] = rest
          rest >>= 8
        }
        if (piece.way !== way.range || units >= tripCharacters) next = writeText(piece, writer, start, value)
        else {
          const { lowest, highest } = piece
          let sign = 0
          for (let index = 0; index < units; index++) {
            const code = value.charCodeAt(index)
            sign |= (code - lowest) | (highest - code)
            buffer[start + index] = code
          }
          if (sign >= 0) next = start + units
        }
      }
    } else if (value === undefined) return false
    else if (typeof value === 'bigint') next = writeAmount(piece, buffer, at, value)
    else if (value instanceof Uint8Array) next = writeBytes(piece, buffer, at, value)
    if (next < 0) {
      const de = elements[nth]!
      writer.at = at
      writer.row(de, value, paths[de]!)
      next = writer.at
    }
    at = next
  }
  writer.at = at
  return true
}

/** Four bytes at once, the last of them perhaps twice. */
function writeHead({ at, view }: RowWriter, head: DataView): number {
  const last = head.byteLength - 4
  for (let index = 0; index < last; index += 4) view.setInt32(at + index, head.getInt32(index))
  view.setInt32(at + last, head.getInt32(last))
  return at + last + 4
}

function writeNumber(buffer: Buffer, start: number, end: number, number: number): void {
  let rest = number
  for (let at = end - 1; at >= start; at--) {
    buffer[at] = rest
    rest >>= 8
  }
}

export const paths: readonly string[] = Array.from({ length: elementsMax + 1 }, (_, de) => String(de))

/** Any text but the short one of a range, which is most. */
function writeText(piece: Piece, writer: RowWriter, start: number, value: string): number {
  switch (piece.way) {
    case way.range:
      return writeLong(piece, writer, start, value)
    case way.mapped:
      return writeMapped(piece, writer.buffer, start, value)
    case way.packed:
      return writePacked(writer.buffer, start, value)
    default:
      return -1
  }
}

/** ASCII in one trip. */
function writeLong(
  { over, under }: Piece,
  { buffer, view }: RowWriter,
  start: number,
  value: string,
): number {
  const next = start + value.length
  // In UTF-8 what is not ASCII takes more bytes than characters, or bytes that no alphabet of ASCII has.
  if ((buffer as Writing).utf8Write(value, start, value.length) !== value.length) return -1
  return areWithin(view, start, next, 0, over, under) ? next : -1
}

/** Characters that lie anywhere in their charset. */
function writeMapped({ byteOf }: Piece, buffer: Buffer, start: number, value: string): number {
  let sign = 0
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    const byte = byteOf[code & 255]!
    // Either is negative for a character that has no place here.
    sign |= byte | (255 - code)
    buffer[start + index] = byte
  }
  return sign >= 0 ? start + value.length : -1
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

function writeBytes(piece: Piece, buffer: Buffer, at: number, value: Uint8Array): number {
  const size = value.length
  if (piece.way !== way.bytes || size < piece.min || size > piece.max) return -1
  const start = at + piece.lengthBytes
  if (start > at) writeNumber(buffer, at, start, piece.lengths[size]!)
  for (let index = 0; index < size; index++) buffer[start + index] = value[index]!
  return start + size
}

/** What a small integer holds of an amount: eight digits, and then the rest. */
const half = 100_000_000

/** A double holds 15 digits exactly, and two halves of it are small integers, which are the shortest way to digits. */
function writeAmount({ max, way: how }: Piece, buffer: Buffer, at: number, value: bigint): number {
  const number = Number(value)
  if (!(number >= 0 && number < 1_000_000_000_000_000)) return -1
  const high = Math.floor(number / half)
  const low = number - high * half
  if (max <= 8 && high > 0) return -1
  if (how === way.packedDigits) return packAmount(buffer, at, max, low | 0, high | 0)
  return how === way.digits ? spellAmount(buffer, at, max, low | 0, high | 0) : -1
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
