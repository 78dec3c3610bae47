import type { Clock, Timer } from '../../kernel/clock.ts'

interface Due {
  readonly at: number
  readonly run: () => void
}

/** A clock that stands still until a test moves it. Timers run in the order of their time, then of their making. */
export class ManualClock implements Clock {
  #nowMs = 0
  #wallOffsetMs: number
  readonly #due = new Set<Due>()

  constructor(wallMs = Date.UTC(2026, 0, 15, 9, 30)) {
    this.#wallOffsetMs = wallMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    const due: Due = { at: this.#nowMs + Math.max(0, delayMs), run }
    this.#due.add(due)
    return { cancel: () => void this.#due.delete(due) }
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#due.size
  }

  /** From now on no timer rings: a process that stood still does other things before it comes to them. */
  stopTimers(): void {
    this.#due.clear()
  }

  /** Moves the wall clock alone, as an operator's correction would. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Goes forward, ringing what is due on the way, timers made on the way included. */
  advance(byMs: number): void {
    const until = this.#nowMs + byMs
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#due.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.at)
      next.run()
    }
    this.#nowMs = until
  }

  /** `advance`, in steps, letting promises and sockets go on between them. */
  async pass(byMs: number, stepMs = byMs): Promise<void> {
    for (let passed = 0; passed < byMs; passed += stepMs) {
      this.advance(Math.min(stepMs, byMs - passed))
      await settle()
    }
  }

  #next(until: number): Due | undefined {
    let first: Due | undefined
    for (const due of this.#due)
      if (due.at <= until && (first === undefined || due.at < first.at)) first = due
    return first
  }
}

/** Lets the event loop turn a few times: promises, loopback sockets. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}
