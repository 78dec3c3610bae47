import type { Clock } from '../kernel/clock.ts'
import type { InboundRequest } from './arrivals.ts'
import { tell, type Waiter } from './live.ts'
import type { Answer } from './transaction/transaction.ts'

/**
 * Refusals that could not be recorded. Nothing was sent for them, and a repeat must hear the same: they are kept in
 * memory for as long as one may come.
 */
export class Refusals {
  readonly #clock: Clock
  readonly #refused = new Map<string, Answer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of({ sourceKey }: InboundRequest): Answer | undefined {
    return this.#refused.get(sourceKey)
  }

  refuse({ sourceKey, source }: InboundRequest, waiters: readonly Waiter[], responseCode: string): void {
    const answer = { responseCode }
    this.#refused.set(sourceKey, answer)
    this.#clock.after(2 * source.terminalTimeoutMs, () => this.#refused.delete(sourceKey))
    void tell(waiters, answer)
  }
}
