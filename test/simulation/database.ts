import type { LegIdentity } from '../../connectors/connector.ts'
import type { Random } from '../../kernel/random.ts'
import type { AccountSpec } from '../../ledger/ledger.ts'
import {
  type Claimed,
  type ClaimQuery,
  type CommitOutcome,
  type CommitRefusal,
  type Journal,
  type JournalEvent,
  JournalUnavailable,
  type JournalUnit,
  type ParentChange,
} from '../../switch/journal.ts'
import type { Leg, SourceAct, Transaction } from '../../switch/transaction/transaction.ts'
import { aheadDaysMax, daysBetween } from '../../switch/business-date.ts'
import { laneKeyOf } from '../../switch/lanes.ts'
import { SimulatedBooks } from './books.ts'
import { SimulatedDays } from './days.ts'
import { SimulatedExposures } from './exposures.ts'
import { claimable, type StoredObligation } from './owed.ts'
import type { FaultRates } from './faults/faults.ts'
import { type Item, itemsOf, totalsOf } from './totals.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export interface CommittedEvent extends JournalEvent {
  readonly transactionId: string
  /** The names of what it posted. */
  readonly postings: readonly string[]
  /** By nobody's clock: ms since the history began. */
  readonly committedAtMs: number
}

/** One for all: thousands are thrown, and nobody looks at where. */
const away = new JournalUnavailable()

interface StoredTransaction {
  transaction: Transaction
  approvableUntil: number
  /** The business date with which its leg was named, when, and how many legs there have been. */
  readonly routed: { readonly on: string; readonly atMs: number; readonly legs: number }
}

/**
 * The database of a history: what is in it survives every crash. A commit takes effect at one instant, or never; its
 * caller may hear of it, late, or not at all.
 */
export class SimulatedDatabase {
  readonly transactions = new Map<string, StoredTransaction>()
  readonly obligations = new Map<string, StoredObligation>()
  readonly books = new SimulatedBooks()
  readonly exposures = new SimulatedExposures((transactionId) =>
    [...this.obligations.values()].some(
      (owed) =>
        owed.transactionId === transactionId &&
        owed.kind === 'advice' &&
        (owed.state === 'due' || owed.state === 'parked'),
    ),
  )
  /** What was committed of approvals in issuers' places beyond what is allowed. */
  readonly overExposed: string[] = []
  readonly events: CommittedEvent[] = []
  readonly days: SimulatedDays
  readonly legs = new Map<string, Leg>()
  readonly #byKey = new Map<string, string>()
  readonly #acts = new Map<string, SourceAct>()
  readonly #world: World
  readonly #random: Random
  readonly #stops: Random
  readonly #rates: () => FaultRates
  readonly #ignored: 'versions' | 'fences' | 'exposures' | 'refunds' | undefined
  readonly #stans = new Map<string, number>()
  readonly #named = new Set<string>()
  /** Of some histories, so few that numbers come again while old answers are still on their way. */
  readonly #stanMax: number
  #awaySince = 0
  #awayUntil = 0
  #attempts = 0

  constructor(
    world: World,
    rates: () => FaultRates,
    ignored: 'versions' | 'fences' | 'exposures' | 'refunds' | undefined,
  ) {
    this.#ignored = ignored
    this.#world = world
    this.#random = world.random('database')
    this.#stops = world.random('stops midway')
    this.#stanMax = this.#random.fraction() < 0.5 ? 2 + this.#random.below(6) : 999_999
    this.#rates = rates
    this.days = new SimulatedDays(world, rates, this)
  }

