import type { Clock } from '../kernel/clock.ts'

export interface AcceptLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly acceptsPerAddressPerSecondMax: number
}

export const acceptLimits: AcceptLimits = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 100,
  acceptsPerAddressPerSecondMax: 20,
}

export type Crowded = 'connections' | 'connectionsOfAddress' | 'acceptsOfAddress' | 'connectionsOfProcess'

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

/** How many may come in: at all, from one address, and from one address within a second. */
export class Gate {
  readonly #clock: Clock
  readonly #limits: AcceptLimits
  readonly #budget: ConnectionBudget | undefined
  readonly #connections = new Map<string, number>()
  #connectionCount = 0
  readonly #accepts = new Map<string, number>()
  #acceptsSince = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, limits: AcceptLimits, budget: ConnectionBudget | undefined) {
    this.#clock = clock
    this.#limits = limits
    this.#budget = budget
  }

  enter(address: string): Crowded | undefined {
    const accepts = this.#countAccept(address)
    const connections = this.#connections.get(address) ?? 0
    if (this.#connectionCount >= this.#limits.connectionsMax) return 'connections'
    if (connections >= this.#limits.connectionsPerAddressMax) return 'connectionsOfAddress'
    if (accepts > this.#limits.acceptsPerAddressPerSecondMax) return 'acceptsOfAddress'
    if (this.#budget?.take() === false) return 'connectionsOfProcess'
    this.#connections.set(address, connections + 1)
    this.#connectionCount++
    return undefined
  }

  leave(address: string): void {
    const connections = (this.#connections.get(address) ?? 1) - 1
    if (connections === 0) this.#connections.delete(address)
    else this.#connections.set(address, connections)
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
