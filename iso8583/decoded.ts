import assert from 'node:assert'
import { inspect } from 'node:util'
import { dump } from './dump.ts'
import { mask } from './mask.ts'
import type { FieldValue, Irregularity, Message } from './message.ts'
import { valueOf } from './source.ts'
import { lengthKind, making, packing, type Source, type Table } from './table.ts'

/** Where an element lies: three numbers each, `de, start, units`, by ascending element. */
export type Index = readonly number[]

export const stride = 3

/** A message whose bytes were checked. Values are made when asked for. */
export class DecodedMessage implements Message, Source {
  readonly #table: Table
  readonly #bytes: Buffer
  readonly #index: Index
  readonly #count: number
  readonly #mtiStart: number
  readonly irregularities: readonly Irregularity[]
  #mti: string | undefined
  #latin1: string | undefined
  #hex: string | undefined

  constructor(
    table: Table,
    bytes: Buffer,
    index: Index,
    count: number,
    mtiStart: number,
    irregularities: readonly Irregularity[],
  ) {
    this.#table = table
    this.#bytes = bytes
    this.#index = index
    this.#count = count
    this.#mtiStart = mtiStart
    this.irregularities = irregularities
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
    return (this.#latin1 ??= this.#bytes.toString('latin1'))
  }

  get hex(): string {
    return (this.#hex ??= this.#bytes.toString('hex'))
  }

  /** Empty in the `partial` of an error that came before the MTI was read. */
  get mti(): string {
    return (this.#mti ??=
      this.#mtiStart < 0 ? '' : (valueOf(this, 0, this.#mtiStart, this.#table.min[0]!, false) as string))
  }

  get elements(): readonly number[] {
    const out = new Array<number>(this.#count)
    for (let nth = 0; nth < this.#count; nth++) out[nth] = this.#index[nth * stride]!
    return out
  }

  has(de: number): boolean {
    return this.#find(de) >= 0
  }

  get(de: number): FieldValue | undefined {
    const at = this.#find(de)
    if (at < 0) return undefined
    const sensitivity = this.#table.sensitive[de]
    if (sensitivity === undefined) return this.#value(at, true)
    return sensitivity === 'emv' ? this.#value(at, true) : mask(sensitivity, this.#value(at, false))
  }

  reveal(de: number): FieldValue | undefined {
    const at = this.#find(de)
    return at < 0 ? undefined : this.#value(at, false)
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
    return at < 0 ? undefined : (this.#value(at, false) as string)
  }

  amount(de: number): bigint | undefined {
    const table = this.#table
    assert(
      table.making[de] === making.amount && table.sensitive[de] === undefined,
      `DE${de} is not an amount in ${table.name}`,
    )
    const at = this.#find(de)
    return at < 0 ? undefined : (this.#value(at, false) as bigint)
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
    const start = this.#index[at + 1]!
    const prefix = table.lengthKind[de] === lengthKind.fixed ? 0 : table.lengthBytes[de]!
    const size = bytesOf(table.packing[de]!, this.#index[at + 2]!)
    return { from: start - prefix, start, end: start + size }
  }

  /** Every value, clear. For the room's own use. */
  values(): Record<number, FieldValue> {
    const out: Record<number, FieldValue> = {}
    const index = this.#index
    // From the highest down, so that the object is made large enough at once; its keys are in order all the same.
    for (let at = (this.#count - 1) * stride; at >= 0; at -= stride) out[index[at]!] = this.#value(at, false)
    return out
  }

  toJSON(): { readonly mti: string; readonly fields: Readonly<Record<string, unknown>> } {
    return dump(this, this.#table, false)
  }

  [inspect.custom](): string {
    return `Message ${JSON.stringify(this)}`
  }

  #value(at: number, masked: boolean): FieldValue {
    const index = this.#index
    const de = index[at]!
    const start = index[at + 1]!
    const units = index[at + 2]!
    if (this.#table.cut[de] === 1) return this.latin1.substring(start, start + units)
    return valueOf(this, de, start, units, masked)
  }

  /** Where in the index the element is; -1: not present. */
  #find(de: number): number {
    const index = this.#index
    let low = 0
    let high = this.#count - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = index[middle * stride]!
      if (found === de) return middle * stride
      if (found < de) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}

/** How many bytes so many units of a row are. */
function bytesOf(packed: number, units: number): number {
  return packed === packing.single ? units : packed === packing.nibbles ? (units + 1) >> 1 : units * 2
}
