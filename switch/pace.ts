import type { Clock } from '../kernel/clock.ts'

/** So many a second, and no more than a tenth of a second's worth at once. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecondMax: number
  readonly #burstMax: number
  #tokens: number
  #countedAt: number

  constructor(clock: Clock, perSecondMax: number) {
    this.#clock = clock
    this.#perSecondMax = perSecondMax
    this.#burstMax = Math.max(1, Math.ceil(perSecondMax / 10))
    this.#tokens = this.#burstMax
    this.#countedAt = clock.monotonicMs()
  }

  /** How many may go now. */
  get room(): number {
    const now = this.#clock.monotonicMs()
    const earned = ((now - this.#countedAt) * this.#perSecondMax) / 1_000
    this.#tokens = Math.min(this.#burstMax, this.#tokens + earned)
    this.#countedAt = now
    return Math.floor(this.#tokens)
  }

  /** Until there is room again. */
  get waitMs(): number {
    return Math.max(1, Math.ceil(((1 - this.#tokens) * 1_000) / this.#perSecondMax))
  }

  spend(count: number): void {
    this.#tokens -= count
  }
}
