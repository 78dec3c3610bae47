import {
  type Connector,
  type DestinationRules,
  type LegAnswer,
  type LegOutcome,
  spoiledMax,
  type StoredRules,
} from '../connectors/connector.ts'
import { type Hsm, HsmError } from '../hsm/hsm.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import {
  type Claimed,
  type Journal,
  JournalUnavailable,
  type Named,
  type NamedObligation,
  type NamedReconciliation,
} from './journal.ts'
import { storedRulesOf } from './lanes.ts'
import type { Observer } from './observer.ts'
import { owedLeg } from './outbound.ts'
import { balanceOf } from './reconciliation.ts'
import { hadItAlready } from './results.ts'
import { Pace } from './pace.ts'
import type { Shell } from './shell.ts'
import type { ObligationKind } from './transaction/transaction.ts'
import { noWakeups, type Wakeups } from './wakeups.ts'

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
  /** Left out: the sweeper alone. */
  readonly wakeups?: Wakeups
}

/** Longer than any wait for an answer: a lease that ends earlier would deliver twice at once. */
const leaseMarginMs = 10_000

export class Deliveries {
  readonly #ports: DeliveryPorts
  readonly #lines = new Map<string, Line>()
  #stopped = false

  constructor(ports: DeliveryPorts) {
    this.#ports = ports
    ports.wakeups?.onWake((destination) => this.wake(destination))
    for (const connector of ports.connectors.values()) {
      const rules = storedRulesOf(connector.rules)
      const pace = new Pace(ports.clock, rules.perSecondMax)
      const line = { connector, rules, pace, underWay: 0, busy: false, again: false, resting: false }
      this.#lines.set(connector.name, line)
      connector.onAvailable(() => this.#wake(line))
    }
  }

  /** Something became due, or the destination can be reached again. Returns at once. */
  wake(destination: string): void {
    const line = this.#lines.get(destination)
    if (line !== undefined) this.#wake(line)
  }

  sweep(): void {
    for (const line of this.#lines.values()) this.#wake(line)
  }

  /** Tells people of what has waited for too long. */
  async tellOverdue(): Promise<void> {
    const { journal, observer } = this.#ports
    for (const { destination, age, count } of await journal.overdue())
      observer.alarm(`owed for more than ${age}`, `${count} to ${destination}`)
  }

  stop(): void {
    this.#stopped = true
  }

  #wake(line: Line): void {
    if (this.#stopped) return
    if (line.busy) return void (line.again = true)
    line.busy = true
    void this.#run(line).finally(() => {
      line.busy = false
      if (!line.again) return
      line.again = false
      this.#wake(line)
    })
  }

