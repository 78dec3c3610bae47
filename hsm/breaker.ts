/** Whether one HSM process is asked. Pure: its clock is given, and what it knows it is told. */
export type BreakerState = 'closed' | 'open' | 'probing'

export interface BreakerLimits {
  readonly failuresMax: number
  readonly windowMs: number
  readonly openMs: number
}

export const breakerLimits: BreakerLimits = { failuresMax: 5, windowMs: 10_000, openMs: 5_000 }

/**
 * Five failures within ten seconds, and for five seconds nothing is asked; then one probe decides, which is a health
 * check of ours and nobody's payment. `late`: an answer that did not come in time. `lost`: the process ended. A fresh
 * process need not wait for what was late at the one before, but a process that is lost again and again does.
 */
export class Breaker {
  readonly #limits: BreakerLimits
  readonly #now: () => number
  #late: number[] = []
  #lost: number[] = []
  #state: BreakerState = 'closed'
  #openUntil = 0
  #openings = 0

  /** `now` in milliseconds that only go forward. */
  constructor(limits: BreakerLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  get state(): BreakerState {
    return this.#state
  }

  /** How often it opened. */
  get openings(): number {
    return this.#openings
  }

  late(): void {
    this.#late.push(this.#now())
    this.#judge()
  }

  lost(): void {
    this.#lost.push(this.#now())
    if (this.#state === 'probing') this.#open()
    this.#judge()
  }

  /** A fresh process answers in the place of the one before. */
  renewed(): void {
    this.#late = []
    if (this.#state === 'closed') return
    if (this.#recent(this.#lost).length < this.#limits.failuresMax) this.#openUntil = this.#now()
  }

  /** Whether a probe is to be sent now; then one must be, and its end told to `probed`. */
  takeProbe(): boolean {
    if (this.#state !== 'open' || this.#now() < this.#openUntil) return false
    this.#state = 'probing'
    return true
  }

  probed(passed: boolean): void {
    if (this.#state !== 'probing') return
    if (!passed) {
      this.#open()
      return
    }
    this.#state = 'closed'
    this.#late = []
    this.#lost = []
  }

  #judge(): void {
    this.#late = this.#recent(this.#late)
    this.#lost = this.#recent(this.#lost)
    const failures = this.#late.length + this.#lost.length
    if (this.#state === 'closed' && failures >= this.#limits.failuresMax) this.#open()
  }

  #open(): void {
    this.#state = 'open'
    this.#openings++
    this.#openUntil = this.#now() + this.#limits.openMs
  }

  #recent(instants: readonly number[]): number[] {
    const from = this.#now() - this.#limits.windowMs
    return instants.filter((at) => at > from)
  }
}
