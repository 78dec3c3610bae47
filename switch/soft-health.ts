import type { Clock } from '../kernel/clock.ts'

/** When a destination goes behind the others of its routes (§4.18, G6). */
export interface SoftHealthRules {
  readonly windowMs: number
  /** Below so many requests in the window nothing is concluded. */
  readonly requestsMin: number
  /** This much of a hundred of them came to nothing: 91, 96, silence. */
  readonly demotePercent: number
}

/** The window is counted in so many parts: the oldest goes as a whole. */
const partsOfWindow = 12

interface Part {
  readonly number: number
  requests: number
  failed: number
}

/**
 * How destinations fare that can be reached and yet are of little use: they answer 91 or 96, or not at all. No breaker opens
 * for that, and each stays reachable for what has no other way; only the order changes in which a route tries its targets. A
 * destination that nobody asks any more is asked again when its window has gone by. Each node judges by what it sees.
 */
export class SoftHealth {
  readonly #clock: Clock
  readonly #parts = new Map<string, Part[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A request to it has ended. What never left says nothing of it. */
  heard(destination: string, came: 'toAnAnswer' | 'toNothing', { windowMs }: SoftHealthRules): void {
    const number = this.#numberOf(windowMs)
    const parts = this.#within(destination, number)
    let part = parts.at(-1)
    if (part?.number !== number) {
      part = { number, requests: 0, failed: 0 }
      parts.push(part)
    }
    part.requests++
    if (came === 'toNothing') part.failed++
    this.#parts.set(destination, parts)
  }

  isDemoted(destination: string, rules: SoftHealthRules): boolean {
    const { requests, failed } = this.#sumOf(destination, rules)
    return requests >= rules.requestsMin && failed * 100 >= rules.demotePercent * requests
  }

  /** Those in good order first; otherwise the order stays. A lone target has nobody to go behind. */
  inOrder(targets: readonly string[], rules: SoftHealthRules | undefined): readonly string[] {
    if (rules === undefined || targets.length < 2) return targets
    const demoted = targets.filter((name) => this.isDemoted(name, rules))
    return demoted.length === 0 ? targets : [...targets.filter((name) => !demoted.includes(name)), ...demoted]
  }

  #sumOf(destination: string, { windowMs }: SoftHealthRules): { requests: number; failed: number } {
    return this.#within(destination, this.#numberOf(windowMs)).reduce(
      (sum, { failed, requests }) => ({ requests: sum.requests + requests, failed: sum.failed + failed }),
      { requests: 0, failed: 0 },
    )
  }

  /** A part of a later number is of another window, before the rules were read again: nobody knows when it was. */
  #within(destination: string, now: number): Part[] {
    const parts = this.#parts.get(destination) ?? []
    return parts.filter(({ number }) => number > now - partsOfWindow && number <= now)
  }

  #numberOf(windowMs: number): number {
    return Math.floor((this.#clock.monotonicMs() * partsOfWindow) / windowMs)
  }
}
