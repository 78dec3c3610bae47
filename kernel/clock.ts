/** Time as a port: production runs on `systemClock`, the simulation on a clock of its own. */
export interface Clock {
  /** Milliseconds since 1970, for data elements and records. It may jump: no deadline stands on it. */
  wallMs(): number
  /** Milliseconds that only go forward, for deadlines. The zero point means nothing. */
  monotonicMs(): number
  /** Runs `run` once, `delayMs` from now or later: never before. */
  after(delayMs: number, run: () => void): Timer
}

export interface Timer {
  cancel(): void
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const dueMs = performance.now() + delayMs
    // Node counts whole milliseconds, so its timers may ring most of one before their time.
    const ring = (): void => {
      const restMs = dueMs - performance.now()
      if (restMs > 0) timeout = setTimeout(ring, Math.ceil(restMs))
      else run()
    }
    let timeout = setTimeout(ring, Math.max(0, delayMs))
    return { cancel: () => clearTimeout(timeout) }
  },
}

/** Resolves after `delayMs` on `clock`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve))
}
