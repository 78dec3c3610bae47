import assert from 'node:assert'
import { inspect } from 'node:util'
import { dump } from './dump.ts'
import { mask } from './mask.ts'
import type { FieldValue, Irregularity, Message } from './message.ts'
import { startOf, unitsOf } from './place.ts'
import { valueOf } from './source.ts'
import { type Layout, lengthKind, making, packing, type Source, type Table } from './table.ts'

/** Behind `toString` of a whole buffer, which spends half its time on finding out that it is meant. */
type Slicing = Buffer & { latin1Slice(): string; hexSlice(): string }

/** A message whose bytes were checked. Values are made when asked for. */
export class DecodedMessage implements Message, Source {
  readonly #table: Table
  readonly #bytes: Buffer
  readonly #layout: Layout
  readonly #places: readonly number[]
  readonly #mtiStart: number
  readonly irregularities: readonly Irregularity[]
  #mti: string | undefined
  #latin1: string | undefined
  #hex: string | undefined

  constructor(
    table: Table,
    bytes: Buffer,
    layout: Layout,
    places: readonly number[],
    mtiStart: number,
    irregularities: readonly Irregularity[],
  ) {
    this.#table = table
    this.#bytes = bytes
    this.#layout = layout
    this.#places = places
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
    return this.#layout.elements
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
    const place = this.#places[at]!
    const start = startOf(place)
    const prefix = table.lengthKind[de] === lengthKind.fixed ? 0 : table.lengthBytes[de]!
    const size = bytesOf(table.packing[de]!, unitsOf(place))
    return { from: start - prefix, start, end: start + size }
  }

  /** Every value, clear. For the room's own use. */
  values(): Record<number, FieldValue> {
    const { elements, blank } = this.#layout
    const { cut } = this.#table
    const text = this.latin1
    const places = this.#places
    const out: Record<number, FieldValue> = { ...blank }
    for (let slot = 0; slot < elements.length; slot++) {
      const de = elements[slot]!
      const start = startOf(places[slot]!)
      const units = unitsOf(places[slot]!)
      out[de] = cut[de] === 1 ? text.substring(start, start + units) : valueOf(this, de, start, units, false)
    }
    return out
  }

  toJSON(): { readonly mti: string; readonly fields: Readonly<Record<string, unknown>> } {
    return dump(this, this.#table, false)
  }

  [inspect.custom](): string {
    return `Message ${JSON.stringify(this)}`
  }

  #value(de: number, slot: number, masked: boolean): FieldValue {
    const place = this.#places[slot]!
    const start = startOf(place)
    const units = unitsOf(place)
    if (this.#table.cut[de] === 1) return this.latin1.substring(start, start + units)
    return valueOf(this, de, start, units, masked)
  }

  /** Where in `places` the element is; -1: not present. */
  #find(de: number): number {
    return this.#layout.slots[de] ?? -1
  }
}

/** How many bytes so many units of a row are. */
function bytesOf(packed: number, units: number): number {
  return packed === packing.single ? units : packed === packing.nibbles ? (units + 1) >> 1 : units * 2
}

/** A decoded message as it came. A view, with all that is sensitive in it: to be handed on, never to be shown. */
export function wireBytes(message: Message): Buffer {
  assert(message instanceof DecodedMessage)
  return message.bytes
}
