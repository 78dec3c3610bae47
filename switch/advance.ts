import assert from 'node:assert'
import type { HoldRules, LegAnswer, LegIdentity } from '../connectors/connector.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import { switchItself } from './business-days.ts'
import { Dispatch, type DispatchPorts } from './dispatch.ts'
import { type Journal, JournalUnavailable } from './journal.ts'
import { type Asked, type Live, type LiveRequests, type Stored, storedOf, tell } from './live.ts'
import type { KeyedLocks } from './locks.ts'
import type { Observer } from './observer.ts'
import { type Outcome, readCode, type Reading, toldOf } from './results.ts'
import { readingOf, type Rules } from './rules/rules.ts'
import type {
  Effect,
  Instead,
  LegEnd,
  Profile,
  Step,
  TransactionEvent,
  StandIn,
} from './transaction/events.ts'
import { isHeld, kinds } from './transaction/kinds.ts'
import { datedAccountsOf, holdOf } from './transaction/accounts.ts'
import { step } from './transaction/step.ts'
import type { Answer, CardRequest, Leg, Transaction } from './transaction/transaction.ts'

export interface AdvancePorts extends DispatchPorts {
  readonly node: string
  readonly journal: Journal
  readonly observer: Observer
  /** False: what is new is refused, so that what was begun can be ended and undone. Left out: never. */
  readonly takesNew?: () => boolean
  /** Called when an obligation of the destination became due. */
  readonly wake: (destination: string) => void
  /** Those in force now, for what nobody waits for; a request that is being served has its own. */
  readonly rules: { readonly current: Rules }
}

/** What became of an event of a transaction. */
export type Advanced =
  /** Committed and acted on; or decided by somebody else; or left to the sweeper. */
  | { readonly kind: 'done' }
  /** The key of a new transaction, or of a source's reversal, is there already. */
  | { readonly kind: 'exists' }
  /** Nobody knows whether commit 1 of a request happened. */
  | { readonly kind: 'unknown'; readonly result: Step }
  /** A request that could not be recorded: nothing was tried, or nothing of it was taken. */
  | { readonly kind: 'unrecorded' }

/** Deliveries are recorded this often: longer intervals make bursts, and the commits of payments wait behind them. */
const evidenceMs = 25
/** How long a late answer is still matched to its transaction in memory. */
const lateMs = 15 * 60_000

/** Moves transactions on: steps, commits, and only then acts, until the leg has ended and its answer is delivered. */
export class Advance {
  readonly dispatch: Dispatch
  readonly #ports: AdvancePorts
  readonly #locks: KeyedLocks
  readonly #live: LiveRequests
  readonly #lostLegs = new Map<string, { readonly sourceKey: string; readonly id: string }>()

