import {
  beyondBody,
  type Frame,
  type FrameFault,
  type FrameFormat,
  frameBytesCeiling,
  frameBytesMaxDefault,
  headerBytesOf,
} from './frame.ts'

/**
 * Takes a stream in pieces of any size and gives the bodies of its frames. It holds at most one unfinished frame,
 * and grows with the bytes that came, never with the length that was declared.
 */
export class FrameReader {
  readonly #format: FrameFormat
  readonly #frameBytesMax: number
  #held = Buffer.allocUnsafe(heldBytesFirst)
  #heldBytes = 0
  readonly #headerBytes: number
  readonly #beyondBody: number
  /** Header and body of the frame being held; -1 until its length is whole. */
  #restBytes = -1
  #fault: FrameFault | undefined
  #framesRead = 0
  #keepAlives = 0

  constructor(format: FrameFormat, frameBytesMax = frameBytesMaxDefault) {
    if (frameBytesMax < 1 || frameBytesMax > frameBytesCeiling) {
      throw new RangeError(`frameBytesMax is 1..${frameBytesCeiling}`)
    }
    this.#format = format
    this.#frameBytesMax = frameBytesMax
    this.#headerBytes = headerBytesOf(format)
    this.#beyondBody = beyondBody(format)
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

  /** Frames without a body, and those that are the session's own. */
  get keepAlives(): number {
    return this.#keepAlives
  }

  /** The bodies that `piece` completed, in order, without the session's own. A body may share memory with `piece`. */
  push(piece: Buffer): readonly Buffer[] {
    const bodies: Buffer[] = []
    for (const { body, control } of this.read(piece)) if (!control) bodies.push(body)
    return bodies
  }

  /** The same with their headers, and with the session's own. Keep-alives without a body are only counted. */
  read(piece: Buffer): readonly Frame[] {
    const frames: Frame[] = []
    let at = 0
    while (at < piece.length && this.#fault === undefined) at = this.#take(piece, at, frames)
    return frames
  }

  /** Reads one length, the rest of one frame, or what there is of them; returns where it stopped. */
  #take(piece: Buffer, at: number, frames: Frame[]): number {
    const { lengthBytes } = this.#format
    if (this.#heldBytes === 0 && piece.length - at >= lengthBytes) {
      const restBytes = this.#readLength(piece, at)
      if (restBytes === undefined) return piece.length
      const end = at + lengthBytes + restBytes
      if (end <= piece.length) {
        this.#finish(piece.subarray(at + lengthBytes, end), frames)
        return end
      }
    }
    const wanted = this.#restBytes < 0 ? lengthBytes : lengthBytes + this.#restBytes
    const taken = Math.min(wanted - this.#heldBytes, piece.length - at)
    this.#hold(piece, at, taken)
    if (this.#heldBytes < wanted) return at + taken

    if (this.#restBytes < 0) {
      const restBytes = this.#readLength(this.#held, 0)
      if (restBytes === undefined) return piece.length
      this.#restBytes = restBytes
      if (restBytes > 0) return at + taken
    }
    this.#finish(Buffer.from(this.#held.subarray(lengthBytes, this.#heldBytes)), frames)
    return at + taken
  }

  /** `rest` is a header and a body, a header alone, or nothing. */
  #finish(rest: Buffer, frames: Frame[]): void {
    this.#heldBytes = 0
    this.#restBytes = -1
    const header = rest.subarray(0, this.#headerBytes)
    const body = rest.subarray(this.#headerBytes)
    const { expected = [], control } = this.#format.header ?? {}
    const wrong = rest.length === 0 ? undefined : expected.find(({ at, byte }) => header[at] !== byte)
    if (wrong !== undefined) {
      this.#fault = { kind: 'badHeader', headerByte: wrong.at }
      return
    }
    this.#framesRead++
    const isControl = control !== undefined && (header[control.at]! & control.mask) === control.bits
    if (body.length === 0 || isControl) this.#keepAlives++
    if (body.length > 0) frames.push({ header, body, control: isControl })
  }

  #hold(piece: Buffer, at: number, taken: number): void {
    const bytes = this.#heldBytes + taken
    if (bytes > this.#held.length) {
      const largest = this.#format.lengthBytes + this.#headerBytes + this.#frameBytesMax
      const grown = Buffer.allocUnsafe(Math.min(Math.max(this.#held.length * 2, bytes), largest))
      this.#held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    piece.copy(this.#held, this.#heldBytes, at, at + taken)
    this.#heldBytes = bytes
  }

  /** How many bytes of header and body follow, or undefined after setting the fault. */
  #readLength(bytes: Buffer, at: number): number | undefined {
    const declared = this.#readDigits(bytes, at)
    if (declared === undefined) return undefined
    const { header, zeroLength } = this.#format
    const bodyBytes = declared - this.#beyondBody
    // A keep-alive is the number zero, and the length of nothing but what a length counts anyway.
    if (zeroLength === 'keepAlive' && (declared === 0 || bodyBytes === 0))
      return declared === 0 && header?.counted === true ? 0 : this.#headerBytes
    if (bodyBytes <= 0) this.#fault = { kind: 'tooShort', bodyBytes }
    else if (bodyBytes > this.#frameBytesMax) {
      this.#fault = { kind: 'tooLong', bodyBytes, frameBytesMax: this.#frameBytesMax }
    } else return this.#headerBytes + bodyBytes
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
