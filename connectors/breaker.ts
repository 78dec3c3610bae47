import type { Clock, Timer } from '../kernel/clock.ts'

/** `rampNarrow` and `rampWide` let a few legs through at a time, and go back to `open` when too many of them fail. */
export type BreakerState = 'closed' | 'open' | 'halfOpen' | 'rampNarrow' | 'rampWide'

export type BreakerCause =
  | 'failures'
  | 'offline'
  | 'firstOnline'
  | 'probing'
  | 'probeFailed'
  | 'probesAnswered'
  | 'rampFailed'
  | 'rampStep'
  | 'forced'
  | 'forceEnded'

export interface BreakerChange {
  readonly from: BreakerState
  readonly to: BreakerState
  readonly cause: BreakerCause
}

/**
 * How a leg ended, as far as the destination's health goes. `success` is any well-formed answer, a decline too;
 * `neutral` is what says nothing about the destination, such as a fault of ours before anything was sent.
 */
export type LegHealth = 'success' | 'failure' | 'neutral'

export interface Permit {
  done(health: LegHealth): void
}

export interface BreakerLimits {
  /** Over how long legs are counted. */
  readonly windowMs: number
  /** Fewer legs than this prove nothing. */
  readonly legsMin: number
  readonly failedShare: number
  /** Doubles with every opening in a row. */
  readonly openMs: number
  readonly openMsMax: number
  /** Echoes in a row that must be answered before cardholders are let through. */
  readonly probesMin: number
  /** Legs at a time in the first step of the ramp. */
  readonly rampNarrowMax: number
  /** The share of the destination's window in the second step. */
  readonly rampWideShare: number
  /** How long a step lasts at least: it is also not over before a leg of its own was answered, if any was sent. */
  readonly rampStepMs: number
  /** A step of the ramp fails with so many failures, if they are this share of its legs. */
  readonly rampFailuresMin: number
  readonly rampFailedShare: number
}

const breakerLimits: BreakerLimits = {
  windowMs: 15_000,
  legsMin: 20,
  failedShare: 0.5,
  openMs: 5_000,
  openMsMax: 60_000,
  probesMin: 2,
  rampNarrowMax: 5,
  rampWideShare: 0.25,
  rampStepMs: 10_000,
  rampFailuresMin: 3,
  rampFailedShare: 0.2,
}

export interface BreakerOptions {
  readonly clock: Clock
  /** The most legs the destination takes at once. */
  readonly inFlightMax: number
  readonly limits?: Partial<BreakerLimits>
  /** An echo is wanted; its outcome comes back through `probed`. */
  readonly onProbe: () => void
  readonly onChange: (change: BreakerChange) => void
}

const buckets = 15

/**
 * The circuit breaker of one destination. It opens when half of at least twenty legs failed within 15 s, and when
 * no session is online; it half-opens with echoes, never with a cardholder's purchase, and then lets traffic back
 * by steps. Pure of I/O: sessions tell it what they see, and it asks for echoes through `onProbe`.
 */
