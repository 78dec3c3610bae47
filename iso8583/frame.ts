/**
 * Frames: where one message ends and the next begins on a byte stream. Knows nothing of messages or sockets.
 *
 *     stream := frame*
 *     frame  := length body        length counts the body, or itself and the body
 */
export interface FrameFormat {
  /** How the length is written: a big-endian number, ASCII digits, or two decimal digits a byte. */
  readonly encoding: 'binary' | 'ascii' | 'bcd'
  /** How many bytes the length takes on the wire, 1..4. */
  readonly lengthBytes: number
  readonly counts: 'body' | 'self+body'
  /** What a frame without a body is: a fault, or the peer's way to say that it lives. */
  readonly zeroLength: 'refused' | 'keepAlive'
}

export const binary2Frame: FrameFormat = {
  encoding: 'binary',
  lengthBytes: 2,
  counts: 'body',
  zeroLength: 'refused',
}

export const ascii4Frame: FrameFormat = {
  encoding: 'ascii',
  lengthBytes: 4,
  counts: 'body',
  zeroLength: 'refused',
}

/** The longest body a link takes unless told otherwise. */
const frameBytesMaxDefault = 8 * 1024
/** What no setting goes beyond. */
const frameBytesCeiling = 64 * 1024

/** After one of these the start of the next frame cannot be known: the stream is of no more use. */
export type FrameFault =
  /** A length that is not made of decimal digits. */
  | { readonly kind: 'badLength'; readonly lengthByte: number }
  | { readonly kind: 'tooLong'; readonly bodyBytes: number; readonly frameBytesMax: number }
  /** No body where the format wants one, or a length that doesn't even cover itself. */
  | { readonly kind: 'tooShort'; readonly bodyBytes: number }

export class FrameError extends Error {
  readonly fault: FrameFault

  constructor(fault: FrameFault) {
    super(`frame: ${fault.kind}`)
    this.name = 'FrameError'
    this.fault = fault
  }
}