  constructor(ports: AdvancePorts, locks: KeyedLocks, live: LiveRequests) {
    this.#ports = ports
    this.#locks = locks
    this.#live = live
    const { observer } = ports
    const onDemoted = (destination: string): void =>
      observer.alarm('a destination answers too little and comes last in its routes', destination)
    this.dispatch = new Dispatch({ ...ports, onDemoted })
    for (const connector of ports.connectors.values()) {
      connector.onLate((identity, answer) => void this.#late(connector.name, identity, answer))
    }
  }

  /** A transaction that nobody waits for here: from the journal, or to be there. */
  stored(transaction: Transaction | undefined, event: TransactionEvent, asked?: Asked): Promise<Advanced> {
    return this.advance(storedOf(transaction), event, asked)
  }

  /** Steps, commits, and acts on what was committed. Runs under the transaction's lock. */
  async advance(live: Live | Stored, first: TransactionEvent, asked?: Asked): Promise<Advanced> {
    let event = first
    for (let attempt = 1; attempt <= 10; attempt++) {
      event = await this.#withHold(live.transaction, event)
      const result = step(live.transaction, event, this.#profileOf(live, event))
      // Of a date that an answer named, or that began since: whose accounts nobody may have needed yet.
      const accounts = datedAccountsOf(result.unit.commands)
      if (accounts.length > 0 && !(await this.dispatch.ensureOpen(accounts))) throw new JournalUnavailable()
      const committing = this.#ports.journal.commit(result.unit)
      this.#workAhead(live, result.effects)
      const outcome = await committing
      if (outcome.kind === 'committed') {
        live.transaction = result.transaction
        this.#ports.observer.moved(result.transaction, event)
        this.act(live, result.effects, asked)
        return done
      }
      if (outcome.kind === 'unknown') {
        this.#ports.observer.commitUnknown(event.kind)
        if (event.kind === 'request') return { kind: 'unknown', result }
        return this.#leave(live)
      }
      // Entries that are refused again and again, wherever they go, are refused.
      const isClosed = outcome.reason === 'closed' && attempt < 5 && (await this.#isDateClosed(result))
      const reason = outcome.reason === 'closed' && !isClosed ? 'books' : outcome.reason
      switch (reason) {
        case 'exists':
          return { kind: 'exists' }
        case 'moved': {
          live.transaction = await this.#ports.journal.transactionById(result.transaction.id)
          assert(live.transaction !== undefined)
          break
        }
        case 'closed':
          // Stepped again, its entries go to the adjustments of the date.
          break
        case 'overRefund': {
          // It was less when it was looked at: two refunds at once, or its parent was undone.
          assert(event.kind === 'request')
          const responseCode = toldOf(live.inbound?.source.told, 'invalidAmount')
          const verdict = { kind: 'refuse', responseCode, cause: 'more than was taken' } as const
          event = { ...event, verdict }
          break
        }
        case 'late':
        case 'exposure':
        case 'books': {
          // What is set aside was another when it was looked at: look again.
          if ('hold' in event && event.hold !== undefined && attempt < 5) break
          const refused = this.#refusedOutcome(event, reason)
          if (refused === undefined) return this.#refusedByBooks(live, event, asked)
          event = refused
          break
        }
        case 'fenced':
          return done
        case 'ousted':
          // Whoever has our place answers for all of this now.
          return this.#leave(live)
        case 'overloaded':
          if (event.kind === 'request') return { kind: 'unrecorded' }
          await sleep(this.#ports.clock, 50 * attempt)
          break
      }
    }
    this.#ports.observer.alarm('a transaction could not be moved on', live.transaction?.id ?? '')
    return this.#leave(live)
  }

  /** What the books have set aside now, beside an event that must know: of what it knew before it may be too late. */
  async #withHold(transaction: Transaction | undefined, event: TransactionEvent): Promise<TransactionEvent> {
    const asks =
      event.kind === 'cancel' ||
      event.kind === 'complete' ||
      (event.kind === 'delivery' && event.outcome === 'failed')
    if (!asks) return event
    const isOfHold = transaction?.request !== undefined && isHeld(transaction.request.kind)
    // Of what was completed in parts the rest may have come to its time, which a completion must know.
    const states = event.kind === 'complete' ? ['approved', 'completed'] : ['approved']
    const hold =
      isOfHold && states.includes(transaction.state)
        ? await this.#ports.journal.holdOf(holdOf(transaction))
        : undefined
    return { ...event, hold }
  }

  /** Acts on what was committed. */
  act(live: Live | Stored, effects: readonly Effect[], asked?: Asked): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          assert(live.inbound !== undefined)
          void this.#send(live, effect.leg)
          break
        case 'answer':
          live.answered = true
          if (live.inbound !== undefined) void this.#deliver(live, effect.answer)
          break
        case 'answerReversal':
          if (asked !== undefined) void tell([asked.waiter], effect.answer)
          break
        case 'wake':
          this.#ports.wake(effect.destination)
          break
      }
    }
    if (isOver(live.transaction)) this.#live.forget(live)
  }

