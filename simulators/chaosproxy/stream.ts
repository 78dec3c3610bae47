import type { Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { FrameFormat } from '../../iso8583/iso8583.ts'
import type { Random } from '../../kernel/random.ts'
import { ByteStage } from './byte-stage.ts'
import type { Counts } from './counts.ts'
import type { DirectionFaults } from './faults.ts'
import { FrameStage } from './frame-stage.ts'

export interface StreamOptions {
  readonly from: Socket
  readonly to: Socket
  readonly frame: FrameFormat | undefined
  readonly random: Random
  readonly counts: Counts
  readonly faults: () => DirectionFaults
  /** The fault that cuts has let its bytes pass. */
  readonly onCut: (how: 'reset' | 'end') => void
}

/** What waits to be written: bytes, the sender's end, or a cut. */
interface Waiting {
  readonly bytes: Buffer
  readonly dueMs: number
  readonly then?: 'reset' | 'end' | 'halfClose'
}

/** More than this unwritten, and the sender is not read: a proxy must not be an endless buffer. */
const waitingBytesMax = 256 * 1024

/** One direction of one connection: frames, then bytes, then time. */
export class Stream {
  readonly #options: StreamOptions
  readonly #frames: FrameStage
  readonly #bytes: ByteStage
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  #lastDueMs = 0
  #writing = false
  #ended = false
  /** Bytes were thrown away: what follows would be no stream. */
  broken = false

  constructor(options: StreamOptions) {
    this.#options = options
    this.#frames = new FrameStage(options, (bytes) => this.#pass(bytes))
    this.#bytes = new ByteStage(options)
    options.from.on('data', (piece: Buffer) => this.#take(piece))
    options.from.on('end', () => this.halfClose())
  }

  /** Reads the sender or lets it be, as the faults and what waits say. */
  regulate(): void {
    const { from, faults } = this.#options
    if (faults().stopReading === true || this.#waitingBytes > waitingBytesMax) from.pause()
    else from.resume()
  }

  /** Whatever is said from here on, the other end does not hear of it. */
  get mute(): boolean {
    const { blackhole, stopReading } = this.#options.faults()
    return blackhole === true || stopReading === true
  }

  /** The sender has ended, or is made to look so. */
  halfClose(): void {
    if (this.mute) this.broken = true
    else this.#put({ bytes: Buffer.alloc(0), then: 'halfClose' })
  }

  #take(piece: Buffer): void {
    const { counts, faults } = this.#options
    if (faults().blackhole === true) {
      counts.swallowed += piece.length
      this.broken = true
    } else this.#frames.push(piece, faults())
  }

  #pass(passing: Buffer): void {
    const { bytes, cut } = this.#bytes.pass(passing, this.#options.faults())
    this.#put(cut === undefined ? { bytes } : { bytes, then: cut })
  }

  #put(what: Pick<Waiting, 'bytes' | 'then'>): void {
    if (this.#ended) return
    this.#ended = what.then !== undefined
    const { latency } = this.#options.faults()
    const waitMs = latency === undefined ? 0 : latency.ms + latency.jitterMs * this.#options.random.fraction()
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + waitMs)
    this.#waiting.push({ ...what, dueMs: this.#lastDueMs })
    this.#waitingBytes += what.bytes.length
    this.regulate()
    if (!this.#writing) void this.#write()
  }

  async #write(): Promise<void> {
    this.#writing = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const waitMs = next.dueMs - performance.now()
      if (waitMs > 0) await sleep(waitMs, undefined, { ref: false })
      await this.#writeBytes(next.bytes)
      this.#waitingBytes -= next.bytes.length
      this.regulate()
      if (next.then === 'halfClose') this.#options.to.end()
      else if (next.then !== undefined) this.#options.onCut(next.then)
    }
    this.#writing = false
  }

  async #writeBytes(bytes: Buffer): Promise<void> {
    const { to, counts, faults } = this.#options
    for (let at = 0; at < bytes.length && to.writable; ) {
      const { slice, bandwidth } = faults()
      const piece = bytes.subarray(at, at + this.#pieceBytes(faults()))
      await new Promise<void>((resolve) => to.write(piece, () => resolve()))
      counts.bytes += piece.length
      at += piece.length
      const paceMs = bandwidth === undefined ? 0 : (piece.length * 1_000) / bandwidth.bytesPerSecond
      const waitMs = Math.max(paceMs, slice?.everyMs ?? 0)
      if (waitMs > 0) await sleep(waitMs, undefined, { ref: false })
      else if (slice !== undefined) await nextTurn()
    }
  }

  /** With a bandwidth, some twenty pieces a second, so that a change is felt soon. */
  #pieceBytes({ slice, bandwidth }: DirectionFaults): number {
    if (slice !== undefined)
      return slice.bytesMin + this.#options.random.below(slice.bytesMax - slice.bytesMin + 1)
    return bandwidth === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.floor(bandwidth.bytesPerSecond / 20))
  }
}
