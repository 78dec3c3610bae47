import type { FrameFormat } from '../../iso8583/iso8583.ts'

/** A part of a stream: a whole frame, or bytes that pass as they came. */
export interface Cut {
  readonly bytes: Buffer
  /** Where the body begins, in a whole frame. */
  readonly bodyAt?: number
}

/**
 * Knows at each byte of a stream where the next frame begins, and holds frames until they are whole only while it is
 * asked to: other bytes pass at once. A length that cannot be read ends its knowledge, and all that follows passes.
 */
export class FrameCutter {
  readonly #format: FrameFormat
  readonly #headerBytes: number
  /** The bytes of the frame under way: all of them while it is held, its length alone while it passes. */
  #held: Buffer = Buffer.alloc(0)
  #holding = false
  /** Bytes of the frame under way that are still to come; undefined while its length is not known. */
  #restBytes: number | undefined
  #lost = false

  constructor(format: FrameFormat) {
    this.#format = format
    this.#headerBytes = (format.header?.sent.length ?? 0) / 2
  }

  push(piece: Buffer, hold: boolean): readonly Cut[] {
    const cuts: Cut[] = []
    let at = 0
    while (at < piece.length && !this.#lost) {
      if (this.#held.length === 0 && this.#restBytes === undefined) this.#holding = hold
      at = this.#take(piece, at, cuts)
    }
    if (at < piece.length) cuts.push({ bytes: piece.subarray(at) })
    return cuts
  }

  #take(piece: Buffer, at: number, cuts: Cut[]): number {
    const wantedBytes = this.#restBytes ?? this.#format.lengthBytes - this.#held.length
    const taken = piece.subarray(at, at + wantedBytes)
    if (this.#restBytes === undefined || this.#holding) this.#held = Buffer.concat([this.#held, taken])
    if (!this.#holding) cuts.push({ bytes: taken })
    if (this.#restBytes !== undefined) this.#restBytes -= taken.length
    else if (this.#held.length === this.#format.lengthBytes) this.#restBytes = this.#frameRest()
    if (this.#lost && this.#holding) cuts.push({ bytes: this.#held })
    else if (this.#restBytes === 0) {
      if (this.#holding)
        cuts.push({ bytes: this.#held, bodyAt: this.#format.lengthBytes + this.#headerBytes })
      this.#held = Buffer.alloc(0)
      this.#restBytes = undefined
    }
    return at + taken.length
  }

  /** How many bytes follow the length. */
  #frameRest(): number | undefined {
    const declared = this.#declared()
    if (declared === undefined) {
      this.#lost = true
      return undefined
    }
    const { counts, header, lengthBytes } = this.#format
    const uncounted = header?.counted === false ? this.#headerBytes : 0
    return Math.max(0, declared - (counts === 'body' ? 0 : lengthBytes)) + uncounted
  }

  #declared(): number | undefined {
    const { encoding, lengthBytes } = this.#format
    if (encoding === 'binary') return this.#held.readUIntBE(0, lengthBytes)
    const digits = this.#held.toString(encoding === 'ascii' ? 'latin1' : 'hex')
    return /^[0-9]+$/.test(digits) ? Number(digits) : undefined
  }
}
