import type { Clock, Timer } from '../kernel/clock.ts'
import type { BusinessDays } from './business-days.ts'
import type { Deliveries } from './deliveries.ts'
import { type Journal, JournalUnavailable } from './journal.ts'
import type { Shell } from './shell.ts'

/**
 * Finds in the journal what nobody is attending to: outcomes that will not come any more, obligations that are due,
 * business dates that others began or that end by the clock.
 * It is what makes every other memory of them a mere hint.
 */
export class Sweeper {
  readonly #ports: SweeperPorts
  #timer: Timer | undefined
  #stopped = false
  #sweeps = 0

  constructor(ports: SweeperPorts) {
    this.#ports = ports
  }

  /**
   * After a start, before anybody is served: what this node's earlier life left open. Nothing is sent again; PIN and
   * track were never written, so what may have been sent is reversed (J8).
   */
  async recover(): Promise<{ readonly reversed: number; readonly unproven: number }> {
    const { journal, node, shell } = this.#ports
    let [reversed, unproven] = [0, 0]
    for (;;) {
      const stranded = await journal.stranded({ node, ownPast: true, limit: batchMax })
      if (stranded.length === 0) break
      await Promise.all(stranded.map((transaction) => shell.recover(transaction)))
      reversed += stranded.length
    }
    for (;;) {
      const undelivered = await journal.undeliveredOf(node, batchMax)
      if (undelivered.length === 0) break
      await Promise.all(undelivered.map((transaction) => shell.unproven(transaction)))
      unproven += undelivered.length
    }
    return { reversed, unproven }
  }

  /** Sweeps every second until stopped. */
  start(): void {
    this.#timer = this.#ports.clock.after(sweepMs, () => {
      void this.sweep().finally(() => {
        if (!this.#stopped) this.start()
      })
    })
  }

  async sweep(): Promise<void> {
    const { days, deliveries, journal, node, shell } = this.#ports
    deliveries.sweep()
    try {
      await days.sweep()
      if (this.#sweeps++ % sweepsToOverdue === 0) await deliveries.tellOverdue()
      const stranded = await journal.stranded({ node, ownPast: false, limit: batchMax })
      await Promise.all(
        stranded
          .filter(({ sourceKey }) => !shell.isLive(sourceKey))
          .map((transaction) => shell.recover(transaction)),
      )
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
    }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}

export interface SweeperPorts {
  readonly clock: Clock
  readonly node: string
  readonly journal: Journal
  readonly shell: Pick<Shell, 'recover' | 'unproven' | 'isLive'>
  readonly deliveries: Pick<Deliveries, 'sweep' | 'tellOverdue'>
  readonly days: Pick<BusinessDays, 'sweep'>
}

const sweepMs = 1_000
/** What is overdue is looked for every ten seconds. */
const sweepsToOverdue = 10
const batchMax = 256