  /** When the journal can't even be read, nobody knows and nobody is told; peers repeat, the sweeper finds the rest. */
  async unlessJournalIsAway(work: () => Promise<unknown>, live?: Live): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
      this.#ports.observer.commitUnknown('read')
      if (live !== undefined) this.#live.forget(live)
    }
  }

  now(): { readonly at: number; readonly node: string } {
    return { at: this.#ports.clock.wallMs(), node: this.#ports.node }
  }

  /** While a commit is on its way: the part of the work behind it that lets nothing out. */
  #workAhead(live: Live | Stored, effects: readonly Effect[]): void {
    // A repeat is most often of something that is long done, and its PIN was looked at then.
    if (live.inbound === undefined || live.inbound.repeat) return
    for (const effect of effects) {
      if (effect.kind === 'answer') for (const waiter of live.waiters) waiter.prepare?.(effect.answer)
      if (effect.kind !== 'send') continue
      const prepared = this.dispatch.prepare(live.inbound, effect.leg)
      // If the commit fails nobody asks for it again.
      prepared.catch(() => undefined)
      live.ahead = { legId: effect.leg.id, prepared }
    }
  }

  /**
   * An approval that came too late, or that the books would not have, is an event of its own. The acknowledgement of what is
   * owed waits for people instead: tried again and again, it would be told for ever.
   */
  #refusedOutcome(
    event: TransactionEvent,
    reason: 'late' | 'exposure' | 'books',
  ): TransactionEvent | undefined {
    if (event.kind === 'obligationAnswered' && event.isRefusedByBooks !== true) {
      const subject = event.obligationId
      this.#ports.observer.alarm(
        'the books refuse the entries of what was acknowledged: it is parked',
        subject,
      )
      const detail = { ...event.detail, verdict: 'refusedByBooks' }
      return { ...event, detail, isRefusedByBooks: true }
    }
    if (event.kind !== 'legEnded') return undefined
    if (event.instead !== undefined) {
      // We may not approve in the issuer's place: then it is as if nobody had offered to.
      const { instead: _refused, ...rest } = event
      return rest
    }
    if (event.outcome.kind !== 'answered' || reason === 'exposure') return undefined
    return { kind: 'notCommitted', reason, outcome: event.outcome, ...this.now() }
  }

  /**
   * A fault of ours, which must not cost an answer its truth. Whoever reverses or completes hears that nothing was done, and
   * asks again.
   */
  #refusedByBooks(live: Live | Stored, event: TransactionEvent, asked: Asked | undefined): Advanced {
    const subject = live.transaction?.id ?? ''
    this.#ports.observer.alarm('a commit was refused by the books', subject)
    if (asked !== undefined)
      void tell([asked.waiter], { responseCode: toldOf(this.#profileOf(live, event).told, 'system') })
    return event.kind === 'request' ? { kind: 'unrecorded' } : this.#leave(live)
  }

  /** Whether the entries were refused because their business date was closed meanwhile. */
  async #isDateClosed({ transaction, unit }: Step): Promise<boolean> {
    const dated = datedAccountsOf(unit.commands).flatMap(({ path }) => {
      const [kind, , date] = path.split(':')
      return kind === 'net' || kind === 'adjustment' ? [date] : []
    })
    const date = dated[0] ?? transaction.businessDate
    return transaction.leg !== undefined && this.#ports.days.isClosed(transaction.leg.destination, date)
  }

  #leave(live: Live | Stored): Advanced {
    this.#live.forget(live)
    return done
  }

  /** From commit 1 to the end of the leg. */
  async #send(live: Live, leg: Leg): Promise<void> {
    const { clock } = this.#ports
    const startedAt = clock.monotonicMs()
    const { ahead, inbound } = live
    const prepared = await (ahead?.legId === leg.id ? ahead.prepared : this.dispatch.prepare(inbound, leg))
    const outcome = await this.dispatch.send(inbound, leg, prepared)
    const legMs = Math.round(clock.monotonicMs() - startedAt)
    if (outcome.kind === 'maybeSent') this.#expectLate(live, leg)
    this.dispatch.heard(inbound, leg, outcome)
    this.#heed(live, leg, outcome)
    const instead = await this.#insteadOf(live, leg, outcome)
    await this.#locked(live, () => {
      const detail = { legMs, ...messagesOf(outcome) }
      const event = { kind: 'legEnded', outcome, ...this.now(), detail } as const
      return this.advance(live, instead === undefined ? event : { ...event, instead })
    })
  }

  /** A code that nobody has a meaning for is a decline, and people hear of it (§4.12). */
  #heed({ inbound }: Live, { destination }: Leg, outcome: LegEnd): void {
    const terms = inbound.rules.destinations.get(destination)
    if (outcome.kind !== 'answered' || terms === undefined) return
    const { responseCode } = outcome.answer
    const { strange } = readCode(readingOf(terms), responseCode, kinds[inbound.request.kind].approvals)
    if (strange !== undefined)
      this.#ports.observer.alarm(
        'an answer with a code that its rules do not have',
        `${destination} ${responseCode}`,
      )
  }

  /** Another way, where there is one; else we may stand in for the issuer. */
  async #insteadOf(live: Live, leg: Leg, outcome: LegEnd): Promise<Instead | StandIn | undefined> {
    const forward = await this.#forwardOf(live, leg, outcome)
    return forward ?? this.dispatch.instead(live.inbound, live.card, leg, outcome)
  }

  /** Only what did not leave may go another way; what the HSM or our own message is at fault for would fail there too. */
  async #forwardOf(live: Live, leg: Leg, outcome: LegEnd): Promise<Instead | undefined> {
    if (outcome.kind !== 'notSent' || ['hsm', 'pinBlock', 'malformed'].includes(outcome.reason))
      return undefined
    live.tried.push(leg.destination)
    const way = await this.dispatch.another(live.inbound, live.card, live.tried)
    return way === undefined ? undefined : { kind: 'forward', ...way }
  }

  async #deliver(live: Live, answer: Answer): Promise<void> {
    const { clock, observer } = this.#ports
    if (await tell(live.waiters, answer)) live.heard = true
    // Evidence is kept for approvals: a decline that didn't arrive changes nothing.
    const transaction = live.transaction
    assert(transaction !== undefined)
    observer.answered(transaction, clock.monotonicMs() - live.inbound.receivedMonotonicMs)
    if (transaction.state === 'approved') {
      // Evidence can wait for company: what is delivered within an interval is recorded in one commit.
      if (live.heard) await untilNext(evidenceMs, clock)
      await this.#locked(live, async () => {
        if (live.transaction?.state !== 'approved') return
        const outcome = live.heard ? 'delivered' : 'failed'
        await this.advance(live, { kind: 'delivery', outcome, ...this.now() })
      })
    }
    if (live.transaction?.state !== 'reversing') this.#live.forget(live)
  }

  #locked(live: Live, work: () => Promise<unknown>): Promise<void> {
    return this.#locks.run(live.inbound.sourceKey, () => this.unlessJournalIsAway(work, live))
  }

  #expectLate(live: Live, leg: Leg): void {
    const transaction = live.transaction
    assert(transaction !== undefined)
    const name = legName(leg.destination, leg)
    this.#lostLegs.set(name, { sourceKey: transaction.sourceKey, id: transaction.id })
    this.#ports.clock.after(lateMs, () => this.#lostLegs.delete(name))
  }

  /** An answer after its leg was given up: recorded, never posted, never forwarded (LR1). */
  async #late(destination: string, identity: LegIdentity, answer: LegAnswer): Promise<void> {
    const lost = this.#lostLegs.get(legName(destination, identity))
    this.#ports.observer.late(destination, lost === undefined ? 'unmatched' : 'matched')
    if (lost === undefined) return
    await this.#locks.run(lost.sourceKey, () =>
      this.unlessJournalIsAway(async () => {
        const stored =
          this.#live.get(lost.sourceKey)?.transaction ?? (await this.#ports.journal.transactionById(lost.id))
        if (stored === undefined || stored.state === 'intent') return
        const detail = { message: answer.described, responseCode: answer.responseCode }
        await this.stored(stored, { kind: 'late', answer, detail, ...this.now() })
      }),
    )
  }

  #profileOf({ transaction, inbound }: Live | Stored, event: TransactionEvent): Profile {
    const leg = transaction?.leg ?? legOfNew(event)
    const rules = inbound?.rules ?? this.#ports.rules.current
    const source = inbound?.source ?? rules.sources.get(transaction?.source ?? '')
    const terms = leg === undefined ? undefined : rules.destinations.get(leg.destination)
    const { holds } = terms?.rules ?? {}
    const tell = (outcome: Outcome | 'timeout'): string => toldOf(source?.told, outcome)
    return {
      ...(terms === undefined ? readsNothing : readingOf(terms)),
      told: source?.told,
      timeoutResponseCode: tell('timeout'),
      overtakenResponseCode: tell('invalidTransaction'),
      cancelledResponseCode: tell('customerCancel'),
      unknownOriginalResponseCode: tell('notFound'),
      nothingToReverseResponseCode: tell('noAction'),
      takesPartialApprovals: inbound?.source.takesPartialApprovals ?? false,
      tolerancePercent: holds?.tolerancePercent?.[transaction?.request?.merchantType ?? ''] ?? 0,
      forcedPost: source?.forcedPost ?? 'refuse',
      rateBasis: terms?.rules.rateBasis ?? 'major',
      fees: terms?.rules.fees ?? {},
      holdForMs: holdForMs(holds, transaction?.request),
      days: this.#ports.days.postingDays(leg?.destination ?? switchItself),
    }
  }
}

