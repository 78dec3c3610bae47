import assert from 'node:assert'
import type { Connector, DestinationRules, LegOutcome } from '../connectors/connector.ts'
import { type Hsm, HsmError } from '../hsm/hsm.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { type ClaimedObligation, type Journal, JournalUnavailable } from './journal.ts'
import type { Observer } from './observer.ts'
import { owedLeg } from './outbound.ts'
import type { Shell } from './shell.ts'

/**
 * Delivers what is owed to destinations until it is acknowledged (§4.8). What is due is read from the journal each
 * time: nothing in memory is needed to find it, so nothing that is lost with memory is lost.
 */
export interface DeliveryPorts {
  readonly clock: Clock
  readonly random: Random
  readonly journal: Journal
  readonly hsm: Pick<Hsm, 'detokenise'>
  readonly connectors: ReadonlyMap<string, Connector>
  readonly shell: Pick<Shell, 'obligationAnswered'>
  readonly observer: Observer
}

/** Deliveries under way at once to one destination. */
const parallelMax = 16
/** Longer than any wait for an answer: a lease that ends earlier would deliver twice at once. */
const leaseMarginMs = 10_000

export class Deliveries {
  readonly #ports: DeliveryPorts
  readonly #busy = new Set<string>()
  readonly #again = new Set<string>()
  #stopped = false

  constructor(ports: DeliveryPorts) {
    this.#ports = ports
    for (const connector of ports.connectors.values()) connector.onAvailable(() => this.wake(connector.name))
  }

  /** Something became due, or the destination can be reached again. Returns at once. */
  wake(destination: string): void {
    if (this.#stopped) return
    if (this.#busy.has(destination)) return void this.#again.add(destination)
    this.#busy.add(destination)
    void this.#run(destination).finally(() => {
      this.#busy.delete(destination)
      if (this.#again.delete(destination)) this.wake(destination)
    })
  }

  sweep(): void {
    for (const name of this.#ports.connectors.keys()) this.wake(name)
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(destination: string): Promise<void> {
    const connector = this.#ports.connectors.get(destination)
    if (connector === undefined) return
    try {
      for (;;) {
        if (this.#stopped || !canDeliver(connector)) return
        const claimed = await this.#claim(connector)
        if (claimed.length === 0) return
        await Promise.all(claimed.map((obligation) => this.#deliver(connector, obligation)))
      }
    } catch (error) {
      // The journal is away: the sweeper comes again.
      if (!(error instanceof JournalUnavailable)) throw error
    }
  }

  async #claim(connector: Connector): Promise<ClaimedObligation[]> {
    const due = Math.min(parallelMax, await this.#ports.journal.dueCount(connector.name))
    const identities = []
    for (let index = 0; index < due; index++) {
      const identity = connector.identify()
      if (identity === undefined) break
      identities.push(identity)
    }
    if (identities.length === 0) return []
    const leaseMs = connector.rules.timeoutMs + leaseMarginMs
    return this.#ports.journal.claim({ destination: connector.name, limit: due, leaseMs, identities })
  }

  async #deliver(connector: Connector, obligation: ClaimedObligation): Promise<void> {
    const { journal, observer, shell } = this.#ports
    observer.reversal(connector.name, 'sent')
    const outcome = await this.#send(connector, obligation)
    const verdict = verdictOf(outcome, connector.rules)
    if (verdict.kind === 'retry') {
      observer.reversal(connector.name, 'retry')
      return journal.postpone(obligation, this.#waitMs(connector.rules, obligation.attempts), verdict.cause)
    }
    observer.reversal(connector.name, verdict.kind)
    if (verdict.kind === 'parked')
      observer.alarm(`${nameOf[obligation.kind]} was refused and parked`, obligation.id)
    assert(obligation.kind !== 'reconciliation')
    await shell.obligationAnswered(obligation.transaction, {
      kind: 'obligationAnswered',
      owed: obligation.kind,
      verdict: verdict.kind,
      obligationId: obligation.id,
      fence: obligation.fence,
      responseCode: verdict.responseCode,
      detail: {
        attempts: obligation.attempts,
        stan: obligation.identity.stan,
        responseCode: verdict.responseCode,
        ...(outcome.kind === 'notSent' ? {} : { sent: outcome.sent }),
        message: verdict.described,
      },
    })
  }

  async #send(connector: Connector, obligation: ClaimedObligation): Promise<LegOutcome> {
    const token = obligation.transaction.card?.token
    if (token === undefined) return { kind: 'notSent', reason: 'malformed' }
    let pan: string
    try {
      pan = await this.#ports.hsm.detokenise(token)
    } catch (error) {
      if (!(error instanceof HsmError)) throw error
      return { kind: 'notSent', reason: 'hsm' }
    }
    const leg = owedLeg(obligation, connector.rules, pan)
    const prepared = await connector.prepare(leg)
    return connector.send(prepared, this.#ports.clock.monotonicMs() + connector.rules.timeoutMs)
  }

  /** The schedule's wait after this many attempts, give or take a fifth, so that what failed together parts. */
  #waitMs(rules: DestinationRules, attempts: number): number {
    const wait = rules.retryAfterMs[Math.min(attempts, rules.retryAfterMs.length) - 1] ?? 60_000
    return Math.round(wait * (0.8 + 0.4 * this.#ports.random.fraction()))
  }
}

const nameOf = {
  reversal: 'a reversal',
  advice: 'an advice',
  reconciliation: 'a reconciliation',
} as const

/** What is stored has a reserve in the destination's window, so that live traffic can't crowd it out. */
function canDeliver(connector: Connector): boolean {
  const availability = connector.availability()
  return availability === 'available' || availability === 'congested'
}

type Verdict =
  | { readonly kind: 'retry'; readonly cause: string }
  | { readonly kind: 'acknowledged' | 'parked'; readonly responseCode: string; readonly described: string }

/** What the destination's word on what it is owed means (S5). */
function verdictOf(outcome: LegOutcome, rules: DestinationRules): Verdict {
  if (outcome.kind !== 'answered') return { kind: 'retry', cause: outcome.reason }
  const { responseCode, described } = outcome.answer
  if (rules.reversalAnswers.retry.includes(responseCode)) return { kind: 'retry', cause: responseCode }
  const kind = rules.reversalAnswers.acknowledged.includes(responseCode) ? 'acknowledged' : 'parked'
  return { kind, responseCode, described }
}
