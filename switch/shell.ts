import assert from 'node:assert'
import type { LegAnswer, LegIdentity } from '../connectors/connector.ts'
import { sleep } from '../kernel/clock.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { CardOnFile } from './admission.ts'
import type { InboundPurchase, InboundReversal } from './arrivals.ts'
import { businessDateOf } from './business-date.ts'
import { Dispatch, type DispatchPorts, type Prepared } from './dispatch.ts'
import { type Journal, JournalUnavailable } from './journal.ts'
import { KeyedLocks } from './locks.ts'
import type { Observer } from './observer.ts'
import {
  type Effect,
  type LegEnd,
  type Profile,
  type ReversalRequest,
  type Step,
  step,
  type TransactionEvent,
} from './transaction/step.ts'
import type { Answer, Leg, StoredCard, Transaction } from './transaction/transaction.ts'

/**
 * The shell around the pure step: it locks, steps, commits, and only then acts. It waits for ports and knows no time
 * and no chance but theirs, so that the simulation runs this very code.
 */
export interface ShellPorts extends DispatchPorts {
  readonly node: string
  readonly journal: Journal
  readonly observer: Observer
  /** Called when an obligation of the destination became due. */
  readonly wake: (destination: string) => void
}

/** Hands an answer to the one who asked; says what became of it. */
export interface Waiter {
  (answer: Answer): Promise<'written' | 'notSent' | 'failed'>
  /** Makes ready what it will probably be called with. Tells nobody. */
  prepare?(answer: Answer): void
}

/** A request being served by this node: its record, who waits, and the card data that is nowhere else. */
interface Live {
  transaction: Transaction | undefined
  readonly waiters: Waiter[]
  readonly purchase: InboundPurchase
  readonly card: StoredCard
  /** Its answer is decided. */
  answered: boolean
  /** Somebody was given the answer. */
  heard: boolean
  /** The message of its leg, made while commit 1 was on its way. */
  ahead?: { readonly legId: string; readonly prepared: Promise<Prepared> }
}

/** Deliveries are recorded this often: longer intervals make bursts, and the commits of payments wait behind them. */
const evidenceMs = 25
/** What recovery would also say of a commit 1 that shows up after all: a request hears one answer only. */
const unrecordedResponseCode = '91'
/** How long a late answer is still matched to its transaction in memory. */
const lateMs = 15 * 60_000

export class Shell {
  readonly #ports: ShellPorts
  readonly #dispatch: Dispatch
  readonly #locks = new KeyedLocks()
  readonly #live = new Map<string, Live>()
  /** Refusals that could not be recorded: nothing was sent, and a repeat must hear the same. */
  readonly #remembered = new Map<string, Answer>()
  readonly #lostLegs = new Map<string, { readonly sourceKey: string; readonly id: string }>()

