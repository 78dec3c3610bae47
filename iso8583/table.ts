import type { Sensitivity, Settings } from './dialect.ts'
import type { IsoCodecErrorCode } from './error.ts'
import type { FieldValue } from './message.ts'
import type { Piece } from './piece-form.ts'

/**
 * A compiled dialect: columns of small numbers, one row a field. Row 0 is the MTI, rows 1 to 192 are the data
 * elements, the rows after them are what is nested in elements. Reading and writing are each one function over
 * these columns, which the engine compiles once; a closure a field would be called through a table of shapes.
 */
export interface Table {
  readonly name: string
  readonly bitmap: {
    readonly hex: boolean
    readonly max: number
    readonly nibbleOf: Uint8Array
    readonly digitOf: Uint8Array
  }
  readonly settings: Required<Settings>
  /** Bit set: the element is declared. Six words of 32. */
  readonly declared: Int32Array

  /** What the short ways through the loops need of each row, side by side: see `fact`. */
  readonly facts: Int32Array
  /** What the short ways of writing need of each row. */
  readonly pieces: readonly Piece[]
  /** How messages are walked, by their bitmaps. What a peer sends decides what is kept here, and so it is kept few. */
  readonly plans: (Plan | undefined)[]
  readonly lengthKind: Uint8Array
  /** Bytes of the length on the wire. */
  readonly lengthBytes: Uint8Array
  /** From what the length counts to units: see `count`. */
  readonly counting: Uint8Array
  readonly packing: Uint8Array
  /** In units: digits, characters or bytes. */
  readonly min: Int32Array
  readonly max: Int32Array
  /** Where in `allowed` the row's 256 flags begin; 0: every byte is allowed. */
  readonly check: Int32Array
  readonly allowed: Uint8Array
  /** Of an odd count of nibbles: 1 the pad is on the left, 2 on the right. */
  readonly padSide: Uint8Array
  readonly padNibble: Uint8Array
  readonly making: Uint8Array
  /** 1: the value is a cut of the message's text, and nothing more is to be done. */
  readonly cut: Uint8Array
  /** Index into `charsets`, for what is written as characters. */
  readonly charset: Uint8Array
  readonly fill: Uint8Array
  readonly trim: Uint8Array
  /** Index into `nodes`; 0: nothing is nested. */
  readonly nested: Int32Array

  readonly nodes: readonly (Nested | undefined)[]
  readonly parts: readonly (DigitParts | undefined)[]
  readonly sensitive: readonly (Sensitivity | undefined)[]
  readonly refine: readonly (((value: unknown) => boolean) | undefined)[]
  /** The most bytes a message can have. */
  readonly bytesMax: number
}

/** Which elements a message has. */
export interface Layout {
  /** Ascending. */
  readonly elements: readonly number[]
  /** By the number of an element: the how manieth it is, from 0 on; -1: not present. */
  readonly slots: readonly number[]
  /** A body's elements, all there and empty: a copy that is filled in costs a third of one that grows. */
  readonly blank: Readonly<Record<number, FieldValue>>
}

/**
 * How messages of one bitmap are walked, worked out once: a link sees the same few bitmaps all day. Elements of fixed
 * size that lie side by side and share an alphabet are one step, checked as one run; every other element is a step.
 */
export interface Plan extends Layout {
  /** The bitmap, as `words`. */
  readonly words: readonly number[]
  /** `step` in plan.ts tells what each number of a step is. */
  readonly steps: readonly number[]
  /** For each element its place from where its step begins; 0 where only the message can say. */
  readonly places: readonly number[]
}

/** Parts of one run of digits. */
export interface DigitParts {
  readonly names: readonly string[]
  readonly sizes: readonly number[]
  readonly amounts: readonly boolean[]
  readonly fills: readonly boolean[]
  readonly sensitive: readonly (Sensitivity | undefined)[]
}

export const elementsMax = 192

/**
 * Short ways through the loops for what is not nested and has no rule of its own. Of fixed size: its bytes side by side
 * in the charset, its bytes anywhere in it, any bytes, packed digits. With a length in ASCII or packed digits: one byte
 * a character, packed digits.
 */
export const shape = {
  other: 0,
  range: 1,
  table: 2,
  bytes: 3,
  packed: 4,
  prefixed: 5,
  packedPrefixed: 6,
} as const

/** Where in `facts`, from the row's number times `factsPerRow` on, each fact is. */
export const fact = {
  /** See `shape`. */
  shape: 0,
  /** Neighbours with the same number here may be checked as one; 0: the row is read by itself. */
  run: 1,
  min: 2,
  max: 3,
  lengthBytes: 4,
  lengthKind: 5,
  check: 6,
  /** The range of the allowed bytes for four at once: see `WordRange`. `under` is 0 where there is no such sum. */
  flip: 7,
  over: 8,
  under: 9,
} as const

export const factsPerRow = 16

export const lengthKind = { fixed: 0, ascii: 1, ebcdic: 2, bcd: 3, binary: 4 } as const

/** Units on the wire: one a byte; two a byte (nibbles); two bytes a unit (a byte as two hexadecimal digits). */
export const packing = { single: 0, nibbles: 1, hex: 2 } as const

/** What a length counts, as a rule for units: the units themselves; half of them (bytes of nibbles); twice (hex digits). */
export const counting = { units: 0, bytesOfNibbles: 1, digitsOfHex: 2 } as const

export const making = {
  text: 0,
  ebcdic: 1,
  nibbles: 2,
  track: 3,
  bytes: 4,
  hex: 5,
  nested: 6,
  amount: 7,
  parts: 8,
} as const

export const filling = { none: 0, leftSpace: 1, rightSpace: 2, leftZero: 3 } as const

/** The bytes of a message being looked at. */
export interface Source {
  readonly table: Table
  readonly bytes: Buffer
  readonly latin1: string
  readonly hex: string
}

/** Where a message being written stands. */
export interface Writer {
  readonly table: Table
  readonly buffer: Buffer
  at: number
  /** Makes sure of so many bytes. */
  need(size: number, path: string): void
  row(row: number, value: FieldValue, path: string): void
  fail(code: IsoCodecErrorCode, path: string, need?: number, have?: number): never
}

/** One kind of nested data: how it is checked, read and written inside the bytes of its element. */
export interface Nested {
  /** Checks everything between `start` and `end`. false: the fault is in `cursor`. */
  check(bytes: Buffer, start: number, end: number): boolean
  /** The value of bytes that were checked. `masked`: what is sensitive is replaced. */
  read(source: Source, start: number, end: number, masked: boolean): FieldValue
  /** Writes at the writer's place. `path` is the element's. */
  write(writer: Writer, value: FieldValue, path: string): void
  /** The row of a part by its name; 0: it has none, and is bytes or parts of parts. */
  rowOf(name: string): number
  /** Whether a masked view may show the bytes of a part without a row. */
  mayShow(name: string): boolean
}