/** Length and body in one piece, for one write. Throws `FrameError` for a body that the length cannot say. */
export function encodeFrame(
  format: FrameFormat,
  body: Uint8Array,
  frameBytesMax = frameBytesMaxDefault,
): Buffer {
  const { lengthBytes } = format
  if (body.length === 0) throw new FrameError({ kind: 'tooShort', bodyBytes: 0 })
  const declared = format.counts === 'body' ? body.length : body.length + lengthBytes
  const sayable = lengthMax(format) - (declared - body.length)
  const bodyBytesMax = Math.min(sayable, frameBytesMax)
  if (body.length > bodyBytesMax) {
    throw new FrameError({ kind: 'tooLong', bodyBytes: body.length, frameBytesMax: bodyBytesMax })
  }
  const frame = Buffer.allocUnsafe(lengthBytes + body.length)
  switch (format.encoding) {
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
  frame.set(body, lengthBytes)
  return frame
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

/**
 * Takes a stream in pieces of any size and gives the bodies of its frames. It holds at most one unfinished frame,
 * and grows with the bytes that came, never with the length that was declared.
 */
export class FrameReader {
  readonly #format: FrameFormat
  readonly #frameBytesMax: number
  #held = Buffer.allocUnsafe(heldBytesFirst)
  #heldBytes = 0
  /** Of the frame being held; -1 until its length is whole. */
  #bodyBytes = -1
  #fault: FrameFault | undefined
  #framesRead = 0
  #keepAlives = 0

  constructor(format: FrameFormat, frameBytesMax = frameBytesMaxDefault) {
    if (frameBytesMax < 1 || frameBytesMax > frameBytesCeiling) {
      throw new RangeError(`frameBytesMax is 1..${frameBytesCeiling}`)
    }
    this.#format = format
    this.#frameBytesMax = frameBytesMax
  }

  /** Set once, and for good: what comes after it is not read. */
  get fault(): FrameFault | undefined {
    return this.#fault
  }

  /** Whether a frame has begun and not ended. */
  get partial(): boolean {
    return this.#heldBytes > 0 && this.#fault === undefined
  }

  /** Frames that were whole, keep-alives included. */
  get framesRead(): number {
    return this.#framesRead
  }

  get keepAlives(): number {
    return this.#keepAlives
  }

  /** The bodies that `piece` completed, in order. A body may share memory with `piece`. */
  push(piece: Buffer): readonly Buffer[] {
    const bodies: Buffer[] = []
    let at = 0
    while (at < piece.length && this.#fault === undefined) at = this.#take(piece, at, bodies)
    return bodies
  }

  /** Reads one length, one body, or what there is of them; returns where it stopped. */
  #take(piece: Buffer, at: number, bodies: Buffer[]): number {
    const { lengthBytes } = this.#format
    if (this.#heldBytes === 0 && piece.length - at >= lengthBytes) {
      const bodyBytes = this.#readLength(piece, at)
      if (bodyBytes === undefined) return piece.length
      const end = at + lengthBytes + bodyBytes
      if (end <= piece.length) {
        this.#finish(piece.subarray(at + lengthBytes, end), bodies)
        return end
      }
    }
    const wanted = this.#bodyBytes < 0 ? lengthBytes : lengthBytes + this.#bodyBytes
    const taken = Math.min(wanted - this.#heldBytes, piece.length - at)
    this.#hold(piece, at, taken)
    if (this.#heldBytes < wanted) return at + taken

    if (this.#bodyBytes < 0) {
      const bodyBytes = this.#readLength(this.#held, 0)
      if (bodyBytes === undefined) return piece.length
      this.#bodyBytes = bodyBytes
      if (bodyBytes > 0) return at + taken
    }
    this.#finish(Buffer.from(this.#held.subarray(lengthBytes, this.#heldBytes)), bodies)
    return at + taken
  }

  #finish(body: Buffer, bodies: Buffer[]): void {
    this.#heldBytes = 0
    this.#bodyBytes = -1
    this.#framesRead++
    if (body.length > 0) bodies.push(body)
    else this.#keepAlives++
  }

  #hold(piece: Buffer, at: number, taken: number): void {
    const bytes = this.#heldBytes + taken
    if (bytes > this.#held.length) {
      const largest = this.#format.lengthBytes + this.#frameBytesMax
      const grown = Buffer.allocUnsafe(Math.min(Math.max(this.#held.length * 2, bytes), largest))
      this.#held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    piece.copy(this.#held, this.#heldBytes, at, at + taken)
    this.#heldBytes = bytes
  }

  /** The body's length, or undefined after setting the fault. */
  #readLength(bytes: Buffer, at: number): number | undefined {
    const declared = this.#readDigits(bytes, at)
    if (declared === undefined) return undefined
    const { counts, lengthBytes, zeroLength } = this.#format
    const bodyBytes = counts === 'body' ? declared : declared - lengthBytes
    // A keep-alive is the number zero, and in an inclusive length also the length of nothing but itself.
    if (zeroLength === 'keepAlive' && (declared === 0 || bodyBytes === 0)) return 0
    if (bodyBytes <= 0) this.#fault = { kind: 'tooShort', bodyBytes }
    else if (bodyBytes > this.#frameBytesMax) {
      this.#fault = { kind: 'tooLong', bodyBytes, frameBytesMax: this.#frameBytesMax }
    } else return bodyBytes
    return undefined
  }

  #readDigits(bytes: Buffer, at: number): number | undefined {
    const { encoding, lengthBytes } = this.#format
    if (encoding === 'binary') return bytes.readUIntBE(at, lengthBytes)
    let declared = 0
    for (let index = 0; index < lengthBytes; index++) {
      const byte = bytes[at + index]!
      const tens = encoding === 'ascii' ? 0 : byte >> 4
      const ones = encoding === 'ascii' ? byte - 0x30 : byte & 0x0f
      if (tens > 9 || ones < 0 || ones > 9) {
        this.#fault = { kind: 'badLength', lengthByte: index }
        return undefined
      }
      declared = declared * (encoding === 'ascii' ? 10 : 100) + tens * 10 + ones
    }
    return declared
  }
}

const heldBytesFirst = 256
