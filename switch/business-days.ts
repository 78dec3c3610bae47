import type { Connector } from '../connectors/connector.ts'
import type { Clock } from '../kernel/clock.ts'
import {
  aheadDaysMax,
  businessDateOf,
  type CutoverSchedule,
  dateAfter,
  dateOfElement,
  daysBetween,
  type PostingDays,
  scheduledDate,
} from './business-date.ts'
import { KeyedLocks } from './locks.ts'
import type { Observer } from './observer.ts'

/** The owner of the date of what goes to no destination: a request without a route, a reversal of nothing. */
export const switchItself = 'switch'

export type CutoverCause = 'start' | 'network' | 'schedule' | 'operator'

/** One business date of one destination, from its cutover on. */
export interface BusinessDay {
  readonly destination: string
  /** YYYY-MM-DD */
  readonly date: string
  /** How long ago it began, by the clock of the database. */
  readonly beganMsAgo: number
  readonly cause: CutoverCause
  readonly frozen: boolean
}

export interface NewDay {
  readonly destination: string
  readonly date: string
  readonly cause: CutoverCause
  /** The node, or the person. */
  readonly who: string
  /** The masked message, where one asked for it. */
  readonly described: string
}

/** Where business days are kept. Everything rejects with `JournalUnavailable` when nobody knows. */
export interface DayBook {
  /** The current day of each destination, and every earlier one whose totals are not frozen; oldest first. */
  days(): Promise<BusinessDay[]>
  /** The cutover, in one commit. `exists`: that date, or a later one, has begun already. */
  begin(day: NewDay): Promise<'begun' | 'exists'>
  /** Transactions of the date that may still change its totals: no outcome yet, or a reversal that is owed. */
  unresolved(destination: string, date: string): Promise<number>
  /** Whether an account of the date takes no entries any more. */
  isClosed(destination: string, date: string): Promise<boolean>
  /** Closes the accounts of the date and notes that its totals can't change any more. False: not all are closed. */
  freeze(destination: string, date: string, stragglers: number): Promise<boolean>
}

export interface BusinessDaysPorts {
  readonly clock: Clock
  readonly node: string
  readonly book: DayBook
  readonly observer: Pick<Observer, 'alarm' | 'cutover'>
  readonly destinations: readonly string[]
  /** Of the destinations that turn by the clock. */
  readonly schedules: ReadonlyMap<string, CutoverSchedule>
  /** Totals freeze so long after the cutover, whoever is still missing. */
  readonly freezeAfterMs?: number
}

/** A second cutover that names no date is the first one again, unless this much time lies between. */
const dayMsMin = 12 * 3_600_000
const freezeAfterMsDefault = 15 * 60_000
/** Other nodes may not have heard of the cutover yet, and still begin transactions on the old date. */
const freezeMsMin = 10_000
/** What is unresolved is looked for again after so many times what that took. */
const restPerLook = 50

/**
 * The business date of each destination and of the switch itself (§4.14). The book is the truth and every node follows
 * it; a cutover is one commit there, whoever asks for it, and a date never goes back.
 */
export class BusinessDays {
  readonly #ports: BusinessDaysPorts
  readonly #locks = new KeyedLocks()
  #days = new Map<string, readonly BusinessDay[]>()
  readonly #closed = new Set<string>()
  /** Of dates that have something unresolved: when it is worth to look again, on the monotonic clock. */
  readonly #askAgainAt = new Map<string, number>()
  #readAt = 0
  /** How many readings of the book were begun, and which of them is known. */
  #readings = 0
  #lastRead = 0

  constructor(ports: BusinessDaysPorts) {
    this.#ports = ports
  }