  constructor(ports: ShellPorts) {
    this.#ports = ports
    this.#dispatch = new Dispatch(ports)
    for (const connector of ports.connectors.values()) {
      connector.onLate((identity, answer) => void this.#late(connector.name, identity, answer))
    }
  }

  /** How many requests are being served. */
  get inFlight(): number {
    return this.#live.size
  }

  isLive(sourceKey: string): boolean {
    return this.#live.has(sourceKey)
  }

  /** A purchase, or a repeat of one. The waiter is called at most once, and never when silence is the answer. */
  async purchase(purchase: InboundPurchase, file: CardOnFile, waiter: Waiter): Promise<void> {
    await this.#locks.run(purchase.sourceKey, () =>
      this.#unlessJournalIsAway(async () => {
        const remembered = this.#remembered.get(purchase.sourceKey)
        if (remembered !== undefined) return void this.#tell([waiter], remembered)
        const live = this.#live.get(purchase.sourceKey)
        if (live !== undefined) return this.#again(live, purchase, file.card, waiter)
        if (!this.#ports.journal.available) return this.#shed({ purchase, waiters: [waiter] })
        await this.#begin(purchase, file, waiter)
      }),
    )
  }

  /** A source's reversal, or a repeat of one. */
  async reversal(reversal: InboundReversal, waiter: Waiter): Promise<void> {
    await this.#locks.run(reversal.originalKey, () =>
      this.#unlessJournalIsAway(async () => {
        const stored = await this.#ports.journal.sourceReversal(reversal.sourceKey)
        if (stored !== undefined) {
          const same = stored.fingerprint === reversal.fingerprint
          this.#ports.observer.duplicate(same ? 'replayed' : 'mismatch')
          return void this.#tell([waiter], same ? stored.answer : { responseCode: '94' })
        }
        await this.#cancel(reversal, waiter)
      }),
    )
  }

  /** Takes up a transaction whose outcome nobody will bring: an earlier life of this node, or another node's. */
  async recover(transaction: Transaction): Promise<void> {
    await this.#locks.run(transaction.sourceKey, async () => {
      if (this.#live.has(transaction.sourceKey)) return
      await this.#unlessJournalIsAway(() =>
        this.#advanceStored(transaction, { kind: 'recovered', ...this.#now() }),
      )
    })
  }

  /** Notes that nobody knows whether the approval reached its source. */
  async unproven(transaction: Transaction): Promise<void> {
    await this.#locks.run(transaction.sourceKey, async () => {
      const event = { kind: 'delivery', outcome: 'unproven', ...this.#now() } as const
      await this.#unlessJournalIsAway(() => this.#advanceStored(transaction, event))
    })
  }

  /** Records what a destination said to a reversal. */
  async reversalAnswered(
    transaction: Transaction,
    event: Omit<TransactionEvent & { kind: 'reversalAnswered' }, 'at' | 'node'>,
  ): Promise<void> {
    await this.#locks.run(transaction.sourceKey, () =>
      this.#unlessJournalIsAway(async () => {
        const fresh = this.#live.get(transaction.sourceKey)?.transaction ?? transaction
        await this.#advanceStored(fresh, { ...event, ...this.#now() })
      }),
    )
  }

  async #begin(purchase: InboundPurchase, file: CardOnFile, waiter: Waiter): Promise<void> {
    const { clock, node, random } = this.#ports
    const { card } = file
    const businessDate = businessDateOf(clock.wallMs())
    const verdict = await this.#dispatch.verdict(purchase, file, businessDate)
    const live: Live = {
      transaction: undefined,
      waiters: [waiter],
      purchase,
      card,
      answered: false,
      heard: false,
    }
    this.#live.set(purchase.sourceKey, live)
    await this.#advance(live, {
      kind: 'request',
      at: clock.wallMs(),
      node,
      arrival: {
        id: uuidv7(clock, random),
        source: purchase.source.name,
        sourceKey: purchase.sourceKey,
        fingerprint: purchase.fingerprint,
        businessDate,
        approvableForMs: this.#dispatch.answerableForMs(purchase),
      },
      card,
      request: purchase.request,
      verdict,
      detail: { message: purchase.described },
    })
  }

  /** The same request once more while the first is being served (U2), or other data under its key (U4). */
  async #again(live: Live, purchase: InboundPurchase, card: StoredCard, waiter: Waiter): Promise<void> {
    if (live.purchase.fingerprint !== purchase.fingerprint || !sameToken(live.card, card)) {
      this.#ports.observer.duplicate('mismatch')
      return void this.#tell([waiter], { responseCode: '94' })
    }
    this.#ports.observer.duplicate('attached')
    const answer = live.transaction?.answer
    if (!live.answered || answer === undefined) return void live.waiters.push(waiter)
    // Under the lock, so that this delivery and the first one's failure are judged together.
    if (await this.#tell([waiter], answer)) live.heard = true
  }

  /** The key was there already: a repeat of something finished, other data, or a reversal that came first. */
  async #repeat(live: Live): Promise<void> {
    const { purchase } = live
    this.#forget(live)
    const stored = await this.#ports.journal.transactionByKey(purchase.sourceKey)
    assert(stored !== undefined)
    const same =
      stored.fingerprint === '' ||
      (stored.fingerprint === purchase.fingerprint &&
        stored.card !== undefined &&
        sameToken(stored.card, live.card))
    if (!same) {
      this.#ports.observer.duplicate('mismatch')
      return void this.#tell(live.waiters, { responseCode: '94' })
    }
    if (stored.state === 'tombstone' && stored.answer === undefined) {
      this.#ports.observer.duplicate('overtaken')
      return this.#advance({ ...live, transaction: stored }, { kind: 'overtaken', ...this.#now() })
    }
    // Without an answer it is still open somewhere: in another node, or until recovery has seen to it. Silence is
    // safe; the source asks again.
    if (stored.answer === undefined) return
    this.#ports.observer.duplicate('replayed')
    if (stored.state !== 'approved' || stored.delivery !== 'none')
      return void this.#tell(live.waiters, stored.answer)
    // A commit that undoes this approval as undelivered may still be on its way. One of the two is first: the source
    // hears the approval only once the undoing can't happen any more.
    const replayed = { ...live, transaction: stored }
    await this.#advance(replayed, { kind: 'delivery', outcome: 'unproven', ...this.#now() })
    const { transaction } = replayed
    if (transaction.delivery === 'unproven' && transaction.answer !== undefined) {
      void this.#tell(live.waiters, transaction.answer)
    }
  }

  async #cancel(reversal: InboundReversal, waiter: Waiter): Promise<void> {
    const { clock, journal, node, random } = this.#ports
    const live = this.#live.get(reversal.originalKey)
    const original = live?.transaction ?? (await journal.transactionByKey(reversal.originalKey))
    const at = clock.wallMs()
    const detail = { message: reversal.described }
    if (original === undefined) {
      const arrival = {
        id: uuidv7(clock, random),
        source: reversal.source.name,
        sourceKey: reversal.originalKey,
        fingerprint: '',
        businessDate: businessDateOf(at),
        approvableForMs: 0,
      }
      const event = { kind: 'cancelUnknown', arrival, reversal: entryOf(reversal), at, node, detail } as const
      return this.#advanceStored(undefined, event, { reversal, waiter })
    }
    const refusal = mismatchOf(reversal, original)
    if (refusal !== undefined) {
      this.#ports.observer.alarm('a reversal does not fit its original', original.id)
      return void this.#tell([waiter], { responseCode: refusal })
    }
    const event = { kind: 'cancel', reversal: entryOf(reversal), at, node, detail } as const
    if (live !== undefined) return this.#advance(live, event, { reversal, waiter })
    return this.#advanceStored(original, event, { reversal, waiter })
  }

  /** A transaction that nobody waits for here: from the journal. */
  async #advanceStored(
    transaction: Transaction | undefined,
    event: TransactionEvent,
    asked?: Asked,
  ): Promise<void> {
    const live = { transaction, waiters: [], purchase: undefined, answered: true }
    await this.#advance(live, event, asked)
  }

  /** Steps, commits, and acts on what was committed. Runs under the transaction's lock. */
  async #advance(live: Live | Stored, first: TransactionEvent, asked?: Asked): Promise<void> {
    let event = first
    for (let attempt = 1; attempt <= 10; attempt++) {
      const result = step(live.transaction, event, this.#profileOf(live.transaction, event))
      const committing = this.#ports.journal.commit(result.unit)
      this.#workAhead(live, result.effects)
      const outcome = await committing
      if (outcome.kind === 'committed') {
        live.transaction = result.transaction
        this.#ports.observer.moved(result.transaction, event)
        return this.#act(live, result.effects, asked)
      }
      if (outcome.kind === 'unknown') {
        this.#ports.observer.commitUnknown(event.kind)
        if (event.kind === 'request' && live.purchase !== undefined)
          return this.#lookBack(live, event, result)
        return this.#forget(live)
      }
      switch (outcome.reason) {
        case 'exists':
          return this.#exists(live, event, asked)
        case 'moved': {
          const id = result.transaction.id
          live.transaction = await this.#ports.journal.transactionById(id)
          assert(live.transaction !== undefined)
          break
        }
        case 'late':
        case 'books':
          if (event.kind !== 'legEnded' || event.outcome.kind !== 'answered')
            return this.#refusedByBooks(live, event)
          event = {
            kind: 'notCommitted',
            reason: outcome.reason,
            answer: event.outcome.answer,
            ...this.#now(),
          }
          break
        case 'fenced':
          return
        case 'overloaded':
          if (event.kind === 'request') return this.#shed(live)
          await sleep(this.#ports.clock, 50 * attempt)
          break
      }
    }
    this.#ports.observer.alarm('a transaction could not be moved on', live.transaction?.id ?? '')
    this.#forget(live)
  }

  /** While a commit is on its way: the part of the work behind it that lets nothing out. */
  #workAhead(live: Live | Stored, effects: readonly Effect[]): void {
    // A repeat is most often of something that is long done, and its PIN was looked at then.
    if (live.purchase === undefined || live.purchase.repeat) return
    for (const effect of effects) {
      if (effect.kind === 'answer') for (const waiter of live.waiters) waiter.prepare?.(effect.answer)
      if (effect.kind !== 'send') continue
      const prepared = this.#dispatch.prepare(live.purchase, effect.leg)
      // If the commit fails nobody asks for it again.
      prepared.catch(() => undefined)
      live.ahead = { legId: effect.leg.id, prepared }
    }
  }

  async #exists(live: Live | Stored, event: TransactionEvent, asked?: Asked): Promise<void> {
    if (event.kind === 'request' && live.purchase !== undefined) return this.#repeat(live)
    // The original came in between, or another copy of this reversal did: look again.
    if (asked !== undefined) {
      const stored = await this.#ports.journal.sourceReversal(asked.reversal.sourceKey)
      if (stored !== undefined) return void this.#tell([asked.waiter], stored.answer)
      return this.#cancel(asked.reversal, asked.waiter)
    }
  }

  /**
   * Commit 1 may have happened. Nothing was sent on its strength, but the request may be a repeat of something that was:
   * only the journal can tell, and where it can't, a repeat is met with silence (J7).
   */
  async #lookBack(live: Live, event: TransactionEvent & { kind: 'request' }, result: Step): Promise<void> {
    const { purchase } = live
    const code = event.verdict.kind === 'refuse' ? event.verdict.responseCode : unrecordedResponseCode
    let stored: Transaction | undefined
    try {
      stored = await this.#ports.journal.transactionByKey(purchase.sourceKey)
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
      return purchase.repeat ? this.#forget(live) : this.#refuseUnrecorded(live, code)
    }
    if (stored === undefined) return this.#refuseUnrecorded(live, code)
    if (stored.id !== result.transaction.id) return this.#repeat(live)
    if (stored.version !== result.transaction.version) return this.#forget(live)
    live.transaction = result.transaction
    this.#act(live, result.effects)
  }

  /** A commit that has no entries was refused all the same: a fault of ours, which must not cost an answer its truth. */
  #refusedByBooks(live: Live | Stored, event: TransactionEvent): void {
    this.#ports.observer.alarm(
      'a commit without entries was refused by the books',
      live.transaction?.id ?? '',
    )
    if (event.kind === 'request') this.#shed(live)
    else this.#forget(live)
  }

  /** Nothing was tried, so nothing is known of an earlier life of this request either. */
  #shed(asker: Asker): void {
    if (asker.purchase?.repeat === true) return this.#forget(asker)
    this.#refuseUnrecorded(asker, unrecordedResponseCode)
  }

  /** Nothing was sent, and nothing could be written: the refusal is kept in memory for the source's repeats. */
  #refuseUnrecorded(asker: Asker, responseCode: string): void {
    this.#forget(asker)
    const { purchase } = asker
    if (purchase === undefined) return
    this.#remembered.set(purchase.sourceKey, { responseCode })
    const forMs = 2 * purchase.source.terminalTimeoutMs
    this.#ports.clock.after(forMs, () => this.#remembered.delete(purchase.sourceKey))
    void this.#tell(asker.waiters, { responseCode })
  }

  #forget(asker: Asker): void {
    const key = asker.purchase?.sourceKey
    if (key !== undefined && this.#live.get(key) === asker) this.#live.delete(key)
  }

  #act(live: Live | Stored, effects: readonly Effect[], asked?: Asked): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          assert(live.purchase !== undefined)
          void this.#send(live, effect.leg)
          break
        case 'answer':
          live.answered = true
          if (live.purchase !== undefined) void this.#deliver(live, effect.answer)
          break
        case 'answerReversal':
          if (asked !== undefined) void this.#tell([asked.waiter], effect.answer)
          break
        case 'wake':
          this.#ports.wake(effect.destination)
          break
      }
    }
    if (isOver(live.transaction)) this.#forget(live)
  }

  /** From commit 1 to the end of the leg. */
  async #send(live: Live, leg: Leg): Promise<void> {
    const { clock } = this.#ports
    const startedAt = clock.monotonicMs()
    const { ahead, purchase } = live
    const prepared = await (ahead?.legId === leg.id ? ahead.prepared : this.#dispatch.prepare(purchase, leg))
    const outcome = await this.#dispatch.send(purchase, leg, prepared)
    const legMs = Math.round(clock.monotonicMs() - startedAt)
    if (outcome.kind === 'maybeSent') this.#expectLate(live, leg)
    await this.#locks.run(live.purchase.sourceKey, () =>
      this.#unlessJournalIsAway(
        () =>
          this.#advance(live, {
            kind: 'legEnded',
            outcome,
            ...this.#now(),
            detail: { legMs, ...messagesOf(outcome) },
          }),
        live,
      ),
    )
  }

  async #deliver(live: Live, answer: Answer): Promise<void> {
    if (await this.#tell(live.waiters, answer)) live.heard = true
    // Evidence is kept for approvals: a decline that didn't arrive changes nothing.
    const transaction = live.transaction
    assert(transaction !== undefined)
    this.#ports.observer.answered(
      transaction,
      this.#ports.clock.monotonicMs() - live.purchase.receivedMonotonicMs,
    )
    if (transaction.state === 'approved') {
      // Evidence can wait for company: what is delivered within an interval is recorded in one commit.
      if (live.heard)
        await sleep(this.#ports.clock, evidenceMs - (this.#ports.clock.monotonicMs() % evidenceMs))
      await this.#locks.run(live.purchase.sourceKey, () =>
        this.#unlessJournalIsAway(async () => {
          if (live.transaction?.state !== 'approved') return
          const outcome = live.heard ? 'delivered' : 'failed'
          await this.#advance(live, { kind: 'delivery', outcome, ...this.#now() })
        }, live),
      )
    }
    if (live.transaction?.state !== 'reversing') this.#forget(live)
  }

  async #tell(waiters: readonly Waiter[], answer: Answer): Promise<boolean> {
    const outcomes = await Promise.all(waiters.map((waiter) => waiter(answer)))
    return outcomes.includes('written')
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
      this.#unlessJournalIsAway(async () => {
        const stored =
          this.#live.get(lost.sourceKey)?.transaction ?? (await this.#ports.journal.transactionById(lost.id))
        if (stored === undefined || stored.state === 'intent') return
        const detail = { message: answer.described, responseCode: answer.responseCode }
        await this.#advanceStored(stored, { kind: 'late', answer, detail, ...this.#now() })
      }),
    )
  }

  /** When the journal can't even be read, nobody knows and nobody is told; peers repeat, the sweeper finds the rest. */
  async #unlessJournalIsAway(work: () => Promise<void>, live?: Live): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
      this.#ports.observer.commitUnknown('read')
      if (live !== undefined) this.#forget(live)
    }
  }

  #now(): { readonly at: number; readonly node: string } {
    return { at: this.#ports.clock.wallMs(), node: this.#ports.node }
  }

  #profileOf(transaction: Transaction | undefined, event: TransactionEvent): Profile {
    const leg =
      transaction?.leg ??
      (event.kind === 'request' && event.verdict.kind === 'forward' ? event.verdict.leg : undefined)
    const connector = leg === undefined ? undefined : this.#ports.connectors.get(leg.destination)
    return {
      timeoutResponseCode: '91',
      overtakenResponseCode: '12',
      cancelledResponseCode: '17',
      unknownOriginalResponseCode: '25',
      nothingToReverseResponseCode: '21',
      approvals: connector?.rules.approvals ?? [],
    }
  }
}

