import type { Clock } from '../kernel/clock.ts'

const remembersMax = 10_000

/** What happened to messages a while ago, by their trace number and time; the oldest goes first. */
export class Remembered {
  readonly #clock: Clock
  readonly #forMs: number
  readonly #untilMs = new Map<string, number>()

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock
    this.#forMs = forMs
  }

  add(key: string): void {
    const [oldest] = this.#untilMs.keys()
    if (oldest !== undefined && (this.#untilMs.size >= remembersMax || !this.has(oldest)))
      this.#untilMs.delete(oldest)
    this.#untilMs.set(key, this.#clock.monotonicMs() + this.#forMs)
  }

  has(key: string): boolean {
    return (this.#untilMs.get(key) ?? Number.NEGATIVE_INFINITY) > this.#clock.monotonicMs()
  }
}
