import type { Random } from '../../kernel/random.ts'
import type { Counts } from './counts.ts'
import type { DirectionFaults } from './faults.ts'

type CutAfter = NonNullable<DirectionFaults['cutAfter']>

/** What befalls bytes by their place in the stream, however the stream was cut into pieces. */
export class ByteStage {
  readonly #random: Random
  readonly #counts: Counts
  #flip: DirectionFaults['flip']
  /** Bytes until the next one with a turned bit. */
  #toFlip = 0
  #cut: CutAfter | undefined
  #toCut = 0

  constructor({ random, counts }: { random: Random; counts: Counts }) {
    this.#random = random
    this.#counts = counts
  }

  /** The bytes that go on, and how the connection ends behind them, if it does. */
  pass(bytes: Buffer, faults: DirectionFaults): { readonly bytes: Buffer; readonly cut?: CutAfter['how'] } {
    const flipped = this.#flipped(bytes, faults.flip)
    // A fault that is set anew counts anew.
    if (faults.cutAfter !== this.#cut) {
      this.#cut = faults.cutAfter
      this.#toCut = faults.cutAfter?.bytes ?? 0
    }
    if (this.#cut === undefined) return { bytes: flipped }
    if (flipped.length < this.#toCut) {
      this.#toCut -= flipped.length
      return { bytes: flipped }
    }
    this.#counts.cuts++
    return { bytes: flipped.subarray(0, this.#toCut), cut: this.#cut.how }
  }

  #flipped(bytes: Buffer, flip: DirectionFaults['flip']): Buffer {
    if (flip !== this.#flip) {
      this.#flip = flip
      this.#toFlip = flip === undefined ? 0 : this.#gap(flip.everyBytes)
    }
    if (flip === undefined) return bytes
    const flipped = Buffer.from(bytes)
    while (this.#toFlip < flipped.length) {
      flipped[this.#toFlip]! ^= 1 << this.#random.below(8)
      this.#counts.flipped++
      this.#toFlip += 1 + this.#gap(flip.everyBytes)
    }
    this.#toFlip -= flipped.length
    return flipped
  }

  /** Between one and the next, `everyBytes - 1` on average. */
  #gap(everyBytes: number): number {
    return this.#random.below(2 * everyBytes - 1)
  }
}