  /** Reads the days, and begins the first one of who has none. */
  async open(): Promise<void> {
    await this.follow()
    const owners = [...this.#ports.destinations, switchItself]
    const strangers = owners.filter((owner) => !this.#days.has(owner))
    for (const destination of strangers)
      await this.#begin(destination, this.#calendarDate(destination), 'start')
  }

  /** What others have done since. */
  async follow(): Promise<void> {
    const reading = ++this.#readings
    const days = new Map<string, BusinessDay[]>()
    const read = await this.#ports.book.days()
    // A slow one that was begun before another knows no cutover since, and a date never goes back.
    if (reading < this.#lastRead) return
    this.#lastRead = reading
    for (const day of read) {
      const of = days.get(day.destination)
      if (of === undefined) days.set(day.destination, [day])
      else of.push(day)
    }
    this.#days = days
    this.#readAt = this.#ports.clock.monotonicMs()
  }

  /** The business date of what is routed to `destination` now. */
  today(destination: string): string {
    return this.#days.get(destination)?.at(-1)?.date ?? this.#calendarDate(destination)
  }

  postingDays(destination: string): PostingDays {
    const days = this.#days.get(destination) ?? []
    return {
      today: this.today(destination),
      open: days.map(({ date }) => date).filter((date) => !this.#closed.has(`${destination} ${date}`)),
      closed: this.#closedOf(destination),
    }
  }

  #closedOf(destination: string): readonly string[] {
    const start = `${destination} `
    return [...this.#closed].flatMap((name) => (name.startsWith(start) ? [name.slice(start.length)] : []))
  }

  /** Asked when the books refused entries of that date; from then on they go to its adjustments. */
  async isClosed(destination: string, date: string): Promise<boolean> {
    const isClosed = await this.#ports.book.isClosed(destination, date)
    if (isClosed) this.#closed.add(`${destination} ${date}`)
    return isClosed
  }

  /**
   * A network says that its next business date begins. `monthAndDay` is DE15; where the network does not say, it is the
   * date after the current one. What was done before is acknowledged and ignored, with an alarm (B5).
   */
  networkCutover(
    destination: string,
    { monthAndDay, described }: { readonly monthAndDay: string | undefined; readonly described: string },
  ): Promise<'begun' | 'ignored' | 'refused'> {
    return this.#locks.run(destination, () => {
      if (monthAndDay === undefined) return this.#nextDay(destination, described)
      const date = dateOfElement(monthAndDay, this.#ports.clock.wallMs())
      return this.#asked(destination, date, described)
    })
  }

  /** By the clock, and what follows of it: run every second or so. */
  async sweep(): Promise<void> {
    await this.follow()
    for (const destination of this.#ports.schedules.keys()) {
      const date = this.#calendarDate(destination)
      if (date <= this.today(destination)) continue
      await this.#locks.run(destination, async () => {
        if (date > this.today(destination)) await this.#begin(destination, date, 'schedule')
      })
    }
    for (const days of this.#days.values()) if (days.length > 1) await this.#freezeInOrder(days.slice(0, -1))
  }

  async #nextDay(destination: string, described: string): Promise<'begun' | 'ignored' | 'refused'> {
    const current = this.#days.get(destination)?.at(-1)
    const forMs = (current?.beganMsAgo ?? 0) + this.#ports.clock.monotonicMs() - this.#readAt
    const next = dateAfter(this.today(destination), 1)
    const isOld = current?.cause === 'start' || forMs >= dayMsMin
    return this.#asked(destination, isOld ? next : this.today(destination), described)
  }

  async #asked(
    destination: string,
    date: string | undefined,
    described: string,
  ): Promise<'begun' | 'ignored' | 'refused'> {
    const { observer } = this.#ports
    const current = this.today(destination)
    if (date === undefined || daysBetween(current, date) > aheadDaysMax) {
      observer.alarm('a cutover to a date that cannot be meant was refused', `${destination} ${date ?? ''}`)
      return 'refused'
    }
    if (date > current && (await this.#begin(destination, date, 'network', described)) === 'begun')
      return 'begun'
    observer.alarm('a cutover that had happened before was ignored', `${destination} ${date}`)
    return 'ignored'
  }

  async #begin(
    destination: string,
    date: string,
    cause: CutoverCause,
    described = '',
  ): Promise<'begun' | 'exists'> {
    const { book, node, observer } = this.#ports
    const begun = await book.begin({ destination, date, cause, who: node, described })
    await this.follow()
    if (begun === 'begun') observer.cutover(destination, date, cause)
    return begun
  }

  /** A date's books are closed together with all before it. */
  async #freezeInOrder(days: readonly BusinessDay[]): Promise<void> {
    for (const day of days) if (!day.frozen && !(await this.#freeze(day))) return
  }

  /** Totals freeze when nothing of the day is under way any more, or when its time is over (B4). */
  async #freeze({ destination, date }: BusinessDay): Promise<boolean> {
    const { book, clock, freezeAfterMs = freezeAfterMsDefault, observer } = this.#ports
    const days = this.#days.get(destination) ?? []
    const next = days[days.findIndex((day) => day.date === date) + 1]
    if (next === undefined || next.beganMsAgo < freezeMsMin) return false
    const isOver = next.beganMsAgo >= freezeAfterMs
    const askedAt = clock.monotonicMs()
    if (!isOver && askedAt < (this.#askAgainAt.get(`${destination} ${date}`) ?? askedAt)) return false
    const stragglers = await book.unresolved(destination, date)
    if (stragglers > 0 && !isOver) {
      // Where very much is owed it takes long to look through that, and payments need the database more.
      const tookMs = clock.monotonicMs() - askedAt
      this.#askAgainAt.set(`${destination} ${date}`, askedAt + tookMs * restPerLook)
      return false
    }
    this.#askAgainAt.delete(`${destination} ${date}`)
    // The accounts are closed first: what comes late finds them so, and goes to the adjustments.
    if (!(await book.freeze(destination, date, stragglers))) return false
    this.#closed.add(`${destination} ${date}`)
    if (stragglers > 0)
      observer.alarm('a business date was frozen with transactions unresolved', `${destination} ${date}`)
    return true
  }

  #calendarDate(destination: string): string {
    const wallMs = this.#ports.clock.wallMs()
    const schedule = this.#ports.schedules.get(destination)
    return schedule === undefined ? businessDateOf(wallMs) : scheduledDate(schedule, wallMs)
  }
}

/** A network's cutover is acknowledged once it is committed; one that happened before is acknowledged again (B5). */
export function followCutovers(connector: Connector, days: BusinessDays): void {
  connector.onNetworkRequest('cutover', async ({ date, described }) => {
    const outcome = await days.networkCutover(connector.name, { monthAndDay: date, described })
    return outcome === 'refused' ? 'refused' : 'accepted'
  })
}
