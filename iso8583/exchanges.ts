import type { Clock, Timer } from '../kernel/clock.ts'
import type { Link } from './link.ts'
import type { Message } from './message.ts'

/** What a request of ours is known by once its message is gone. */
export interface ExchangeIdentity {
  readonly mti: string
  /** DE11. */
  readonly stan: string
  /** DE7. */
  readonly transmittedAt: string
}

export type ExchangeOutcome =
  | { readonly kind: 'answered'; readonly message: Message }
  | { readonly kind: 'notSent'; readonly reason: 'closed' | 'congested' | 'malformed' | 'noTime' }
  | { readonly kind: 'maybeSent'; readonly reason: UnansweredReason }

export type UnansweredReason =
  | 'deadline'
  | 'linkLost'
  /** There was an answer, but not one to believe: its seal was wrong. */
  | 'badSeal'
  /** There was an answer, but nobody could say whether its seal was right. */
  | 'sealUnchecked'
  /** There was an answer without what an answer must have. */
  | 'unparseable'
  /** We stopped waiting. */
  | 'abandoned'

/** A request that waits for its answer. */
export interface Waiting extends ExchangeIdentity {
  readonly key: string
  readonly link: Link
  /** The request as the peer reads it, to compare what it echoes. */
  readonly sent: Message
  readonly deadlineMs: number
  readonly timer: Timer
  readonly resolve: (outcome: ExchangeOutcome) => void
  /** Answers of which the seal is being checked. */
  checking: number
  linkLost: boolean
  /** What was wrong with the answers so far: the better reason, should the deadline come. */
  flaw: 'badSeal' | 'sealUnchecked' | 'unparseable' | undefined
}

/** A request whose waiter has gone, kept so that whatever still comes for it is recognised. */
export interface Tombstone extends ExchangeIdentity {
  readonly key: string
  readonly untilMs: number
  /** What the answer said, once there was one. */
  answer: string | undefined
}

export interface TombstoneLimits {
  /** How long a tombstone is kept. */
  readonly lateMs: number
  /** Beyond this the oldest go first; journals keep them for good. */
  readonly tombstonesMax: number
}

/**
 * The requests of one destination by the key that its answers carry: those in flight, and those whose waiter has
 * gone. A STAN in either may not be given out again.
 */
export class Exchanges {
  readonly #clock: Clock
  readonly #limits: TombstoneLimits
  readonly #waiting = new Map<string, Waiting>()
  /** In the order of their settling, which is the order in which they expire. */
  readonly #tombstones = new Map<string, Tombstone>()
  readonly #stans = new Map<string, number>()

  constructor(clock: Clock, limits: TombstoneLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get inFlight(): number {
    return this.#waiting.size
  }

  get tombstones(): number {
    this.#bury()
    return this.#tombstones.size
  }

  inUse(stan: string): boolean {
    this.#bury()
    return this.#stans.has(stan)
  }

  waiting(key: string): Waiting | undefined {
    return this.#waiting.get(key)
  }

  tombstone(key: string): Tombstone | undefined {
    this.#bury()
    return this.#tombstones.get(key)
  }

  all(): Waiting[] {
    return [...this.#waiting.values()]
  }

  /** A repeat has the key of what it repeats: from here on an answer to either is an answer to it. */
  add(waiting: Waiting): void {
    this.#removeTombstone(waiting.key)
    this.#waiting.set(waiting.key, waiting)
    this.#use(waiting.stan, 1)
  }

  /** Settles what still waits, once; false: it had been settled. `answer` is what a later answer is compared with. */
  settle(waiting: Waiting, outcome: ExchangeOutcome, answer?: string): boolean {
    if (this.#waiting.get(waiting.key) !== waiting) return false
    this.#waiting.delete(waiting.key)
    waiting.timer.cancel()
    const { key, mti, stan, transmittedAt } = waiting
    if (outcome.kind === 'notSent') this.#use(stan, -1)
    else {
      const untilMs = this.#clock.monotonicMs() + this.#limits.lateMs
      this.#tombstones.set(key, { key, mti, stan, transmittedAt, untilMs, answer })
      this.#bury()
    }
    waiting.resolve(outcome)
    return true
  }

  #bury(): void {
    const now = this.#clock.monotonicMs()
    for (const { key, untilMs } of this.#tombstones.values()) {
      if (untilMs > now && this.#tombstones.size <= this.#limits.tombstonesMax) return
      this.#removeTombstone(key)
    }
  }

  #removeTombstone(key: string): void {
    const tombstone = this.#tombstones.get(key)
    if (tombstone === undefined) return
    this.#tombstones.delete(key)
    this.#use(tombstone.stan, -1)
  }

  #use(stan: string, by: 1 | -1): void {
    const uses = (this.#stans.get(stan) ?? 0) + by
    if (uses === 0) this.#stans.delete(stan)
    else this.#stans.set(stan, uses)
  }
}
