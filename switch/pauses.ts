import type { Clock, Timer } from '../kernel/clock.ts'

/**
 * Notices when this process stood still: stopped by a signal, moved to another machine, computing for seconds. What is
 * read right afterwards waited unread, nobody knows how long, and who sent it may have been served by another node
 * since. Such a request is not begun: silence is safe, its source asks again or reverses.
 */
export class Pauses {
  readonly #clock: Clock
  #beatAt: number
  #staleUntil = -Infinity
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#beatAt = clock.monotonicMs()
    this.#beat()
  }

  /** Whether what arrives now may have been sent long ago. */
  get mayBeStale(): boolean {
    this.#look()
    return this.#clock.monotonicMs() < this.#staleUntil
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #beat(): void {
    this.#look()
    this.#beatAt = this.#clock.monotonicMs()
    this.#timer = this.#clock.after(beatMs, () => this.#beat())
  }

  #look(): void {
    const now = this.#clock.monotonicMs()
    if (now - this.#beatAt > beatMs + pauseMs) this.#staleUntil = now + backlogMs
  }
}

const beatMs = 1_000
/** Shorter pauses are those of a busy machine, and shorter than any source's patience. */
const pauseMs = 2_000
/** So long it may take until everything that waited in the sockets has been read. */
const backlogMs = 1_000
