import { setTimeout as sleep } from 'node:timers/promises'
import type { FrameFormat } from '../../iso8583/iso8583.ts'
import type { Random } from '../../kernel/random.ts'
import type { Counts } from './counts.ts'
import type { DirectionFaults, FrameFaults } from './faults.ts'
import { type Cut, FrameCutter } from './frame-cutter.ts'

/** What befalls whole frames: lost, doubled, out of order, late, or with rubbish before them. */
export class FrameStage {
  readonly #cutter: FrameCutter | undefined
  readonly #random: Random
  readonly #counts: Counts
  readonly #emit: (bytes: Buffer) => void
  /** A frame that waits to change places with the next one. */
  #turned: Buffer | undefined

  constructor(
    { frame, random, counts }: { frame: FrameFormat | undefined; random: Random; counts: Counts },
    emit: (bytes: Buffer) => void,
  ) {
    this.#cutter = frame === undefined ? undefined : new FrameCutter(frame)
    this.#random = random
    this.#counts = counts
    this.#emit = emit
  }

  push(piece: Buffer, faults: DirectionFaults): void {
    if (this.#cutter === undefined) {
      this.#emit(piece)
      return
    }
    const looking = faults.frames !== undefined || faults.garbage !== undefined
    for (const cut of this.#cutter.push(piece, looking)) {
      if (cut.bodyAt === undefined) this.#emit(cut.bytes)
      else this.#frame(cut as Required<Cut>, faults)
    }
  }

  #frame({ bytes, bodyAt }: Required<Cut>, { frames, garbage }: DirectionFaults): void {
    this.#counts.frames++
    if (garbage !== undefined && this.#random.fraction() < garbage.share) {
      this.#counts.garbage++
      this.#emit(this.#random.bytes(1 + this.#random.below(garbage.bytesMax)))
    }
    const meant = frames?.starts.equals(bytes.subarray(bodyAt, bodyAt + frames.starts.length)) === true
    if (frames === undefined || !meant) this.#pass(bytes)
    else this.#befall(bytes, frames)
  }

  /** One draw a frame, whatever comes of it, so that one share does not move the others' chances. */
  #befall(bytes: Buffer, { drop, duplicate, reorder, reorderWaitMs, delay, delayMs }: FrameFaults): void {
    const drawn = this.#random.fraction()
    if (drawn < drop) this.#counts.dropped++
    else if (drawn < drop + duplicate) {
      this.#counts.duplicated++
      this.#pass(Buffer.concat([bytes, bytes]))
    } else if (drawn < drop + duplicate + reorder && this.#turned === undefined) {
      this.#counts.reordered++
      this.#turned = bytes
      void sleep(reorderWaitMs, undefined, { ref: false }).then(() => {
        if (this.#turned === bytes) this.#release()
      })
    } else if (drawn >= drop + duplicate + reorder && drawn < drop + duplicate + reorder + delay) {
      this.#counts.delayed++
      void sleep(delayMs, undefined, { ref: false }).then(() => this.#emit(bytes))
    } else this.#pass(bytes)
  }

  #pass(bytes: Buffer): void {
    this.#emit(bytes)
    this.#release()
  }

  #release(): void {
    const turned = this.#turned
    this.#turned = undefined
    if (turned !== undefined) this.#emit(turned)
  }
}