  /** Takes what may go now and lets it go. Each end of a delivery wakes the line: its lane is free again. */
  async #run(line: Line): Promise<void> {
    const { connector, pace, rules } = line
    const limit = Math.min(rules.lanes - line.underWay, pace.room)
    if (limit <= 0) return this.#rest(line)
    if (!canDeliver(connector)) return
    await this.#unlessJournalIsAway(async () => {
      const { lanes, order } = rules
      const leaseMs = connector.rules.timeoutMs + leaseMarginMs
      const claimed = await this.#ports.journal.claim({
        destination: connector.name,
        lanes,
        order,
        limit,
        leaseMs,
      })
      pace.spend(claimed.length)
      for (const obligation of await this.#named(connector, claimed)) this.#start(line, obligation)
    })
  }

  /** No more for now: what goes on by itself when there is room again. */
  #rest(line: Line): void {
    if (line.underWay >= line.rules.lanes || line.resting) return
    line.resting = true
    this.#ports.clock.after(line.pace.waitMs, () => {
      line.resting = false
      this.#wake(line)
    })
  }

  /** Its numbers are kept before anything leaves: after a crash it goes out again under the same. */
  async #named(connector: Connector, claimed: readonly Claimed[]): Promise<Named[]> {
    const named: Named[] = []
    const fresh: Named[] = []
    for (const obligation of claimed) {
      if (obligation.identity !== undefined) {
        named.push({ ...obligation, identity: obligation.identity })
        continue
      }
      const identity = connector.identify()
      if (identity === undefined) await this.#postpone(connector, obligation, unsent('noStan'))
      else fresh.push({ ...obligation, identity })
    }
    if (fresh.length === 0) return named
    // Who stood still until the lease was over may not send it under a second number: to its network it would be another.
    const kept = await this.#ports.journal.name(fresh)
    return [...named, ...fresh.filter(({ id }) => kept.has(id))]
  }

  #start(line: Line, obligation: Named): void {
    line.underWay++
    void this.#unlessJournalIsAway(() => this.#deliver(line, obligation)).finally(() => {
      line.underWay--
      this.#wake(line)
    })
  }

  /** When the journal is away the sweeper comes again, and the lease ends. */
  async #unlessJournalIsAway(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
    }
  }

  async #deliver({ connector, rules }: Line, obligation: Named): Promise<void> {
    const { observer, shell } = this.#ports
    observer.reversal(connector.name, obligation.cause, 'sent')
    const outcome = await this.#send(connector, obligation)
    const { attempts, refusals } = obligation
    const patience = { attempts, refusals: refusals + 1, refusalsMax: rules.refusalsMax }
    if (obligation.kind === 'reconciliation')
      return this.#reconciled(connector, obligation, { outcome, patience })
    const verdict = verdictOf(obligation.kind, outcome, { rules: connector.rules, patience })
    observer.reversal(connector.name, obligation.cause, verdict.kind)
    if (verdict.kind === 'retry') return this.#postpone(connector, obligation, verdict)
    if (verdict.kind === 'parked')
      observer.alarm(`${nameOf[obligation.kind]} was refused and parked`, obligation.id)
    await shell.obligationAnswered(obligation.transaction, {
      kind: 'obligationAnswered',
      owed: obligation.kind,
      verdict: verdict.kind,
      obligationId: obligation.id,
      fence: obligation.fence,
      responseCode: verdict.responseCode,
      ...settlementOf(obligation.kind, outcome),
      detail: {
        verdict: verdict.kind,
        attempts: obligation.attempts,
        stan: obligation.identity.stan,
        responseCode: verdict.responseCode,
        ...(outcome.kind === 'notSent' ? {} : { sent: outcome.sent }),
        message: verdict.described,
      },
    })
  }

  /** Whether our totals and the network's agree is for people: no entry is made up for it (C2). */
  async #reconciled(
    connector: Connector,
    claimed: NamedReconciliation,
    { outcome, patience }: { readonly outcome: LegOutcome; readonly patience: Patience },
  ): Promise<void> {
    const { journal, observer } = this.#ports
    const verdict = verdictOf('reconciliation', outcome, { rules: connector.rules, patience })
    observer.reversal(connector.name, 'reconciliation', verdict.kind)
    if (verdict.kind === 'retry' || outcome.kind !== 'answered')
      return this.#postpone(connector, claimed, verdict.kind === 'retry' ? verdict : unsent('unanswered'))
    const { described, responseCode } = outcome.answer
    const balance = balanceOf(outcome.answer)
    const isKept = await journal.reconciled(claimed, { balance, described, responseCode })
    if (!isKept || balance === 'in') return
    const { currency, date } = claimed.reconciliation
    observer.alarm('totals of a business date do not agree', `${connector.name} ${date} ${currency}`)
  }

  async #send(connector: Connector, obligation: Named): Promise<LegOutcome> {
    const pan = obligation.kind === 'reconciliation' ? '' : await this.#panOf(obligation)
    if (typeof pan !== 'string') return pan
    const leg = owedLeg(obligation, connector.rules, pan)
    const prepared = await connector.prepare(leg)
    return connector.send(prepared, this.#ports.clock.monotonicMs() + connector.rules.timeoutMs)
  }

  async #panOf(obligation: NamedObligation): Promise<string | LegOutcome> {
    const token = obligation.transaction.card?.token
    if (token === undefined) return { kind: 'notSent', reason: 'malformed' }
    try {
      return await this.#ports.hsm.detokenise(token)
    } catch (error) {
      if (!(error instanceof HsmError)) throw error
      return { kind: 'notSent', reason: 'hsm' }
    }
  }

  async #postpone(connector: Connector, obligation: Claimed, { outcome, cause }: Retry): Promise<void> {
    const delayMs = this.#waitMs(connector.rules, outcome === 'unsent' ? 1 : obligation.attempts)
    const { journal, wakeups = noWakeups } = this.#ports
    await journal.postpone(obligation, { delayMs, cause, kind: outcome })
    wakeups.wake({ destination: connector.name, obligationId: obligation.id }, delayMs)
  }

  /** The schedule's wait after this many attempts, give or take a fifth, so that what failed together parts. */
  #waitMs(rules: DestinationRules, attempts: number): number {
    const wait = rules.retryAfterMs[Math.min(attempts, rules.retryAfterMs.length) - 1] ?? 60_000
    return Math.round(wait * (0.8 + 0.4 * this.#ports.random.fraction()))
  }
}