/** A transaction from the journal, with nobody waiting here. */
interface Stored {
  transaction: Transaction | undefined
  readonly waiters: readonly Waiter[]
  readonly purchase: undefined
  answered: boolean
}

/** Whoever waits for an answer to a purchase, if anybody does. */
type Asker = Pick<Live | Stored, 'purchase' | 'waiters'>

/** Who asked for a reversal, while it is being recorded. */
interface Asked {
  readonly reversal: InboundReversal
  readonly waiter: Waiter
}

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

/** A reversal repeats the amount and the reference of its original, and leaves no more than there was. */
function mismatchOf(reversal: InboundReversal, { request }: Transaction): string | undefined {
  if (request === undefined) return undefined
  if (request.rrn !== reversal.rrn) return '25'
  const fits = request.amountMinor === reversal.amountMinor && reversal.actualMinor <= request.amountMinor
  return fits ? undefined : '13'
}

function entryOf({ source, sourceKey, fingerprint, actualMinor }: InboundReversal): ReversalRequest {
  return { source: source.name, sourceKey, fingerprint, actualMinor }
}

/** Two tokens that are both known must be the same; one that could not be made decides nothing. */
function sameToken(one: StoredCard, other: StoredCard): boolean {
  return one.token === undefined || other.token === undefined || one.token === other.token
}

function legName(destination: string, identity: LegIdentity): string {
  return `${destination}|${identity.transmittedAt}|${identity.stan}`
}
