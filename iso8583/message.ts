/** A value as the program sees it: text and digits as strings, amounts as bigint, bytes, or named parts. */
export type FieldValue = string | bigint | Uint8Array | { readonly [part: string]: FieldValue }

export type AnyFields = Readonly<Record<number, FieldValue>>

/** A message to be encoded: clear values. The dialect says which type each element has (`MessageOf`). */
export interface MessageBody<Fields = AnyFields> {
  readonly mti: string
  readonly fields: Fields
}

/** A decoded message: checked bytes, values made when asked for. It keeps the bytes it was decoded from. */
export interface Message<Fields = AnyFields> {
  readonly mti: string
  /** The numbers of the data elements present, ascending, bitmaps left out. */
  readonly elements: readonly number[]
  /** What was accepted though a careful sender would not have sent it so. Mostly empty. */
  readonly irregularities: readonly Irregularity[]
  has(de: number): boolean
  /** The value, or its mask where the element is sensitive. */
  get<De extends keyof Fields & number>(de: De): Fields[De] | string | undefined
  /** The clear value of any element; the one call that gives a sensitive one. */
  reveal<De extends keyof Fields & number>(de: De): Fields[De] | undefined
  /** `get` for an element that is text or digits in every dialect. A sensitive or other element here is a bug. */
  text(de: number): string | undefined
  /** `get` for an amount. */
  amount(de: number): bigint | undefined
  /** The element's bytes as they were on the wire, without its length prefix. A view, not a copy. */
  raw(de: number): Uint8Array | undefined
  /** The masked, readable dump. */
  toJSON(): { readonly mti: string; readonly fields: Readonly<Record<string, unknown>> }
}

export interface Irregularity {
  readonly code: 'EMPTY_FIELD' | 'EMPTY_BITMAP' | 'TRAILING_BYTES'
  /** `32`, or `bitmap` with which one. */
  readonly path: string
}
