import type { Clock } from '../kernel/clock.ts'

export interface AcceptLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly acceptsPerAddressPerSecondMax: number
  /** So many connections of an address, one after the other, may end in the middle of their first frame. */
  readonly unfinishedPerAddressMax: number
  /** For so long after that, and after each further one, the address is turned away. */
  readonly turnAwayMs: number
}

export const acceptLimits: AcceptLimits = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 100,
  acceptsPerAddressPerSecondMax: 20,
  unfinishedPerAddressMax: 3,
  turnAwayMs: 30_000,
}

export type Crowded =
  | 'connections'
  | 'connectionsOfAddress'
  | 'acceptsOfAddress'
  | 'connectionsOfProcess'
  | 'unfinishedOfAddress'

/** What several listeners may hold together. */
export class ConnectionBudget {
  readonly max: number
  #used = 0

  constructor(max: number) {
    this.max = max
  }

  take(): boolean {
    if (this.#used >= this.max) return false
    this.#used++
    return true
  }

  give(): void {
    this.#used--
  }
}

/** The connections that an address has open. */
interface Caller {
  open: number
  /** Of these, such as have sent a whole frame. */
  heard: number
}

/** How often in a row an address began a frame and did not end it, and until when it is turned away. */
interface Unfinished {
  times: number
  untilMs: number
}

/** Strangers can't make us remember more of them than this. */
const unfinishedKept = 4_096

/**
 * How many may come in: at all, from one address, and from one address within a second. Who only ever begins frames
 * is turned away for a while, since to be held up is what costs; an address with a line that works never is, whoever
 * else is behind it.
 */
export class Gate {
  readonly #clock: Clock
  readonly #limits: AcceptLimits
  readonly #budget: ConnectionBudget | undefined
  readonly #callers = new Map<string, Caller>()
  #connectionCount = 0
  readonly #accepts = new Map<string, number>()
  #acceptsSince = Number.NEGATIVE_INFINITY
  /** The latest last. */
  readonly #unfinished = new Map<string, Unfinished>()

  constructor(clock: Clock, limits: AcceptLimits, budget: ConnectionBudget | undefined) {
    this.#clock = clock
    this.#limits = limits
    this.#budget = budget
  }

  enter(address: string): Crowded | undefined {
    const accepts = this.#countAccept(address)
    const caller = this.#callers.get(address) ?? { open: 0, heard: 0 }
    if (this.#connectionCount >= this.#limits.connectionsMax) return 'connections'
    if (caller.open >= this.#limits.connectionsPerAddressMax) return 'connectionsOfAddress'
    if (accepts > this.#limits.acceptsPerAddressPerSecondMax) return 'acceptsOfAddress'
    if (this.#clock.monotonicMs() < (this.#unfinished.get(address)?.untilMs ?? 0))
      return 'unfinishedOfAddress'
    if (this.#budget?.take() === false) return 'connectionsOfProcess'
    caller.open++
    this.#callers.set(address, caller)
    this.#connectionCount++
    return undefined
  }

  /** The first whole frame of a connection. */
  heard(address: string): void {
    this.#unfinished.delete(address)
    const caller = this.#callers.get(address)
    if (caller !== undefined) caller.heard++
  }

  /** A connection was closed in the middle of its first frame. */
  unfinished(address: string): void {
    if ((this.#callers.get(address)?.heard ?? 0) > 0) return
    const times = (this.#unfinished.get(address)?.times ?? 0) + 1
    const isTooOften = times >= this.#limits.unfinishedPerAddressMax
    const untilMs = isTooOften ? this.#clock.monotonicMs() + this.#limits.turnAwayMs : 0
    this.#unfinished.delete(address)
    this.#unfinished.set(address, { times, untilMs })
    if (this.#unfinished.size <= unfinishedKept) return
    for (const oldest of this.#unfinished.keys()) {
      this.#unfinished.delete(oldest)
      return
    }
  }

  /** A connection that was heard is over. */
  silenced(address: string): void {
    const caller = this.#callers.get(address)
    if (caller !== undefined) caller.heard--
  }

  leave(address: string): void {
    const caller = this.#callers.get(address)
    if (caller !== undefined && --caller.open === 0) this.#callers.delete(address)
    this.#connectionCount--
    this.#budget?.give()
  }

  /** Forgets every address each second, so that strangers can't make it grow. */
  #countAccept(address: string): number {
    const now = this.#clock.monotonicMs()
    if (now - this.#acceptsSince >= 1_000) {
      this.#accepts.clear()
      this.#acceptsSince = now
    }
    const accepts = (this.#accepts.get(address) ?? 0) + 1
    this.#accepts.set(address, accepts)
    return accepts
  }
}
