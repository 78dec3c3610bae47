import { nearestYear } from '../kernel/calendar.ts'

/** Asia/Kuwait is UTC+3 all year: no daylight saving has been kept since the zone was fixed. */
const kuwaitOffsetMs = 3 * 3_600_000
const dayMs = 86_400_000
/** A date further from ours than the longest row of holidays is a mistake. */
export const aheadDaysMax = 10

/** The calendar day in Kuwait, YYYY-MM-DD: what the business date is where nobody has said otherwise. */
export function businessDateOf(wallMs: number): string {
  return isoOf(wallMs + kuwaitOffsetMs).slice(0, 10)
}

/** When a business date ends by the clock and the next begins: `at` is hh:mm in the zone, which is an IANA name. */
export interface CutoverSchedule {
  readonly at: string
  readonly timeZone: string
}

/**
 * The business date by a schedule: at 00:00 the calendar date begins, at an hour of the evening the next one does, and at
 * an hour of the morning the one that the calendar has had since midnight.
 */
export function scheduledDate({ at, timeZone }: CutoverSchedule, wallMs: number): string {
  const { date, minutes } = localTime(timeZone, wallMs)
  const cutover = minutesOf(at)
  const isOver = minutes >= cutover
  if (cutover >= 12 * 60) return isOver ? dateAfter(date, 1) : date
  return isOver ? date : dateAfter(date, -1)
}

/** The date that an MMDD element (DE15, DE17) names, in the year nearest to `wallMs`; undefined: there is none. */
export function dateOfElement(monthAndDay: string, wallMs: number): string | undefined {
  if (!/^\d{4}$/.test(monthAndDay)) return undefined
  const date = `${nearestYear(monthAndDay, wallMs)}-${monthAndDay.slice(0, 2)}-${monthAndDay.slice(2)}`
  return isDate(date) ? date : undefined
}

/** YYYY-MM-DD, and there is such a day. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const ms = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(ms) && isoOf(ms).slice(0, 10) === text
}

export function dateAfter(date: string, days: number): string {
  return isoOf(Date.parse(`${date}T00:00:00Z`) + days * dayMs).slice(0, 10)
}

/** How many days `later` comes after `earlier`; less than none when it comes before. */
export function daysBetween(earlier: string, later: string): number {
  return Math.round((Date.parse(`${later}T00:00:00Z`) - Date.parse(`${earlier}T00:00:00Z`)) / dayMs)
}

/** The first instant of a date in Kuwait, in wall clock ms. */
function startOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) - kuwaitOffsetMs
}

/**
 * The time for which an entry of a business date counts. A date may begin before its day does, and a clock may be behind:
 * what belongs to a date never counts for one before it, whose books may be closed.
 */
export function effectiveOn(date: string, at: number): number {
  return Math.max(at, startOf(date))
}

/** What the postings of a destination must know about its dates. */
export interface PostingDays {
  /** The date on which what happens now is accounted for. */
  readonly today: string
  /** Earlier dates that still take postings. A date after today does too. */
  readonly open: readonly string[]
  /** Dates that the books refused, whatever they are to today. */
  readonly closed?: readonly string[]
}

/**
 * The date that an answer's DE15 puts a transaction on: the network's word stands over ours (B1). One that is no date, or
 * is far from ours, is not believed.
 */
export function settlementDateOf(
  monthAndDay: string | undefined,
  { businessDate, at }: { readonly businessDate: string; readonly at: number },
): string {
  const date = monthAndDay === undefined ? undefined : dateOfElement(monthAndDay, at)
  if (date === undefined) return businessDate
  return Math.abs(daysBetween(businessDate, date)) > aheadDaysMax ? businessDate : date
}

interface LocalTime {
  readonly date: string
  readonly minutes: number
}

/**
 * The calendar and the clock of a zone, by the rules that the runtime has for it. They are asked for every second, and are
 * the same for a minute.
 */
function localTime(timeZone: string, wallMs: number): LocalTime {
  let zone = zones.get(timeZone)
  if (zone === undefined) {
    zone = { format: formatOf(timeZone), read: new Map() }
    zones.set(timeZone, zone)
  }
  const minute = Math.floor(wallMs / 60_000)
  let time = zone.read.get(minute)
  if (time === undefined) {
    time = readTime(zone.format, wallMs)
    if (zone.read.size >= minutesKeptMax) zone.read.clear()
    zone.read.set(minute, time)
  }
  return time
}

function readTime(format: Intl.DateTimeFormat, wallMs: number): LocalTime {
  const parts = new Map(format.formatToParts(wallMs).map(({ type, value }) => [type, value]))
  const part = (name: Intl.DateTimeFormatPartTypes): string => parts.get(name) ?? ''
  return {
    date: `${part('year')}-${part('month')}-${part('day')}`,
    minutes: minutesOf(`${part('hour')}:${part('minute')}`),
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const whole = { year: 'numeric', month: '2-digit', day: '2-digit' } as const
  return new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone, ...whole, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  })
}

/** By their names: what reads them, and the last minutes that were read. */
const zones = new Map<
  string,
  { readonly format: Intl.DateTimeFormat; readonly read: Map<number, LocalTime> }
>()
const minutesKeptMax = 64

function minutesOf(hoursAndMinutes: string): number {
  return Number(hoursAndMinutes.slice(0, 2)) * 60 + Number(hoursAndMinutes.slice(3, 5))
}

function isoOf(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
