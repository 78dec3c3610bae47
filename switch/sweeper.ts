import { type Clock, sleep, type Timer } from '../kernel/clock.ts'
import type { BusinessDays } from './business-days.ts'
import type { Deliveries } from './deliveries.ts'
import type { KeyExchanges } from './key-exchange.ts'
import type { RulesInForce } from './rules/rules-in-force.ts'
import { type Journal, JournalUnavailable } from './journal.ts'
import type { Shell } from './shell.ts'
import type { Transaction } from './transaction/transaction.ts'

/**
 * Finds in the journal what nobody is attending to: outcomes that will not come any more, obligations that are due,
 * business dates that others began or that end by the clock, rules that somebody wants to be read again.
 * It is what makes every other memory of them a mere hint.
 */
export class Sweeper {
  readonly #ports: SweeperPorts
  #timer: Timer | undefined
  #stopped = false
  #sweeps = 0
  #pastIsOpen = true

  constructor(ports: SweeperPorts) {
    this.#ports = ports
  }

  /**
   * After a start, before anybody is served: what this node's earlier life left open. Nothing is sent again; PIN and
   * track were never written, so what may have been sent is reversed (J8). Where that is very much, those who wait are
   * served before all of it is done: a repeat of something open is met with silence meanwhile, and its reversal is one
   * of the ways to take it up.
   */
  async recover(): Promise<{ readonly reversed: number; readonly unproven: number }> {
    const { clock } = this.#ports
    const until = clock.monotonicMs() + recoverMaxMs
    const taken = { reversed: 0, unproven: 0 }
    while (this.#pastIsOpen && clock.monotonicMs() < until) {
      const { reversed, unproven } = await this.#takeUpPast(this.#ports.node)
      taken.reversed += reversed
      taken.unproven += unproven
    }
    return taken
  }

  /** What a node left open that is gone, and whose place is taken: it can't write any more. */
  async takeUp(node: string): Promise<void> {
    while (!this.#stopped) {
      const { reversed, unproven } = await this.#takeUpPast(node)
      if (reversed + unproven === 0) return
    }
  }

  /** A batch of it. What this life has under way itself is not of the past. */
  async #takeUpPast(node: string): Promise<{ readonly reversed: number; readonly unproven: number }> {
    const { journal, shell } = this.#ports
    const isPast = ({ sourceKey }: Transaction): boolean => !shell.isLive(sourceKey)
    const stranded = (await journal.stranded({ node, ownPast: true, limit: batchMax })).filter(isPast)
    await Promise.all(stranded.map((transaction) => shell.recover(transaction)))
    if (stranded.length > 0) return { reversed: stranded.length, unproven: 0 }
    const undelivered = (await journal.undeliveredOf(node, batchMax)).filter(isPast)
    await Promise.all(undelivered.map((transaction) => shell.unproven(transaction)))
    if (node === this.#ports.node) this.#pastIsOpen = undelivered.length > 0
    return { reversed: 0, unproven: undelivered.length }
  }

  /** What `recover` had no time for, behind the requests that come in. */
  async #takeUpRest(): Promise<void> {
    while (this.#pastIsOpen && !this.#stopped) {
      try {
        await this.#takeUpPast(this.#ports.node)
      } catch (error) {
        if (!(error instanceof JournalUnavailable)) throw error
        await sleep(this.#ports.clock, sweepMs)
      }
    }
  }

  /** Sweeps every second until stopped. */
  start(): void {
    void this.#takeUpRest()
    this.#sweepAgain()
  }

  #sweepAgain(): void {
    this.#timer = this.#ports.clock.after(sweepMs, () => {
      void this.sweep().finally(() => {
        if (!this.#stopped) this.#sweepAgain()
      })
    })
  }

  async sweep(): Promise<void> {
    const { days, deliveries, journal, keyExchanges, node, pageUnmatched, rules, shell } = this.#ports
    deliveries.sweep()
    // A network that is asked for keys may take its time.
    void keyExchanges?.sweep()
    // One after the other, and none instead of another: a date that can't be frozen must strand no payment.
    await unlessAway(() => rules.follow())
    await unlessAway(() => days.sweep())
    if (this.#sweeps++ % sweepsToOverdue === 0) {
      await unlessAway(() => deliveries.tellOverdue())
      await unlessAway(async () => pageUnmatched?.())
    }
    await unlessAway(async () => {
      const stranded = await journal.stranded({ node, ownPast: false, limit: batchMax })
      await Promise.all(
        stranded
          .filter(({ sourceKey }) => !shell.isLive(sourceKey))
          .map((transaction) => shell.recover(transaction)),
      )
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}

async function unlessAway(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof JournalUnavailable)) throw error
  }
}

export interface SweeperPorts {
  readonly clock: Clock
  readonly node: string
  readonly journal: Journal
  readonly shell: Pick<Shell, 'recover' | 'unproven' | 'isLive'>
  readonly deliveries: Pick<Deliveries, 'sweep' | 'tellOverdue'>
  readonly days: Pick<BusinessDays, 'sweep'>
  readonly keyExchanges?: Pick<KeyExchanges, 'sweep'>
  readonly rules: Pick<RulesInForce, 'follow'>
  /** Tells of what differs from a network's statement and nobody has explained in time. */
  readonly pageUnmatched?: () => Promise<void>
}

const sweepMs = 1_000
/** What is overdue is looked for every ten seconds. */
const sweepsToOverdue = 10
/** Of the ten seconds in which a node is back. */
const recoverMaxMs = 4_000
const batchMax = 256