/** Of what no record has yet. */
function legOfNew(event: TransactionEvent): Leg | undefined {
  if (event.kind === 'completeUnknown') return event.leg
  return event.kind === 'request' && event.verdict.kind === 'forward' ? event.verdict.leg : undefined
}

/** Of what has no destination. */
const readsNothing: Reading = { edition: '1987', approvals: [], partialApprovals: [] }

const holdDefaultMs = 7 * 24 * 3_600_000

/** How long what is set aside stays so: by what the merchant deals in, else by the kind. */
function holdForMs(rules: HoldRules | undefined, request: CardRequest | undefined): number {
  if (rules === undefined || request === undefined) return holdDefaultMs
  const byMerchantType = rules.byMerchantType?.[request.merchantType ?? '']
  if (byMerchantType !== undefined) return byMerchantType
  return request.kind === 'preauthorization' ? rules.preauthorizationMs : rules.authorizationMs
}

const done: Advanced = { kind: 'done' }

/** What was said on the leg, masked. */
function messagesOf(outcome: LegEnd): Readonly<Record<string, string>> {
  switch (outcome.kind) {
    case 'notSent':
      return {}
    case 'maybeSent':
      return { sent: outcome.sent }
    case 'answered':
      return { sent: outcome.sent, message: outcome.answer.described }
  }
}

function isOver(transaction: Transaction | undefined): boolean {
  return transaction?.state === 'reversed' || transaction?.state === 'unknown'
}

function untilNext(intervalMs: number, clock: Clock): Promise<void> {
  return sleep(clock, intervalMs - (clock.monotonicMs() % intervalMs))
}

function legName(destination: string, identity: LegIdentity): string {
  return `${destination}|${identity.transmittedAt}|${identity.stan}`
}
