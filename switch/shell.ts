import assert from 'node:assert'
import { uuidv7 } from '../kernel/ids.ts'
import type { CardOnFile } from './admission.ts'
import type { Refusal } from './dispatch.ts'
import { Advance, type Advanced, type AdvancePorts } from './advance.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from './arrivals.ts'
import { switchItself } from './business-days.ts'
import { parentageOf } from './children.ts'
import { Completions } from './completions.ts'
import { JournalUnavailable } from './journal.ts'
import { type Live, LiveRequests, tell, type Waiter } from './live.ts'
import { KeyedLocks } from './locks.ts'
import { sameToken, transactionNamed } from './named.ts'
import { Refusals } from './refusals.ts'
import { type Outcome, toldOf } from './results.ts'
import type { ReversalRequest, Step, TransactionEvent } from './transaction/events.ts'
import type { Completion, StoredCard, Transaction } from './transaction/transaction.ts'

/** What recovery would also say of a commit 1 that shows up after all: a request hears one answer only. */
const unrecorded: Outcome = 'unavailable'

/**
 * The shell around the pure step, where requests, reversals and words of destinations come in. Each finds its
 * transaction, under a lock, and moves it on (`Advance`). It waits for ports and knows no time and no chance but theirs,
 * so that the simulation runs this very code.
 */
export class Shell {
  readonly #ports: AdvancePorts
  readonly #locks = new KeyedLocks()
  readonly #live = new LiveRequests()
  readonly #advance: Advance
  readonly #completions: Completions
  readonly #refusals: Refusals

  constructor(ports: AdvancePorts) {
    this.#ports = ports
    this.#advance = new Advance(ports, this.#locks, this.#live)
    this.#completions = new Completions(ports, this.#advance, this.#live)
    this.#refusals = new Refusals(ports.clock)
  }

  /** How many requests are being served. */
  get inFlight(): number {
    return this.#live.size
  }

  isLive(sourceKey: string): boolean {
    return this.#live.has(sourceKey)
  }