/** An undoing is settled as what it undoes was. */
function settlementOf(owed: ObligationKind, outcome: LegOutcome): Pick<LegAnswer, 'settlement'> {
  if (owed !== 'advice' || outcome.kind !== 'answered') return {}
  const { settlement } = outcome.answer
  return settlement === undefined ? {} : { settlement }
}

const nameOf = { reversal: 'a reversal', advice: 'an advice' } as const

/** What is stored has a reserve in the destination's window, so that live traffic can't crowd it out. */
function canDeliver(connector: Connector): boolean {
  const availability = connector.availability()
  return availability === 'available' || availability === 'congested'
}

type Verdict =
  | Retry
  | { readonly kind: 'acknowledged' | 'parked'; readonly responseCode: string; readonly described: string }

interface Retry {
  readonly kind: 'retry'
  readonly outcome: 'unsent' | 'silent' | 'refused'
  readonly cause: string
}

function unsent(cause: string): Retry {
  return { kind: 'retry', outcome: 'unsent', cause }
}

interface Patience {
  /** With this one, which may have come. */
  readonly attempts: number
  /** With this one, should it be one. */
  readonly refusals: number
  readonly refusalsMax: number
}

/** What the destination's word on what it is owed means (S5). Silence is never the end of it. */
function verdictOf(
  owed: ObligationKind,
  outcome: LegOutcome,
  {
    patience: { attempts, refusals, refusalsMax },
    rules: { approvals, reversalAnswers },
  }: { readonly rules: DestinationRules; readonly patience: Patience },
): Verdict {
  if (outcome.kind === 'notSent') return unsent(outcome.reason)
  if (outcome.kind === 'maybeSent') return { kind: 'retry', outcome: 'silent', cause: outcome.reason }
  const { responseCode, described } = outcome.answer
  const { acknowledged, retry, spoiled = [] } = reversalAnswers
  const isAskedAgain =
    (retry.includes(responseCode) && refusals < refusalsMax) ||
    (spoiled.includes(responseCode) && refusals < Math.min(spoiledMax, refusalsMax))
  if (isAskedAgain) return { kind: 'retry', outcome: 'refused', cause: responseCode }
  // Nothing done, or not found, ends an undoing; of what happened it says that the network doesn't have it.
  const isEnd =
    acknowledged.includes(responseCode) &&
    // Of what it hears for the first time it can't have had a copy: its duplicate is of something else, and this may be lost.
    (attempts > 1 || !hadItAlready.includes(responseCode)) &&
    (owed !== 'advice' || approvals.includes(responseCode) || hadItAlready.includes(responseCode))
  return { kind: isEnd ? 'acknowledged' : 'parked', responseCode, described }
}

/** The way to one destination. */
interface Line {
  readonly connector: Connector
  readonly rules: StoredRules
  readonly pace: Pace
  underWay: number
  busy: boolean
  again: boolean
  /** It is woken when there is room. */
  resting: boolean
}
