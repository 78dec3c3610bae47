/**
 * The protocol, without payments: dialects as data, the codec, frames, links and the multiplexer. What a message
 * means is for others to say.
 */
export type FieldValue = string | bigint | Uint8Array | { readonly [part: string]: FieldValue }

/** A message to be encoded: clear values. */
export interface MessageBody {
  readonly mti: string
  readonly fields: Readonly<Record<number, FieldValue>>
}

/** A decoded message: checked bytes, values made when asked for. */
export interface Message {
  readonly mti: string
  /** The numbers of the data elements present, ascending, bitmaps left out. */
  readonly elements: readonly number[]
  has(de: number): boolean
  /** The value, or its mask where the element is sensitive. */
  get(de: number): FieldValue | undefined
  /** The clear value of any element; the one call that gives a sensitive one. */
  reveal(de: number): FieldValue | undefined
  /** `get` for an element that is text or digits in every dialect. A sensitive or other element here is a bug. */
  text(de: number): string | undefined
  /** `get` for an amount. */
  amount(de: number): bigint | undefined
  /** The element's bytes as they were on the wire, without its length prefix. */
  raw(de: number): Uint8Array | undefined
  /** The masked, readable dump. */
  toJSON(): { readonly mti: string; readonly fields: Readonly<Record<string, unknown>> }
}

export interface Codec {
  readonly name: string
  /** Throws `IsoCodecError` and nothing else, whatever the bytes. */
  decode(bytes: Uint8Array): Message
  /** Throws `IsoCodecError`; the error never carries a value. */
  encode(body: MessageBody): Buffer
  /** One masked line for people and journals. Fails closed. */
  describe(message: Message | MessageBody): string
}

export { ascii4Frame, binary2Frame, encodeFrame, FrameError, FrameReader } from './frame.ts'
export type { FrameFault, FrameFormat } from './frame.ts'
export { connectLink, LinkError, linkLimits } from './link.ts'
export type { ConnectOptions, Link, LinkCloseReason, LinkFault, LinkHandlers, LinkLimits } from './link.ts'
export { acceptLimits, listenLinks } from './link-server.ts'
export type { AcceptLimits, LinkServer, ListenOptions, Refusal } from './link-server.ts'