  /** A connection of one life of a node: when the life ends, nothing is heard through it any more. */
  connect(life: Life): Journal & { openAccounts(accounts: readonly AccountSpec[]): Promise<void> } {
    const read = <T>(look: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const fails = this.#random.fraction() < this.#rates().journalAway
        this.#world.afterUnnoticed(1 + this.#random.below(3), () => {
          if (fails || this.#isAway) return life.enter(() => reject(away))
          // What was asked for is done, whoever hears of it.
          const found = look()
          if (isSomething(found)) this.#maybeStop(life)
          life.enter(() => resolve(found))
        })
      })
    const isKnownToBeAway = (): boolean => this.#isAway && this.#world.monotonicMs() > this.#awaySince + 1_000
    return {
      get available() {
        return !isKnownToBeAway()
      },
      commit: (unit) => this.#commit(unit, life),
      transactionByKey: (key) => read(() => this.#read(this.#byKey.get(key))),
      transactionById: (id) => read(() => this.#read(id)),
      sourceAct: (key) => read(() => this.#acts.get(key)),
      authorization: ({ source, rrn, authId }) =>
        read(() => {
          const [found] = this.#select(
            1,
            ({ transaction: { answer, request, ...known } }) =>
              known.source === source && request?.rrn === rrn && answer?.authId === authId,
          )
          return found
        }),
      holdOf: (reference) => read(() => this.books.holdOf(reference)),
      stranded: ({ node, ownPast, limit }) =>
        read(() =>
          this.#select(limit, ({ transaction, approvableUntil }) => {
            const over = approvableUntil + 2_000 < this.#world.monotonicMs()
            return isOpen(transaction) && (over || (ownPast && transaction.node === node))
          }),
        ),
      undeliveredOf: (node, limit) =>
        read(() =>
          this.#select(
            limit,
            ({ transaction }) =>
              transaction.state === 'approved' &&
              transaction.delivery === 'none' &&
              transaction.node === node,
          ),
        ),
      claim: (query) => read(() => this.#claim(query)),
      name: (claimed) =>
        read(() => {
          const kept = new Set<string>()
          for (const { id, fence, identity } of claimed) {
            const obligation = this.#held(id, fence)
            if (obligation === undefined) continue
            obligation.identity = identity
            kept.add(id)
          }
          return kept
        }),
      postpone: ({ id, fence }, { delayMs, kind }) =>
        read(() => {
          const obligation = this.#held(id, fence)
          if (obligation === undefined) return
          obligation.nextAt = this.#world.monotonicMs() + delayMs
          obligation.leaseUntil = 0
          if (kind === 'unsent') obligation.attempts--
          if (kind === 'refused') obligation.refusals++
        }),
      reconciled: ({ id, fence }, { balance }) =>
        read(() => {
          const obligation = this.#held(id, fence)
          if (obligation === undefined) return false
          obligation.state = 'acknowledged'
          obligation.closedAt = this.#world.monotonicMs()
          obligation.balance = balance
          return true
        }),
      overdue: () => read(() => []),
      openAccounts: (accounts) => read(() => this.books.open(accounts)),
    }
  }

  /**
   * What is told of a date that is frozen, and of those before it that its network named itself and that never began here.
   * All of it is in one currency.
   */
  oweTotals(destination: string, date: string): void {
    const items = itemsOf(this, destination)
    const begun = this.days.all.filter((day) => day.destination === destination).map((day) => day.date)
    const dates = new Set(items.map((item) => item.date))
    for (const of of [...dates].sort()) {
      const isUnbegun = of < date && daysBetween(of, date) <= aheadDaysMax
      if (of !== date && !(isUnbegun && begun.every((one) => one >= date || one < of))) continue
      this.#oweTotals(destination, of, items)
    }
  }

  #oweTotals(destination: string, date: string, items: readonly Item[]): void {
    const key = `reconciliation:${destination}:${date}:KWD`
    const now = this.#world.monotonicMs()
    const of = totalsOf(items.filter((item) => item.date === date))
    this.obligations.set(key, {
      ...{ id: key, key, kind: 'reconciliation', destination, cause: 'cutover', delayMs: 0 },
      ...{ transactionId: '', state: 'due', nextAt: now, dueAt: now, closedAt: undefined, attempts: 0 },
      ...{ refusals: 0, card: 0, leaseUntil: 0, fence: 0n, identity: undefined, responseCode: undefined },
      reconciliation: { date, currency: 'KWD', totals: of },
    })
  }

  /** Its destination was silent, and no later life had to find that out. */
  wasLost(transactionId: string): boolean {
    return this.events.some(
      (event) =>
        event.transactionId === transactionId && event.kind === 'legEnded' && event.cause === 'timeout',
    )
  }

  /** Nothing is open and nothing owed. */
  get atRest(): boolean {
    for (const { transaction } of this.transactions.values()) if (isOpen(transaction)) return false
    for (const { state } of this.obligations.values()) if (state === 'due') return false
    return true
  }

  /** For so long nothing is read, nothing new is begun, and what becomes of a commit is not heard. */
  goAway(forMs: number): void {
    this.#world.note(`the database is away for ${forMs} ms`)
    this.#awaySince = this.#world.monotonicMs()
    this.#awayUntil = this.#awaySince + forMs
  }

  /**
   * Names legs for a destination: DE11 wraps, and soon in some histories, but DE7 and DE11 together are never given
   * out twice.
   */
  identities(destination: string): (transmittedAt: string) => LegIdentity {
    return (transmittedAt) => {
      for (let tried = 0; ; tried++) {
        // No second has more numbers than there are: the simulation's small circle may, and then has larger ones.
        const max = tried < this.#stanMax ? this.#stanMax : 999_999
        const last = this.#stans.get(destination) ?? 0
        const next = tried < this.#stanMax ? last % max : Math.max(last, this.#stanMax)
        this.#stans.set(destination, next + 1)
        const stan = String(next + 1).padStart(6, '0')
        const name = `${destination} ${transmittedAt} ${stan}`
        if (this.#named.has(name)) continue
        this.#named.add(name)
        return { stan, transmittedAt }
      }
    }
  }

  /** Longer than a lease of what is owed: what the node hears now, others may have done meanwhile. */
  #maybeStop(life: Life): void {
    if (this.#stops.fraction() < this.#rates().stopsMidway) life.standStill(17_000 + this.#stops.below(8_000))
  }

  get #isAway(): boolean {
    return this.#world.monotonicMs() < this.#awayUntil
  }

  #commit(unit: JournalUnit, life: Life): Promise<CommitOutcome> {
    const { commitLost, commitUnheard, commitZombie, commitSlow } = this.#rates()
    const random = this.#random
    return new Promise((resolve) => {
      const answer = (outcome: CommitOutcome): void => {
        this.#maybeStop(life)
        life.enter(() => resolve(outcome))
      }
      const after = (delayMs: number, run: () => void): void => void this.#world.after(delayMs, run)
      const takes = random.fraction() < commitSlow ? random.below(6_000) : 1 + random.below(4)
      const [lost, unheard, zombie] = [random.fraction(), random.fraction(), random.fraction()]
      if (this.#isAway) {
        // Either nothing was tried, or it was on its way when the database went: made when that is back, or never.
        if (random.fraction() < 0.5)
          return after(takes, () => answer({ kind: 'refused', reason: 'overloaded' }))
        after(4_000, () => answer({ kind: 'unknown' }))
        const backIn = this.#awayUntil - this.#world.monotonicMs()
        return random.fraction() < 0.5 ? undefined : after(backIn + takes, () => void this.#take(unit))
      }
      if (lost < commitLost) return after(4_000, () => answer({ kind: 'unknown' }))
      if (unheard < commitUnheard) {
        after(takes, () => void this.#take(unit))
        return after(takes + 4_000, () => answer({ kind: 'unknown' }))
      }
      if (zombie < commitZombie) {
        after(4_000, () => answer({ kind: 'unknown' }))
        return after(4_000 + random.below(4_000), () => void this.#take(unit))
      }
      after(takes, () => {
        const outcome = this.#take(unit)
        after(1, () => answer(outcome))
      })
    })
  }

  /** The instant of the commit: everything of the unit, or nothing. */
  #take(unit: JournalUnit): CommitOutcome {
    const key = String(this.#attempts++)
    const refusal = this.#guard(unit) ?? this.#post(key, unit)
    if (refusal !== undefined) {
      this.#world.note(`refused ${unit.event.kind} (${refusal})`)
      return { kind: 'refused', reason: refusal }
    }
    this.#write(unit)
    if (unit.exposure !== undefined) this.overExposed.push(...this.exposures.excess())
    for (const command of unit.commands) {
      if (command.kind !== 'authorize') continue
      // The books are swept now and then for what has come to its time.
      const sweptInMs = this.#random.below(5_000)
      const { id, expiresAt } = command
      const inMs = expiresAt - this.#world.wallMs() + sweptInMs
      this.#world.afterUnnoticed(inMs, () => this.#expire(unit.transaction.id, id))
    }
    return { kind: 'committed' }
  }

  #post(key: string, unit: JournalUnit): CommitRefusal | undefined {
    const posted = this.books.postOnce(key, unit.commands)
    if (posted === 'taken') return undefined
    return posted === 'closed' ? 'closed' : 'books'
  }

  /** As the books' sweep does, with the switch's rows in the same commit. */
  #expire(transactionId: string, holdId: string): void {
    const stored = this.transactions.get(transactionId)
    if (stored?.transaction.state !== 'approved') return
    const at = this.#world.wallMs()
    const command = { kind: 'expire', id: `expire:${holdId}`, holdId, effectiveAt: at } as const
    if (this.books.post(`expire:${holdId}`, [command]) !== 'taken') return
    const version = stored.transaction.version + 1
    const state = stored.transaction.completedMinor === undefined ? 'expired' : 'completed'
    this.transactions.set(transactionId, {
      ...stored,
      transaction: { ...stored.transaction, version, state },
    })
    this.events.push({
      sequence: version,
      kind: 'expired',
      at,
      node: '',
      cause: '',
      detail: {},
      businessDate: stored.transaction.businessDate,
      transactionId,
      postings: [command.id],
      committedAtMs: this.#world.monotonicMs(),
    })
    this.#world.note(`committed expired -> ${state} ${stored.transaction.sourceKey}`)
  }

  #guard(unit: JournalUnit): CommitRefusal | undefined {
    const now = this.#world.monotonicMs()
    if (unit.sourceAct !== undefined && this.#acts.has(unit.sourceAct.sourceKey)) return 'exists'
    const isOverRefund = unit.parent !== undefined && this.#isOverRefund(unit.parent)
    if (unit.expectedVersion === undefined) {
      if (this.#byKey.has(unit.transaction.sourceKey)) return 'exists'
      return isOverRefund ? 'overRefund' : undefined
    }
    const stored = this.transactions.get(unit.transaction.id)
    if (stored === undefined) return 'moved'
    if (stored.transaction.version !== unit.expectedVersion && this.#ignored !== 'versions') return 'moved'
    if (unit.onlyWhileApprovable && stored.approvableUntil <= now) return 'late'
    if (unit.exposure?.kind === 'new' && this.#ignored !== 'exposures') {
      if (!this.exposures.allows(unit.exposure)) return 'exposure'
    }
    const change = unit.obligation
    if (change !== undefined && 'fence' in change && this.#ignored !== 'fences') {
      const obligation = this.obligations.get(change.id)
      if (obligation?.fence !== change.fence || obligation.state !== 'due') return 'fenced'
    }
    return undefined
  }

  #isOverRefund({ id, refundMinor }: ParentChange): boolean {
    if (refundMinor <= 0n || this.#ignored === 'refunds') return false
    const {
      actualMinor,
      approvedMinor,
      completedMinor,
      refundedMinor = 0n,
      request,
      state,
    } = this.transactions.get(id)!.transaction
    const isHeldOnly = request!.mti === '0100' && completedMinor === undefined
    const takenMinor =
      completedMinor ?? (isHeldOnly ? 0n : (actualMinor ?? approvedMinor ?? request!.amountMinor))
    return (state !== 'approved' && state !== 'completed') || refundedMinor + refundMinor > takenMinor
  }

  /** The row of what a refund is about, with an event of its own. */
  #writeParent({ id, refundMinor, at, node }: ParentChange): void {
    const stored = this.transactions.get(id)!
    const { refundedMinor = 0n, version } = stored.transaction
    const transaction = {
      ...stored.transaction,
      version: version + 1,
      refundedMinor: refundedMinor + refundMinor,
    }
    this.transactions.set(id, { ...stored, transaction })
    this.events.push({
      ...{ sequence: version + 1, kind: 'refund', at, node, cause: '', detail: {} },
      ...{ businessDate: transaction.businessDate, transactionId: id, postings: [] },
      committedAtMs: this.#world.monotonicMs(),
    })
  }

  #write(unit: JournalUnit): void {
    const { transaction, obligation: change, sourceAct, event } = unit
    const now = this.#world.monotonicMs()
    const stored = this.transactions.get(transaction.id)
    const approvableUntil = stored?.approvableUntil ?? now + transaction.approvableForMs
    const isRouted = stored !== undefined && stored.transaction.leg?.id === transaction.leg?.id
    const legs = (stored?.routed.legs ?? 0) + 1
    const routed = isRouted ? stored.routed : { on: transaction.businessDate, atMs: now, legs }
    this.transactions.set(transaction.id, { transaction, approvableUntil, routed })
    this.#byKey.set(transaction.sourceKey, transaction.id)
    const postings = unit.commands.map(({ id }) => id)
    this.events.push({ ...event, transactionId: transaction.id, postings, committedAtMs: now })
    this.#world.note(
      `committed ${event.kind} -> ${transaction.state} ${transaction.sourceKey} ${event.cause}`,
    )
    if (unit.exposure !== undefined) {
      this.exposures.write(transaction.id, unit.exposure)
    }
    if (unit.parent !== undefined) this.#writeParent(unit.parent)
    if (sourceAct !== undefined) this.#acts.set(sourceAct.sourceKey, sourceAct)
    if (transaction.leg !== undefined) this.legs.set(transaction.leg.id, transaction.leg)
    for (const owe of unit.owe) {
      const fence = (this.obligations.get(owe.id)?.fence ?? -1n) + 1n
      // What is owed again comes behind what became owed in between.
      this.obligations.delete(owe.id)
      this.obligations.set(owe.id, {
        ...owe,
        state: 'due',
        nextAt: now + owe.delayMs,
        dueAt: now + owe.delayMs,
        closedAt: undefined,
        responseCode: undefined,
        attempts: 0,
        refusals: 0,
        card: laneKeyOf(transaction.card?.token, transaction.id),
        leaseUntil: 0,
        fence,
        identity: undefined,
      })
    }
    const obligation = change === undefined ? undefined : this.obligations.get(change.id)
    if (change === undefined || obligation === undefined || obligation.state !== 'due') return
    if (change.kind === 'due') obligation.nextAt = Math.min(obligation.nextAt, now)
    else {
      obligation.state = change.kind
      obligation.closedAt = now
      if ('responseCode' in change) obligation.responseCode = change.responseCode
    }
  }

  #read(id: string | undefined): Transaction | undefined {
    const stored = id === undefined ? undefined : this.transactions.get(id)
    if (stored === undefined) return undefined
    const approvableForMs = Math.max(0, Math.ceil(stored.approvableUntil - this.#world.monotonicMs()))
    return { ...stored.transaction, approvableForMs }
  }

  #select(limit: number, wanted: (stored: StoredTransaction) => boolean): Transaction[] {
    const found: Transaction[] = []
    for (const stored of this.transactions.values()) {
      if (found.length === limit) break
      if (wanted(stored)) found.push(this.#read(stored.transaction.id)!)
    }
    return found
  }

  /** An obligation that its claimant still holds; where fences are ignored, whoever holds it now or has seen to it. */
  #held(id: string, fence: bigint): StoredObligation | undefined {
    const obligation = this.obligations.get(id)
    if (this.#ignored === 'fences') return obligation
    return obligation?.fence === fence && obligation.state === 'due' ? obligation : undefined
  }

  #claim(query: ClaimQuery): Claimed[] {
    const now = this.#world.monotonicMs()
    return claimable(this.obligations.values(), query, now).map((obligation) => {
      obligation.attempts++
      obligation.fence++
      obligation.leaseUntil = now + query.leaseMs
      const { id, kind, cause, attempts, refusals, fence, identity, actualMinor, advice, legId } = obligation
      const { reconciliation } = obligation
      const named = identity === undefined ? {} : { identity }
      if (kind === 'reconciliation')
        return {
          ...{ id, kind, cause, attempts, refusals, fence },
          ...named,
          reconciliation: reconciliation!,
        }
      const leg = legId === undefined ? undefined : this.legs.get(legId)
      const transaction = this.#read(obligation.transactionId)!
      const { adviceId } = obligation
      const undone = adviceId === undefined ? undefined : this.obligations.get(adviceId)?.identity
      return {
        ...{ id, kind, cause, attempts, refusals, fence, transaction },
        ...named,
        ...(actualMinor === undefined ? {} : { actualMinor }),
        ...(advice === undefined ? {} : { advice }),
        ...(leg === undefined ? {} : { leg }),
        ...(undone === undefined ? {} : { undone }),
      }
    })
  }
}

/** The sweeps of a node that nothing waits for find nothing, over and over. */
function isSomething(found: unknown): boolean {
  return !(found === undefined || (Array.isArray(found) && found.length === 0))
}

function isOpen({ state }: Transaction): boolean {
  return state === 'intent' || state === 'reversing'
}
