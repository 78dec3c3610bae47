import type { Clock } from '../kernel/clock.ts'
import type { InboundRequest } from './arrivals.ts'
import { tell, type Waiter } from './live.ts'

/**
 * Refusals that could not be recorded. Nothing was sent for them, and a repeat must hear the same: they are kept in
 * memory for as long as one may come, and go on record with the first repeat that finds the journal there. A repeat
 * that doesn't is met with silence: another node may have served the request since.
 */
export class Refusals {
  readonly #clock: Clock
  readonly #refused = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The response code that the request was refused with. */
  of({ sourceKey }: InboundRequest): string | undefined {
    return this.#refused.get(sourceKey)
  }

  refuse(inbound: InboundRequest, waiters: readonly Waiter[], responseCode: string): void {
    const { source, sourceKey, receivedMonotonicMs } = inbound
    // Whoever has stopped waiting for us may be asking another node already, and hear an approval there.
    if (this.#clock.monotonicMs() > receivedMonotonicMs + source.timeoutMs) return
    this.#refused.set(sourceKey, responseCode)
    this.#clock.after(2 * source.terminalTimeoutMs, () => this.#refused.delete(sourceKey))
    void tell(waiters, { responseCode })
  }
}
