import type { Random } from '../kernel/random.ts'
import type { SessionProfile } from './network.ts'

/**
 * How long a session waits before it connects again, and where: the addresses in order, each tried once before any wait,
 * and the first again after a connection that had been good.
 */
export class Patience {
  readonly #profile: () => SessionProfile
  readonly #random: Random
  readonly #door: { readonly endpoints: number; readonly waits: boolean }
  #losses = 0
  #refusals = 0
  #endpoint = 0

  constructor(
    profile: () => SessionProfile,
    random: Random,
    door: { readonly endpoints: number; readonly waits: boolean },
  ) {
    this.#profile = profile
    this.#random = random
    this.#door = door
  }

  /** Which address to try now. */
  get endpoint(): number {
    return this.#endpoint
  }

  /** How many sign-ons in a row were refused. */
  refused(): number {
    return ++this.#refusals
  }

  signedOn(): void {
    this.#refusals = 0
  }

  /** The connection had been good for long: the next loss is a first one again. */
  steady(): void {
    this.#losses = 0
  }

  /** The wait in ms. */
  after(ended: 'notConnected' | 'refused' | 'lost'): number {
    if (ended === 'lost') this.#endpoint = 0
    else this.#endpoint = (this.#endpoint + 1) % this.#door.endpoints
    if (ended !== 'notConnected' && this.#door.waits) return 0
    if (this.#endpoint !== 0) return 0
    const { reconnectMs, reconnectMsMax, refusedMs, refusedMsMax } = this.#profile()
    if (ended === 'refused') {
      const rounds = Math.max(0, Math.ceil(this.#refusals / this.#door.endpoints) - 1)
      return Math.min(refusedMs * 2 ** rounds, refusedMsMax) * (1 + this.#random.fraction() / 5)
    }
    return Math.min(reconnectMs * 2 ** this.#losses++, reconnectMsMax) * this.#random.fraction()
  }
}
