import type { DigitParts } from './table.ts'
import type { EncodingProfile, FieldSpec, LengthSpec, NibblePad, PlainSpec, Sensitivity } from './dialect.ts'
import { counting, filling, lengthKind, making, packing } from './table.ts'
import { lengthBytesOf } from './writing.ts'

/** One row before it becomes a column each. */
export interface Row {
  lengthKind: number
  lengthBytes: number
  counting: number
  packing: number
  min: number
  max: number
  check: number
  /** First and last of the allowed bytes where these lie side by side, which they mostly do; else 1 and 0. */
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

/** A row about which nothing was said. */
export const blank: Row = {
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

/** How a length is written and what it counts. */
export function lengthOf(
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

export function padOf(pad: NibblePad): Pick<Row, 'padSide' | 'padNibble'> {
  return { padSide: pad.startsWith('left') ? 1 : 2, padNibble: pad.endsWith('F') ? 15 : 0 }
}

export function fillOf(fill: PlainSpec['fill']): number {
  if (fill === undefined) return filling.none
  return { 'left-space': filling.leftSpace, 'right-space': filling.rightSpace, 'left-0': filling.leftZero }[
    fill
  ]
}

/** The most bytes a row can have, its length with it. */
export function bytesMaxOf(row: Row): number {
  const size =
    row.packing === packing.nibbles ? (row.max + 1) >> 1 : row.packing === packing.hex ? row.max * 2 : row.max
  return size + row.lengthBytes
}

/** A field's own rule as a question. One that would have to wait for its answer is answered no. */
export function refinement({ refine }: FieldSpec): ((value: unknown) => boolean) | undefined {
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