export class Breaker {
  readonly #clock: Clock
  readonly #limits: BreakerLimits
  readonly #options: BreakerOptions
  readonly #tally: Tally
  #state: BreakerState = 'open'
  #online = false
  /** Before the first sign-on of this process nothing has failed, so there is nothing to be careful about. */
  #everOnline = false
  #openUntilMs: number
  #openings = 0
  #probesAnswered = 0
  #inFlight = 0
  /** Of this step of the ramp. */
  #ramping = { legs: 0, failures: 0, entered: 0, elapsed: false }
  /** Legs that entered before the last opening say nothing about what came after it. */
  #era = 0
  #timer: Timer | undefined
  #forced: 'open' | 'closed' | undefined
  #forceTimer: Timer | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#limits = { ...breakerLimits, ...options.limits }
    this.#tally = new Tally(options.clock, this.#limits.windowMs)
    this.#openUntilMs = this.#clock.monotonicMs()
  }

  get state(): BreakerState {
    return this.#forced ?? this.#state
  }

  /** Whether a leg would be let through now. */
  get admits(): boolean {
    switch (this.state) {
      case 'closed':
        return true
      case 'open':
      case 'halfOpen':
        return false
      case 'rampNarrow':
        return this.#inFlight < this.#limits.rampNarrowMax
      case 'rampWide':
        return this.#inFlight < this.#rampWideMax()
    }
  }

  /** Lets one leg through, or undefined. `done` is to be called once, however the leg ends. */
  enter(): Permit | undefined {
    if (!this.admits) return undefined
    const era = this.#era
    this.#inFlight++
    this.#ramping.entered++
    let over = false
    return {
      done: (health) => {
        if (over) return
        over = true
        this.#inFlight--
        if (era === this.#era) this.#record(health)
      },
    }
  }

  /** A session is online. */
  online(): void {
    if (this.#online) return
    this.#online = true
    if (this.#everOnline) this.#tryHalfOpen()
    else {
      this.#everOnline = true
      this.#close('firstOnline')
    }
  }

  /** No session is online. */
  offline(): void {
    if (!this.#online) return
    this.#online = false
    // A time that an earlier opening set still counts; being offline adds none of its own.
    if (this.#state !== 'open') this.#open('offline', 0)
  }

  /**
   * A connection, a handshake or a sign-on that failed, of a destination with other sessions: as bad as a request that
   * failed (CB1). Where there are no others the breaker is open already; and a ramp asks for answers, not for sessions.
   */
  failed(): void {
    if (this.#state === 'closed') this.#record('failure')
  }

  /** How the echo that `onProbe` asked for went. */
  probed(answered: boolean): void {
    if (this.#state !== 'halfOpen') return
    if (!answered) this.#open('probeFailed', this.#nextOpenMs())
    else if (++this.#probesAnswered < this.#limits.probesMin) this.#options.onProbe()
    else this.#ramp('rampNarrow', 'probesAnswered')
  }

  /** An operator's word, which stands until it expires or is taken back. */
  force(state: 'open' | 'closed', forMs: number): void {
    const from = this.state
    this.#forceTimer?.cancel()
    this.#forced = state
    this.#forceTimer = this.#clock.after(forMs, () => this.unforce())
    this.#options.onChange({ from, to: state, cause: 'forced' })
  }

  unforce(): void {
    if (this.#forced === undefined) return
    const from = this.#forced
    this.#forceTimer?.cancel()
    this.#forced = undefined
    this.#options.onChange({ from, to: this.#state, cause: 'forceEnded' })
  }

  /** Ends its timers; for a destination that is being closed. */
  stop(): void {
    this.#timer?.cancel()
    this.#forceTimer?.cancel()
  }

  #record(health: LegHealth): void {
    if (health === 'neutral') return
    const failed = health === 'failure'
    switch (this.#state) {
      case 'closed': {
        const { legs, failures } = this.#tally.add(failed)
        const bad = legs >= this.#limits.legsMin && failures >= legs * this.#limits.failedShare
        if (failed && bad) this.#open('failures', this.#nextOpenMs())
        break
      }
      case 'rampNarrow':
      case 'rampWide':
        this.#recordInRamp(failed)
        break
      case 'open':
      case 'halfOpen':
        break
    }
  }

  #nextOpenMs(): number {
    return Math.min(this.#limits.openMs * 2 ** this.#openings++, this.#limits.openMsMax)
  }

  #open(cause: BreakerCause, forMs: number): void {
    this.#era++
    this.#openUntilMs = this.#clock.monotonicMs() + forMs
    this.#change('open', cause)
    this.#timer = this.#clock.after(forMs, () => this.#tryHalfOpen())
  }

  #tryHalfOpen(): void {
    if (this.#state !== 'open' || !this.#online) return
    const restMs = this.#openUntilMs - this.#clock.monotonicMs()
    // A timer may ring a little early, and one that is not set again would leave the breaker open for good.
    if (restMs > 0) {
      this.#timer?.cancel()
      this.#timer = this.#clock.after(restMs, () => this.#tryHalfOpen())
      return
    }
    this.#probesAnswered = 0
    this.#change('halfOpen', 'probing')
    this.#options.onProbe()
  }

  /** One silence in a hundred is a good network's; and a silence is known only when its deadline has come. */
  #recordInRamp(failed: boolean): void {
    const ramping = this.#ramping
    const { rampFailedShare, rampFailuresMin } = this.#limits
    ramping.legs++
    if (failed) ramping.failures++
    const isMany = ramping.failures >= rampFailuresMin
    if (failed && isMany && ramping.failures >= ramping.legs * rampFailedShare) {
      this.#open('rampFailed', this.#nextOpenMs())
    } else this.#stepOn()
  }

  #ramp(step: 'rampNarrow' | 'rampWide', cause: BreakerCause): void {
    this.#ramping = { legs: 0, failures: 0, entered: 0, elapsed: false }
    this.#change(step, cause)
    this.#timer = this.#clock.after(this.#limits.rampStepMs, () => {
      this.#ramping.elapsed = true
      this.#stepOn()
    })
  }

  /** On to the next step, when this one's time is over and what was sent in it has shown something. */
  #stepOn(): void {
    const { elapsed, entered, failures, legs } = this.#ramping
    if (!elapsed || (entered > 0 && legs - failures === 0)) return
    if (this.#state === 'rampNarrow') this.#ramp('rampWide', 'rampStep')
    else this.#close('rampStep')
  }

  #rampWideMax(): number {
    const { rampNarrowMax, rampWideShare } = this.#limits
    return Math.max(rampNarrowMax, Math.ceil(this.#options.inFlightMax * rampWideShare))
  }

  #close(cause: BreakerCause): void {
    this.#openings = 0
    this.#tally.clear()
    this.#change('closed', cause)
  }

  #change(to: BreakerState, cause: BreakerCause): void {
    const from = this.#state
    this.#timer?.cancel()
    this.#timer = undefined
    this.#state = to
    this.#options.onChange({ from, to, cause })
  }
}

/** Legs and failures of the last while, forgotten a fifteenth at a time. */
class Tally {
  readonly #clock: Clock
  readonly #bucketMs: number
  readonly #legs = new Array<number>(buckets).fill(0)
  readonly #failures = new Array<number>(buckets).fill(0)
  #turn: number

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock
    this.#bucketMs = windowMs / buckets
    this.#turn = this.#now()
  }

  add(failed: boolean): { readonly legs: number; readonly failures: number } {
    this.#forget()
    const bucket = this.#turn % buckets
    this.#legs[bucket]!++
    if (failed) this.#failures[bucket]!++
    return { legs: sum(this.#legs), failures: sum(this.#failures) }
  }

  clear(): void {
    this.#legs.fill(0)
    this.#failures.fill(0)
  }

  #forget(): void {
    const now = this.#now()
    for (let turn = Math.max(this.#turn + 1, now - buckets + 1); turn <= now; turn++) {
      this.#legs[turn % buckets] = 0
      this.#failures[turn % buckets] = 0
    }
    this.#turn = now
  }

  #now(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#bucketMs)
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
