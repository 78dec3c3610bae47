import type { Row } from './row.ts'
import { wordRange } from './scan.ts'
import { counting, fact, factsPerRow, lengthKind, making, packing, shape } from './table.ts'

/** The number by which packed digits are one run with others of their kind; the numbers of alphabets are lower. */
const runOfPacked = 255

/** What the short ways through the loops need of a row, side by side: see `fact`. */
export function factsOf(row: Row): number[] {
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
  facts[fact.flip] = range?.flip ?? 0
  facts[fact.over] = range?.over ?? 0
  facts[fact.under] = range?.under ?? 0
  return facts
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
