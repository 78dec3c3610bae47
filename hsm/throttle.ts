/**
 * Counts the faults of PIN blocks, by the key they came under and by who sent them: whoever tries blocks at random
 * learns one bit each time, and is stopped long before that makes a PIN. Honest terminals have next to none.
 */

interface Window {
  startedAt: number
  faults: number
}

/** How many faults in a window are too many. */
export interface ThrottleLimits {
  readonly windowMs: number
  readonly faultsMaxByKey: number
  readonly faultsMaxBySource: number
  /** Windows remembered; the oldest is forgotten first. */
  readonly namesMax: number
}

export const pinFaultLimits: ThrottleLimits = {
  windowMs: 60_000,
  faultsMaxByKey: 300,
  faultsMaxBySource: 20,
  namesMax: 10_000,
}

export class PinFaultThrottle {
  readonly #limits: ThrottleLimits
  readonly #now: () => number
  readonly #windows = new Map<string, Window>()

  /** `now` in milliseconds that only go forward. */
  constructor(limits: ThrottleLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  allows(key: string, source: string | undefined): boolean {
    if (this.#count(`key ${key}`) >= this.#limits.faultsMaxByKey) return false
    return source === undefined || this.#count(`source ${source}`) < this.#limits.faultsMaxBySource
  }

  fault(key: string, source: string | undefined): void {
    this.#add(`key ${key}`)
    if (source !== undefined) this.#add(`source ${source}`)
  }

  #count(name: string): number {
    const window = this.#windows.get(name)
    return window === undefined || this.#isOver(window) ? 0 : window.faults
  }

  #add(name: string): void {
    const window = this.#windows.get(name)
    if (window !== undefined && !this.#isOver(window)) {
      window.faults++
      return
    }
    this.#windows.delete(name)
    this.#windows.set(name, { startedAt: this.#now(), faults: 1 })
    if (this.#windows.size <= this.#limits.namesMax) return
    const oldest = this.#windows.keys().next()
    if (!oldest.done) this.#windows.delete(oldest.value)
  }

  #isOver(window: Window): boolean {
    return this.#now() - window.startedAt >= this.#limits.windowMs
  }
}
