import { byteOf, charsets } from './charset.ts'
import { type Piece, way } from './piece-form.ts'
import { bytesMaxOf, type Row } from './row.ts'
import { wordRange } from './scan.ts'
import { writeLength } from './write-length.ts'
import { counting, lengthKind, making, packing } from './table.ts'

/** Longer values are rare, and written the careful way. */
const lengthMax = 999

/** `allowed`: the flags of all alphabets by byte, as in a table. */
export function piecesOf(rows: readonly Row[], allowed: Uint8Array): readonly Piece[] {
  const bytes = new Map<string, Int16Array>()
  const byRow = new Map<Row, Piece>()
  return rows.map((row) => {
    const key = `${row.charset} ${row.check}`
    const byCode = bytes.get(key) ?? bytesOf(row, allowed)
    bytes.set(key, byCode)
    const piece = byRow.get(row) ?? pieceOf(row, byCode)
    byRow.set(row, piece)
    return piece
  })
}

function bytesOf({ charset, check }: Row, allowed: Uint8Array): Int16Array {
  return Int16Array.from(byteOf[charsets[charset]!], (byte) => (allowed[check + byte] === 1 ? byte : -1))
}

function pieceOf(row: Row, bytes: Int16Array): Piece {
  const range = wordRange(row.lowest, row.highest)
  return {
    way: wayOf(row),
    min: Math.max(1, row.min),
    max: row.max,
    bytesMax: bytesMaxOf(row),
    lengthBytes: row.lengthBytes,
    lengths: lengthsOf(row),
    lowest: row.lowest,
    highest: row.highest,
    over: range?.over ?? 0,
    under: range?.under ?? 0,
    byteOf: bytes,
  }
}

function wayOf(row: Row): number {
  if (row.nested !== 0 || row.counting !== counting.units || row.refine !== undefined) return way.none
  if (row.lengthKind !== lengthKind.fixed && row.max > lengthMax) return way.none
  if (row.making === making.bytes) return way.bytes
  // A double holds 15 digits exactly.
  const isShortAmount = row.lengthKind === lengthKind.fixed && row.max <= 15
  if (row.packing === packing.nibbles) {
    // A left pad of 0 is a digit like others.
    if (row.padSide !== 1 || row.padNibble !== 0) return way.none
    if (row.making === making.amount) return isShortAmount ? way.packedDigits : way.none
    return row.making === making.text ? way.packed : way.none
  }
  if (row.making === making.amount) return isShortAmount && row.charset === 0 ? way.digits : way.none
  if (row.making !== making.text && row.making !== making.ebcdic) return way.none
  // Where any byte is allowed, those above 0x7f are not what UTF-8 makes of their characters.
  const isRange = row.charset === 0 && row.check !== 0 && wordRange(row.lowest, row.highest) !== undefined
  return isRange ? way.range : way.mapped
}

const noLengths = new Int32Array(0)
/** One table for all rows with lengths of one writing and size. */
const tables = new Map<string, Int32Array>()

function lengthsOf({ lengthKind: kind, lengthBytes, max }: Row): Int32Array {
  if (kind === lengthKind.fixed || max > lengthMax) return noLengths
  const key = `${kind} ${lengthBytes}`
  const known = tables.get(key)
  if (known !== undefined) return known
  const table = new Int32Array(lengthMax + 1)
  const bytes = Buffer.alloc(lengthBytes)
  for (let count = 0; count <= lengthMax; count++) {
    writeLength(bytes, kind, 0, lengthBytes, count)
    table[count] = bytes.readUIntBE(0, lengthBytes)
  }
  tables.set(key, table)
  return table
}
