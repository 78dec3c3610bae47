import assert from 'node:assert'
import { inspect } from 'node:util'
import { countBits } from './bitmap.ts'
import { dump } from './dump.ts'
import { mask } from './mask.ts'
import type { FieldValue, Irregularity, Message } from './message.ts'
import { valueOf } from './source.ts'
import { lengthKind, making, packing, type Source, type Table } from './table.ts'

/**
 * Which elements a message has and where each lies: six words of bits as in a bitmap, then a place for each element,
 * ascending. One array and small numbers, since every message needs one.
 */
export type Index = number[]

export const indexWords = 6

/** Start and size of an element in one number, which is small for messages of up to 2 KiB and exact for all. */
const placeUnit = 2 ** 20

export function placeOf(start: number, units: number): number {
  return start * placeUnit + units
}

/** A power of two is multiplied by exactly, and `| 0` is the shortest way to a whole number. */
function startOf(place: number): number {
  return (place * (1 / placeUnit)) | 0
}

function unitsOf(place: number): number {
  return place - startOf(place) * placeUnit
}

/** Behind `toString` of a whole buffer, which spends half its time on finding out that it is meant. */
type Slicing = Buffer & { latin1Slice(): string; hexSlice(): string }

/** A message whose bytes were checked. Values are made when asked for. */
export class DecodedMessage implements Message, Source {
  readonly #table: Table
  readonly #bytes: Buffer
  readonly #index: Index
  readonly #mtiStart: number
  readonly irregularities: readonly Irregularity[]
  readonly #blank: Readonly<Record<number, FieldValue>>
  #mti: string | undefined
  #latin1: string | undefined
  #hex: string | undefined

  constructor(
    table: Table,
    bytes: Buffer,
    index: Index,
    mtiStart: number,
    irregularities: readonly Irregularity[],
    blank: Readonly<Record<number, FieldValue>>,
  ) {
    this.#table = table
    this.#bytes = bytes
    this.#index = index
    this.#mtiStart = mtiStart
    this.irregularities = irregularities
    this.#blank = blank
  }

  /** Columns, bytes and text of the message are the room's own; `Message` doesn't show them. */
  get table(): Table {
    return this.#table
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  /**
   * The text of the whole message: one trip into the engine, of which values are cut. A cut of 13 characters or more
   * keeps all of it alive: copy what is stored.
   */
  get latin1(): string {
    return (this.#latin1 ??= (this.#bytes as Slicing).latin1Slice())
  }

  get hex(): string {
    return (this.#hex ??= (this.#bytes as Slicing).hexSlice())
  }

  /** Empty in the `partial` of an error that came before the MTI was read. */
  get mti(): string {
    return (this.#mti ??=
      this.#mtiStart < 0 ? '' : (valueOf(this, 0, this.#mtiStart, this.#table.min[0]!, false) as string))
  }

  get elements(): readonly number[] {
    const out: number[] = []
    for (let word = 0; word < indexWords; word++) {
      for (let left = this.#index[word]!; left !== 0; ) {
        const lead = Math.clz32(left)
        left &= ~(0x80000000 >>> lead)
        out.push(word * 32 + lead + 1)
      }
    }
    return out
  }

  has(de: number): boolean {
    return this.#find(de) >= 0
  }

  get(de: number): FieldValue | undefined {
    const at = this.#find(de)
    if (at < 0) return undefined
    const sensitivity = this.#table.sensitive[de]
    if (sensitivity === undefined) return this.#value(de, at, true)
    return sensitivity === 'emv' ? this.#value(de, at, true) : mask(sensitivity, this.#value(de, at, false))
  }

  reveal(de: number): FieldValue | undefined {
    const at = this.#find(de)
    return at < 0 ? undefined : this.#value(de, at, false)
  }

  text(de: number): string | undefined {
    const table = this.#table
    const kind = table.making[de]
    assert(
      (kind === making.text || kind === making.ebcdic || kind === making.nibbles) &&
        table.sensitive[de] === undefined,
      `DE${de} is not plain text in ${table.name}`,
    )
    const at = this.#find(de)
    return at < 0 ? undefined : (this.#value(de, at, false) as string)
  }

  amount(de: number): bigint | undefined {
    const table = this.#table
    assert(
      table.making[de] === making.amount && table.sensitive[de] === undefined,
      `DE${de} is not an amount in ${table.name}`,
    )
    const at = this.#find(de)
    return at < 0 ? undefined : (this.#value(de, at, false) as bigint)
  }

  raw(de: number): Uint8Array | undefined {
    const span = this.span(de)
    return span && this.#bytes.subarray(span.start, span.end)
  }

  /** Where the element's content lies in the message, and where its length begins. For the room's own use. */
  span(de: number): { readonly from: number; readonly start: number; readonly end: number } | undefined {
    const at = this.#find(de)
    if (at < 0) return undefined
    const table = this.#table
    const place = this.#index[at]!
    const start = startOf(place)
    const prefix = table.lengthKind[de] === lengthKind.fixed ? 0 : table.lengthBytes[de]!
    const size = bytesOf(table.packing[de]!, unitsOf(place))
    return { from: start - prefix, start, end: start + size }
  }

  /** Every value, clear. For the room's own use. */
  values(): Record<number, FieldValue> {
    const out: Record<number, FieldValue> = { ...this.#blank }
    const index = this.#index
    const { cut } = this.#table
    const text = this.latin1
    let at = index.length
    // From the highest down, so that the object is made large enough at once; its keys are in order all the same.
    for (let word = indexWords - 1; word >= 0; word--) {
      for (let left = index[word]!; left !== 0; left &= left - 1) {
        const de = word * 32 + 1 + Math.clz32(left & -left)
        const place = index[--at]!
        const start = startOf(place)
        const units = place - start * placeUnit
        out[de] =
          cut[de] === 1 ? text.substring(start, start + units) : valueOf(this, de, start, units, false)
      }
    }
    return out
  }

  toJSON(): { readonly mti: string; readonly fields: Readonly<Record<string, unknown>> } {
    return dump(this, this.#table, false)
  }

  [inspect.custom](): string {
    return `Message ${JSON.stringify(this)}`
  }

  #value(de: number, at: number, masked: boolean): FieldValue {
    const place = this.#index[at]!
    const start = startOf(place)
    const units = place - start * placeUnit
    if (this.#table.cut[de] === 1) return this.latin1.substring(start, start + units)
    return valueOf(this, de, start, units, masked)
  }

  /** Where in the index the element's place is; -1: not present. */
  #find(de: number): number {
    const index = this.#index
    const last = (de - 1) >> 5
    if (!(last >= 0 && last < indexWords)) return -1
    const before = index[last]! >>> (31 - ((de - 1) & 31))
    if ((before & 1) === 0) return -1
    let at = indexWords - 1 + countBits(before)
    for (let word = 0; word < last; word++) at += countBits(index[word]!)
    return at
  }
}

/** How many bytes so many units of a row are. */
function bytesOf(packed: number, units: number): number {
  return packed === packing.single ? units : packed === packing.nibbles ? (units + 1) >> 1 : units * 2
}
