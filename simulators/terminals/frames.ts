/** Two bytes of length, most significant first, then that many bytes of message. */
export function framed(body: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([length, body])
}

/** Puts frames together again from pieces of any size. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0)

  push(piece: Buffer): Buffer[] {
    this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece])
    const frames: Buffer[] = []
    while (this.#held.length >= 2) {
      const end = 2 + this.#held.readUInt16BE(0)
      if (this.#held.length < end) break
      frames.push(this.#held.subarray(2, end))
      this.#held = this.#held.subarray(end)
    }
    return frames
  }
}
