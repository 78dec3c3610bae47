import type { Clock, Timer } from '../kernel/clock.ts'
import type { FrameReader } from './frame-reader.ts'
import type { LinkLimits } from './link.ts'

/** The link's three patience limits on one timer, which is moved only when it would ring too late. */
export class Watch {
  readonly #clock: Clock
  readonly #limits: LinkLimits
  readonly #onSilence: (limit: 'firstByteMs' | 'partialFrameMs' | 'idleMs') => void
  #heard: boolean
  #framesRead = 0
  #frameAt: number
  #partialSince: number | undefined
  #timer: Timer | undefined
  #ringsAt = Number.POSITIVE_INFINITY

  constructor(
    clock: Clock,
    limits: LinkLimits,
    firstByte: boolean,
    onSilence: (limit: 'firstByteMs' | 'partialFrameMs' | 'idleMs') => void,
  ) {
    this.#clock = clock
    this.#limits = limits
    this.#onSilence = onSilence
    this.#heard = !firstByte
    this.#frameAt = clock.monotonicMs()
    this.#set()
  }

  get quietMs(): number {
    return this.#clock.monotonicMs() - this.#frameAt
  }

  onRead(reader: FrameReader): void {
    this.#heard = true
    const now = this.#clock.monotonicMs()
    const whole = reader.framesRead > this.#framesRead
    if (whole) {
      this.#framesRead = reader.framesRead
      this.#frameAt = now
    }
    if (!reader.partial) this.#partialSince = undefined
    else if (whole || this.#partialSince === undefined) {
      this.#partialSince = now
      this.#set()
    }
  }

  stop(): void {
    this.#timer?.cancel()
    this.#ringsAt = Number.NEGATIVE_INFINITY
  }

  #limit(): { readonly name: 'firstByteMs' | 'partialFrameMs' | 'idleMs'; readonly at: number } {
    if (!this.#heard) return { name: 'firstByteMs', at: this.#frameAt + this.#limits.firstByteMs }
    if (this.#partialSince !== undefined) {
      return { name: 'partialFrameMs', at: this.#partialSince + this.#limits.partialFrameMs }
    }
    return { name: 'idleMs', at: this.#frameAt + this.#limits.idleMs }
  }

  #set(): void {
    const { at } = this.#limit()
    if (at >= this.#ringsAt) return
    this.#timer?.cancel()
    this.#ringsAt = at
    this.#timer = this.#clock.after(at - this.#clock.monotonicMs(), () => this.#ring())
  }

  #ring(): void {
    if (this.#ringsAt === Number.NEGATIVE_INFINITY) return
    this.#ringsAt = Number.POSITIVE_INFINITY
    const { name, at } = this.#limit()
    if (at <= this.#clock.monotonicMs()) this.#onSilence(name)
    else this.#set()
  }
}
