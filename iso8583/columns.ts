import { factsOf } from './facts.ts'
import { piecesOf } from './piece.ts'
import { noPlans } from './plan.ts'
import type { Row } from './row.ts'
import { making, packing, type Table } from './table.ts'

/** What a table has beside its rows. */
type Whole = Pick<Table, 'name' | 'bitmap' | 'settings' | 'declared' | 'allowed' | 'nodes' | 'bytesMax'>

/** Rows turned on their side: a column for each thing that is known of a row. */
export function tableOfRows(rows: readonly Row[], whole: Whole): Table {
  const small = (column: (row: Row) => number): Uint8Array => Uint8Array.from(rows, column)
  const wide = (column: (row: Row) => number): Int32Array => Int32Array.from(rows, column)
  return {
    ...whole,
    facts: Int32Array.from(rows.flatMap(factsOf)),
    pieces: piecesOf(rows, whole.allowed),
    plans: noPlans(),
    lengthKind: small((row) => row.lengthKind),
    lengthBytes: small((row) => row.lengthBytes),
    counting: small((row) => row.counting),
    packing: small((row) => row.packing),
    min: wide((row) => row.min),
    max: wide((row) => row.max),
    check: wide((row) => row.check),
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
    parts: rows.map((row) => row.parts),
    sensitive: rows.map((row) => row.sensitive),
    refine: rows.map((row) => row.refine),
  }
}