  /** A request, or a repeat of one. The waiter is called at most once, and never when silence is the answer. */
  async request(inbound: InboundRequest, file: CardOnFile, waiter: Waiter): Promise<void> {
    await this.#locked(inbound.sourceKey, async () => {
      const live = this.#live.get(inbound.sourceKey)
      if (live !== undefined) return this.#again(live, inbound, file.card, waiter)
      if (!this.#ports.journal.available || this.#ports.takesNew?.() === false)
        return this.#shed(inbound, [waiter])
      await this.#begin(inbound, file, waiter, this.#refusals.of(inbound))
    })
  }

  /** A source's reversal, or a repeat of one. */
  async reversal(reversal: InboundReversal, waiter: Waiter): Promise<void> {
    await this.#advance.unlessJournalIsAway(async () => {
      const completed = await this.#completedBy(reversal)
      await this.#locked(completed?.sourceKey ?? reversal.originalKey, async () => {
        const stored = await this.#ports.journal.sourceAct(reversal.sourceKey)
        if (stored === undefined) return this.#cancel(reversal, waiter)
        const same = stored.fingerprint === reversal.fingerprint
        this.#ports.observer.duplicate(same ? 'replayed' : 'mismatch')
        void tell(
          [waiter],
          same ? stored.answer : { responseCode: toldOf(reversal.source.told, 'duplicate') },
        )
      })
    })
  }

  /** What a source says has become of an authorization, or a repeat of it. */
  async completion(inbound: InboundCompletion, file: CardOnFile, waiter: Waiter): Promise<void> {
    await this.#advance.unlessJournalIsAway(async () => {
      const named = await this.#completions.authorizationOf(inbound)
      const key = named?.sourceKey ?? inbound.originalKey ?? inbound.sourceKey
      await this.#locked(key, async () => {
        const stored = await this.#ports.journal.sourceAct(inbound.sourceKey)
        if (stored === undefined) return this.#completions.complete(inbound, file, waiter)
        const same = stored.kind === 'overtaken' || stored.fingerprint === inbound.fingerprint
        this.#ports.observer.duplicate(same ? 'replayed' : 'mismatch')
        void tell([waiter], same ? stored.answer : { responseCode: toldOf(inbound.source.told, 'duplicate') })
      })
    })
  }

  /** Takes up a transaction whose outcome nobody will bring: an earlier life of this node, or another node's. */
  async recover(transaction: Transaction): Promise<void> {
    await this.#locked(transaction.sourceKey, async () => {
      if (this.#live.has(transaction.sourceKey)) return
      await this.#advance.stored(transaction, { kind: 'recovered', ...this.#advance.now() })
    })
  }

  /** Notes that nobody knows whether the approval reached its source. */
  async unproven(transaction: Transaction): Promise<void> {
    await this.#locked(transaction.sourceKey, async () => {
      const event = { kind: 'delivery', outcome: 'unproven', ...this.#advance.now() } as const
      await this.#advance.stored(transaction, event)
    })
  }

  /** Records what a destination said to what it was owed. */
  async obligationAnswered(
    transaction: Transaction,
    event: Omit<TransactionEvent & { kind: 'obligationAnswered' }, 'at' | 'node'>,
  ): Promise<void> {
    await this.#locked(transaction.sourceKey, async () => {
      // Who stood still serves what others have decided since; what was claimed is as the journal had it then.
      const live = this.#live.get(transaction.sourceKey)?.transaction
      const fresh = live !== undefined && live.version > transaction.version ? live : transaction
      await this.#advance.stored(fresh, { ...event, ...this.#advance.now() })
    })
  }

  #locked(sourceKey: string, work: () => Promise<void>): Promise<void> {
    return this.#locks.run(sourceKey, () => this.#advance.unlessJournalIsAway(work))
  }

  /** `refusedWith`: what it was told before, when that could not be recorded. */
  async #begin(
    arrived: InboundRequest,
    file: CardOnFile,
    waiter: Waiter,
    refusedWith: string | undefined,
  ): Promise<void> {
    const { clock, node, random } = this.#ports
    const { dispatch } = this.#advance
    const { card } = file
    const { inbound, parentId, refusal } = await this.#withParent(arrived, card)
    const { businessDate, verdict } = await dispatch.verdict(inbound, file, refusedWith ?? refusal)
    const live: Live = {
      transaction: undefined,
      waiters: [waiter],
      inbound,
      card,
      ...(refusedWith === undefined ? {} : { refusedWith }),
      answered: false,
      heard: false,
      tried: [],
    }
    this.#live.add(live)
    const event = {
      kind: 'request',
      at: clock.wallMs(),
      node,
      arrival: {
        id: uuidv7(clock, random),
        source: inbound.source.name,
        sourceKey: inbound.sourceKey,
        fingerprint: inbound.fingerprint,
        businessDate,
        approvableForMs: dispatch.answerableForMs(inbound),
        ...(parentId === undefined ? {} : { parentId }),
        rules: inbound.rules.version.number,
      },
      card,
      request: inbound.request,
      verdict,
      detail: { message: inbound.described },
    } as const
    await this.#begun(live, await this.#advance.advance(live, event))
  }

  /** What a request names, where it names anything. `refusal`: it can't be about that. */
  async #withParent(
    inbound: InboundRequest,
    card: StoredCard,
  ): Promise<{
    readonly inbound: InboundRequest
    readonly parentId?: string
    readonly refusal?: Refusal
  }> {
    const { names, request } = inbound
    if (names === undefined) return { inbound }
    const parentage = parentageOf(await transactionNamed(this.#ports.journal, inbound, names), {
      request,
      card,
    })
    if (parentage.kind === 'refused') return { inbound, refusal: parentage }
    const { destination: to, original, parentId } = parentage
    const named = original === undefined ? request : { ...request, original }
    return { inbound: { ...inbound, to, request: named }, parentId }
  }

  /** What is left to do for a request whose commit 1 is not simply there. */
  async #begun(live: Live, advanced: Advanced): Promise<void> {
    switch (advanced.kind) {
      case 'done':
        return
      case 'exists':
        return this.#repeat(live)
      case 'unrecorded':
        this.#live.forget(live)
        return this.#shed(live.inbound, live.waiters)
      case 'unknown': {
        // A refusal may have become one on the way, and is what a commit that shows up after all would say.
        const { answer } = advanced.result.transaction
        const code = answer?.responseCode ?? toldOf(live.inbound.source.told, unrecorded)
        return this.#lookBack(live, code, advanced.result)
      }
    }
  }

  /** The same request once more while the first is being served (U2), or other data under its key (U4). */
  async #again(live: Live, inbound: InboundRequest, card: StoredCard, waiter: Waiter): Promise<void> {
    if (live.inbound.fingerprint !== inbound.fingerprint || !sameToken(live.card, card)) {
      this.#ports.observer.duplicate('mismatch')
      return void tell([waiter], { responseCode: toldOf(inbound.source.told, 'duplicate') })
    }
    this.#ports.observer.duplicate('attached')
    const answer = live.transaction?.answer
    if (!live.answered || answer === undefined) return void live.waiters.push(waiter)
    // Under the lock, so that this delivery and the first one's failure are judged together.
    if (await tell([waiter], answer)) live.heard = true
  }

  /** The key was there already: a repeat of something finished, other data, or a reversal that came first. */
  async #repeat(live: Live): Promise<void> {
    const { inbound } = live
    this.#live.forget(live)
    const stored = await this.#ports.journal.transactionByKey(inbound.sourceKey)
    assert(stored !== undefined)
    const same =
      stored.fingerprint === '' ||
      (stored.fingerprint === inbound.fingerprint &&
        stored.card !== undefined &&
        sameToken(stored.card, live.card))
    if (!same) {
      this.#ports.observer.duplicate('mismatch')
      return void tell(live.waiters, { responseCode: toldOf(inbound.source.told, 'duplicate') })
    }
    if (stored.state === 'tombstone' && stored.answer === undefined) {
      this.#ports.observer.duplicate('overtaken')
      const event = { kind: 'overtaken', ...this.#advance.now() } as const
      return void (await this.#advance.advance({ ...live, transaction: stored }, event))
    }
    // Without an answer it is still open somewhere: in another node, or until recovery has seen to it. Silence is
    // safe; the source asks again.
    if (stored.answer === undefined) return
    this.#ports.observer.duplicate('replayed')
    // A commit that showed up after its request had been refused ended otherwise, and moved nothing: told is told.
    if (stored.state !== 'approved' && live.refusedWith !== undefined)
      return void tell(live.waiters, { responseCode: live.refusedWith })
    if (stored.state !== 'approved' || stored.delivery !== 'none')
      return void tell(live.waiters, stored.answer)
    // A commit that undoes this approval as undelivered may still be on its way. One of the two is first: the source
    // hears the approval only once the undoing can't happen any more.
    const replayed = { ...live, transaction: stored }
    const event = { kind: 'delivery', outcome: 'unproven', ...this.#advance.now() } as const
    await this.#advance.advance(replayed, event)
    const { transaction } = replayed
    if (transaction.delivery === 'unproven' && transaction.answer !== undefined) {
      void tell(live.waiters, transaction.answer)
    }
  }

  async #cancel(reversal: InboundReversal, waiter: Waiter): Promise<void> {
    const { clock, journal, node } = this.#ports
    const completed = await this.#completedBy(reversal)
    const live = this.#live.get(completed?.sourceKey ?? reversal.originalKey)
    const original = live?.transaction ?? completed ?? (await journal.transactionByKey(reversal.originalKey))
    const asked = { waiter }
    if (original === undefined) {
      const advanced = await this.#advance.stored(undefined, this.#cancelUnknown(reversal), asked)
      return this.#cancelled(reversal, waiter, advanced)
    }
    const completion =
      completed === undefined
        ? undefined
        : original.completions?.find(({ sourceKey }) => sourceKey === reversal.originalKey)
    const refusal =
      completed === undefined ? mismatchOf(reversal, original) : mismatchOfCompletion(reversal, completion)
    if (refusal !== undefined) {
      this.#ports.observer.alarm('a reversal does not fit its original', original.id)
      return void tell([waiter], { responseCode: toldOf(reversal.source.told, refusal) })
    }
    const at = clock.wallMs()
    const detail = { message: reversal.described }
    const today = this.#ports.days.today(original.leg?.destination ?? switchItself)
    const isLateVoid = reversal.isVoid && (completion ?? original).businessDate < today
    const named = completed === undefined ? {} : { completionKey: reversal.originalKey }
    const asks = { ...entryOf(reversal), ...named, isLateVoid }
    const event = { kind: 'cancel', reversal: asks, at, node, detail } as const
    const advanced = await (live === undefined
      ? this.#advance.stored(original, event, asked)
      : this.#advance.advance(live, event, asked))
    return this.#cancelled(reversal, waiter, advanced)
  }

  /** The authorization that a reversed completion took from; undefined: it is of no completion, or of none that we know. */
  async #completedBy({ isOfCompletion, originalKey }: InboundReversal): Promise<Transaction | undefined> {
    if (isOfCompletion !== true) return undefined
    const { journal } = this.#ports
    const act = await journal.sourceAct(originalKey)
    if (act?.kind !== 'completion') return undefined
    const named = await journal.transactionById(act.transactionId)
    // One of nothing that we know is a transaction under its own key.
    return named?.sourceKey === originalKey ? undefined : named
  }

  /** The original came in between, or another copy of this reversal did: look again. */
  async #cancelled(reversal: InboundReversal, waiter: Waiter, advanced: Advanced): Promise<void> {
    if (advanced.kind !== 'exists') return
    const stored = await this.#ports.journal.sourceAct(reversal.sourceKey)
    if (stored !== undefined) return void tell([waiter], stored.answer)
    return this.#cancel(reversal, waiter)
  }

  #cancelUnknown(reversal: InboundReversal): TransactionEvent {
    const { clock, node, random } = this.#ports
    const at = clock.wallMs()
    const arrival = {
      id: uuidv7(clock, random),
      source: reversal.source.name,
      sourceKey: reversal.originalKey,
      fingerprint: '',
      businessDate: this.#ports.days.today(switchItself),
      approvableForMs: 0,
      named: { rrn: reversal.rrn, terminalId: reversal.terminalId ?? '' },
    }
    const detail = { message: reversal.described }
    const { isOfCompletion, originalKey } = reversal
    const named = isOfCompletion === true ? { completionKey: originalKey } : {}
    return { kind: 'cancelUnknown', arrival, reversal: { ...entryOf(reversal), ...named }, at, node, detail }
  }

  /**
   * Commit 1 may have happened. Nothing was sent on its strength, but the request may be a repeat of something that was:
   * only the journal can tell, and where it can't, a repeat is met with silence (J7).
   */
  async #lookBack(live: Live, responseCode: string, { transaction, effects }: Step): Promise<void> {
    const { inbound } = live
    const refuse = (): void => {
      this.#live.forget(live)
      this.#refusals.refuse(inbound, live.waiters, responseCode)
    }
    let stored: Transaction | undefined
    try {
      stored = await this.#ports.journal.transactionByKey(inbound.sourceKey)
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
      return inbound.repeat ? this.#live.forget(live) : refuse()
    }
    if (stored === undefined) return refuse()
    if (stored.id !== transaction.id) return this.#repeat(live)
    if (stored.version !== transaction.version) return this.#live.forget(live)
    live.transaction = transaction
    this.#advance.act(live, effects)
  }

  /** Nothing was tried, so nothing is known of an earlier life of this request either. */
  #shed(inbound: InboundRequest, waiters: readonly Waiter[]): void {
    if (inbound.repeat) return
    const responseCode = this.#refusals.of(inbound) ?? toldOf(inbound.source.told, unrecorded)
    this.#refusals.refuse(inbound, waiters, responseCode)
  }
}

