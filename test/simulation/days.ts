import type { Random } from '../../kernel/random.ts'
import { effectiveOn } from '../../switch/business-date.ts'
import {
  type BusinessDay,
  type CutoverCause,
  type DayBook,
  type NewDay,
  switchItself,
} from '../../switch/business-days.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import type { StoredObligation } from './owed.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import type { SimulatedBooks } from './books.ts'
import type { FaultRates } from './faults/faults.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

const away = new JournalUnavailable()

interface StoredDay {
  readonly destination: string
  readonly date: string
  readonly cause: CutoverCause
  /** Monotonic ms. */
  readonly beganAt: number
  frozenAt: number | undefined
}

/** What the days look at of the database that they are in. */
interface Whole {
  readonly books: SimulatedBooks
  readonly obligations: ReadonlyMap<string, StoredObligation>
  /** In the commit that freezes a date. */
  oweTotals(destination: string, date: string): void
  readonly transactions: ReadonlyMap<string, { readonly transaction: Transaction }>
}

/** The business days in the database of a history. */
export class SimulatedDays {
  readonly all: StoredDay[] = []
  readonly #world: World
  readonly #random: Random
  readonly #rates: () => FaultRates
  readonly #database: Whole

  constructor(world: World, rates: () => FaultRates, database: Whole) {
    this.#world = world
    this.#random = world.random('days')
    this.#rates = rates
    this.#database = database
  }

  /** As one life of a node sees them: a change may be lost, or happen unheard. */
  book(life: Life): DayBook {
    const read = <T>(look: () => T): Promise<T> => this.#trip(life, this.#rates().journalAway, 0, look)
    const change = <T>(make: () => T): Promise<T> =>
      this.#trip(life, this.#rates().commitLost, this.#rates().commitUnheard, make)
    return {
      days: () => read(() => this.#open()),
      begin: (day) => change(() => this.#begin(day)),
      unresolved: (destination, date) => read(() => this.#unresolved(destination, date)),
      isClosed: (destination, date) => read(() => this.#database.books.isClosed(destination, date)),
      freeze: (destination, date, stragglers) =>
        change(() => this.#freeze(destination, date, stragglers, life.wallMs())),
    }
  }

  /** Every date that has ended is frozen. */
  get atRest(): boolean {
    return this.#open().every(({ destination, date }) => this.#isCurrent(destination, date))
  }

  /** The dates that were current at some moment between two, both in monotonic ms. */
  between(destination: string, fromMs: number, toMs: number): string[] {
    const days = this.all.filter((day) => day.destination === destination)
    return days
      .filter(({ beganAt }, index) => beganAt <= toMs && (days[index + 1]?.beganAt ?? Infinity) >= fromMs)
      .map(({ date }) => date)
  }

  #trip<T>(life: Life, lostRate: number, unheardRate: number, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const [lost, unheard] = [this.#random.fraction() < lostRate, this.#random.fraction() < unheardRate]
      this.#world.after(1 + this.#random.below(4), () => {
        if (lost) return life.enter(() => reject(away))
        const result = act()
        life.enter(() => (unheard ? reject(away) : resolve(result)))
      })
    })
  }

  #begin({ destination, date, cause }: NewDay): 'begun' | 'exists' {
    if (this.all.some((day) => day.destination === destination && day.date >= date)) return 'exists'
    this.all.push({ destination, date, cause, beganAt: this.#world.monotonicMs(), frozenAt: undefined })
    this.#world.note(`the business date of ${destination} is ${date}`)
    return 'begun'
  }

  #isCurrent(destination: string, date: string): boolean {
    return !this.all.some((day) => day.destination === destination && day.date > date)
  }

  #open(): BusinessDay[] {
    const now = this.#world.monotonicMs()
    const open: BusinessDay[] = []
    for (const { beganAt, cause, date, destination, frozenAt } of this.all) {
      const frozen = frozenAt !== undefined
      if (frozen && !this.#isCurrent(destination, date)) continue
      open.push({ destination, date, cause, frozen, beganMsAgo: now - beganAt })
    }
    return open
  }

  #unresolved(destination: string, date: string): number {
    const { obligations, transactions } = this.#database
    let count = 0
    for (const { transaction } of transactions.values()) {
      const { businessDate, leg, state } = transaction
      const isOpen = state === 'intent' || state === 'reversing'
      if (isOpen && businessDate === date && leg?.destination === destination) count++
    }
    for (const one of obligations.values()) {
      if (one.state !== 'due' || one.destination !== destination) continue
      if (transactions.get(one.transactionId)?.transaction.businessDate === date) count++
    }
    return count
  }

  #freeze(destination: string, date: string, stragglers: number, wallMs: number): boolean {
    const day = this.all.find((one) => one.destination === destination && one.date === date)
    if (day === undefined || !this.#database.books.closeDate(destination, date, effectiveOn(date, wallMs)))
      return false
    if (day.frozenAt === undefined && destination !== switchItself)
      this.#database.oweTotals(destination, date)
    day.frozenAt ??= this.#world.monotonicMs()
    this.#world.note(`${destination} ${date} is frozen, ${stragglers} unresolved`)
    return true
  }
}
