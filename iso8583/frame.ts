/**
 * Frames: where one message ends and the next begins on a byte stream. Knows nothing of messages or sockets.
 *
 *     stream := frame*
 *     frame  := length [header] body        length counts the body; with it itself, the header, or both
 */
export interface FrameFormat {
  /** How the length is written: a big-endian number, ASCII digits, or two decimal digits a byte. */
  readonly encoding: 'binary' | 'ascii' | 'bcd'
  /** How many bytes the length takes on the wire, 1..4. */
  readonly lengthBytes: number
  readonly counts: 'body' | 'self+body'
  /** What stands between the length and the body of every frame. */
  readonly header?: FrameHeader
  /** What a frame without a body is: a fault, or the peer's way to say that it lives. */
  readonly zeroLength: 'refused' | 'keepAlive'
}

export interface FrameHeader {
  /** As we send it, in hexadecimal; what comes has as many bytes. */
  readonly sent: string
  /** Whether the frame's length counts the header as part of the body. */
  readonly counted: boolean
  /** Bytes that must be as stated, or the peer speaks something else. The others are not looked at. */
  readonly expected: readonly { readonly at: number; readonly byte: number }[]
  /** What marks a frame that is for the session and not for who reads messages. */
  readonly control?: { readonly at: number; readonly mask: number; readonly bits: number }
}

/** One frame of a stream. `control`: its header marks it as the session's own. */
export interface Frame {
  readonly header: Buffer
  readonly body: Buffer
  readonly control: boolean
}

/** The longest body a link takes unless told otherwise. */
export const frameBytesMaxDefault = 8 * 1024
/** What no setting goes beyond. */
export const frameBytesCeiling = 64 * 1024

/** After one of these the start of the next frame cannot be known: the stream is of no more use. */
export type FrameFault =
  /** A length that is not made of decimal digits. */
  | { readonly kind: 'badLength'; readonly lengthByte: number }
  | { readonly kind: 'tooLong'; readonly bodyBytes: number; readonly frameBytesMax: number }
  /** No body where the format wants one, or a length that doesn't even cover itself. */
  | { readonly kind: 'tooShort'; readonly bodyBytes: number }
  /** A header byte that is not what the format states. */
  | { readonly kind: 'badHeader'; readonly headerByte: number }

export class FrameError extends Error {
  readonly fault: FrameFault

  constructor(fault: FrameFault) {
    super(`frame: ${fault.kind}`)
    this.name = 'FrameError'
    this.fault = fault
  }
}

/**
 * Length, header and body in one piece, for one write. `header` takes the place of the format's own, as in an answer to
 * a TPDU. Throws `FrameError` for a body that the length cannot say.
 */
export function encodeFrame(
  format: FrameFormat,
  body: Uint8Array,
  frameBytesMax = frameBytesMaxDefault,
  header: Uint8Array = headerSent(format),
): Buffer {
  const { lengthBytes } = format
  if (header.length !== headerBytesOf(format))
    throw new RangeError(`a header of this format has ${headerBytesOf(format)} bytes`)
  if (body.length === 0) throw new FrameError({ kind: 'tooShort', bodyBytes: 0 })
  const bodyBytesMax = Math.min(lengthMax(format) - beyondBody(format), frameBytesMax)
  if (body.length > bodyBytesMax) {
    throw new FrameError({ kind: 'tooLong', bodyBytes: body.length, frameBytesMax: bodyBytesMax })
  }
  const frame = Buffer.allocUnsafe(lengthBytes + header.length + body.length)
  writeLength(frame, format, body.length + beyondBody(format))
  frame.set(header, lengthBytes)
  frame.set(body, lengthBytes + header.length)
  return frame
}

function writeLength(frame: Buffer, { encoding, lengthBytes }: FrameFormat, declared: number): void {
  switch (encoding) {
    case 'binary':
      frame.writeUIntBE(declared, 0, lengthBytes)
      break
    case 'ascii':
      frame.write(declared.toString().padStart(lengthBytes, '0'), 0, 'latin1')
      break
    case 'bcd':
      frame.write(declared.toString().padStart(lengthBytes * 2, '0'), 0, 'hex')
      break
  }
}

export function headerBytesOf({ header }: FrameFormat): number {
  return header === undefined ? 0 : header.sent.length / 2
}

function headerSent({ header }: FrameFormat): Uint8Array {
  return Buffer.from(header?.sent ?? '', 'hex')
}

/** What the length counts beside the body. */
export function beyondBody(format: FrameFormat): number {
  const self = format.counts === 'body' ? 0 : format.lengthBytes
  return self + (format.header?.counted === true ? headerBytesOf(format) : 0)
}

function lengthMax({ encoding, lengthBytes }: FrameFormat): number {
  switch (encoding) {
    case 'binary':
      return 256 ** lengthBytes - 1
    case 'ascii':
      return 10 ** lengthBytes - 1
    case 'bcd':
      return 100 ** lengthBytes - 1
  }
}