/** A reversal repeats the amount and the reference of its original, and leaves no more than there was. */
function mismatchOf(reversal: InboundReversal, { request, approvedMinor }: Transaction): Outcome | undefined {
  if (request === undefined) return undefined
  if (request.rrn !== reversal.rrn) return 'notFound'
  // Of a source whose DE4 is without the fee, the original's was too.
  const besideMinor = reversal.source.feeInAmount === false ? (request.feeMinor ?? 0n) : 0n
  const isAmount = [request.amountMinor, approvedMinor ?? request.amountMinor].includes(
    reversal.amountMinor + besideMinor,
  )
  const fits = isAmount && reversal.actualMinor <= request.amountMinor
  return fits ? undefined : 'invalidAmount'
}

/** One that we don't know the size of (its row is older than that is kept) is the step's to refuse. */
function mismatchOfCompletion(
  { amountMinor }: InboundReversal,
  completion: Completion | undefined,
): Outcome | undefined {
  const fits = completion === undefined || completion.amountMinor === amountMinor
  return fits ? undefined : 'invalidAmount'
}

function entryOf({
  source,
  sourceKey,
  fingerprint,
  actualMinor,
  isAdvice,
}: InboundReversal): ReversalRequest {
  return { source: source.name, sourceKey, fingerprint, actualMinor, isAdvice }
}
