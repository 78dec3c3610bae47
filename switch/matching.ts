import type { TotalOf } from './reconciliation.ts'

/** One thing that was done on a business date, as one of the two sides has it. */
export interface MatchItem {
  readonly type: TotalOf
  readonly isReversal: boolean
  readonly rrn: string
  readonly terminal: string
  /** ISO 4217, three letters. */
  readonly currency: string
  readonly minor: bigint
  /** YYYY-MM-DD: the business date on which that side counts it. */
  readonly date: string
}

/** What an earlier match left open: its other half may come now. */
export interface CarriedItem extends MatchItem {
  /** The item of the queue; undefined: no match has seen its date yet. */
  readonly queued?: string
}

/** §4.15, C3. */
export const matchStates = [
  'matched',
  'oursOnly',
  'theirsOnly',
  'amountDiffers',
  'dateDiffers',
  'duplicated',
] as const
export type MatchState = (typeof matchStates)[number]

/** What one side says of an item. */
export interface Said {
  readonly currency: string
  readonly minor: bigint
  readonly date: string
}

export interface Difference {
  readonly state: Exclude<MatchState, 'matched'>
  readonly type: TotalOf
  readonly isReversal: boolean
  readonly rrn: string
  readonly terminal: string
  readonly ours?: Said
  readonly theirs?: Said
  readonly queued?: string
}

/** Of one state and one currency. Sums are what the network owes us by each side: debits less credits, less what was undone. */
export interface MatchCount {
  readonly state: MatchState
  readonly currency: string
  readonly items: number
  readonly oursMinor: bigint
  readonly theirsMinor: bigint
}

export interface MatchReport {
  readonly counts: readonly MatchCount[]
  /** In order of reference, so that the order in which items came changes nothing. */
  readonly differing: readonly Difference[]
  /** Of the matched: what one side alone has, and undid on the same date, so that nothing of it is left. */
  readonly cameAndWent: number
}

export interface Matched {
  /** Ours of the date. */
  readonly ours: readonly MatchItem[]
  /** All that the network's statement has. */
  readonly theirs: readonly MatchItem[]
  /** Of other dates, and not met by anything yet. */
  readonly carried?: { readonly ours: readonly CarriedItem[]; readonly theirs: readonly CarriedItem[] }
  /** Ours of other dates that met theirs there: what is like them now is there twice. */
  readonly met?: readonly MatchItem[]
}

/**
 * Compares our items of a date with those of a network's statement (C3). An item is named by reference (DE37), terminal
 * (DE41), what it is, and whether it undoes; several of one name are told apart by amount and date alone. Time grows with
 * the number of items; only transactions of which something differs are looked at more closely.
 */
export function match({ ours, theirs, carried, met = [] }: Matched): MatchReport {
  const differing = unlike(ours, theirs)
  const tally = new Tally()
  const cases = new Map<string, Sides>()
  const sort = (items: readonly CarriedItem[], side: keyof Sides, isAsked: boolean): void => {
    for (const item of items) {
      const name = transactionOf(item)
      if (!differing.has(name)) {
        // The other half of it is counted with ours.
        if (isAsked)
          tally.add('matched', side === 'ours' ? { ours: item } : { theirs: item }, side === 'ours')
        continue
      }
      let sides = cases.get(name)
      if (sides === undefined) cases.set(name, (sides = noSides()))
      sides[side].push(item)
    }
  }
  sort(ours, 'ours', true)
  sort(theirs, 'theirs', true)
  sort(carried?.ours ?? [], 'carriedOurs', false)
  sort(carried?.theirs ?? [], 'carriedTheirs', false)
  sort(met, 'met', false)
  const found: Difference[] = []
  let cameAndWent = 0
  for (const sides of cases.values()) {
    const { pairs, alone } = paired(sides)
    for (const pair of pairs) {
      tally.add(pair.state, pair)
      if (pair.state !== 'matched') found.push(differenceOf(pair.state, pair))
    }
    for (const one of withoutWhatCameAndWent(alone)) {
      tally.add(one.state, one)
      if (one.state === 'matched') cameAndWent++
      else found.push(differenceOf(one.state, one))
    }
  }
  return { counts: tally.counts(), differing: found.sort(byName), cameAndWent }
}

/** What money hangs on, seen from us: what the network owes for it, or below zero what we do. */
export function owedFor({
  isReversal,
  minor,
  type,
}: Pick<MatchItem, 'isReversal' | 'minor' | 'type'>): bigint {
  if (type !== 'debit' && type !== 'credit') return 0n
  return (type === 'debit') === isReversal ? -minor : minor
}

/** An inquiry or an authorization that one side does not know of costs nobody anything. */
export function movesMoney({ ours, theirs, type }: Difference): boolean {
  return (
    (type === 'debit' || type === 'credit') && ((ours?.minor ?? 0n) !== 0n || (theirs?.minor ?? 0n) !== 0n)
  )
}

/** Transactions that are not the same, item by item, on both sides. */
function unlike(ours: readonly MatchItem[], theirs: readonly MatchItem[]): Set<string> {
  const left = new Map<string, number>()
  for (const item of ours) {
    const name = wholeOf(item)
    left.set(name, (left.get(name) ?? 0) + 1)
  }
  const differing = new Set<string>()
  for (const item of theirs) {
    const name = wholeOf(item)
    const count = left.get(name)
    if (count === undefined) differing.add(transactionOf(item))
    else if (count === 1) left.delete(name)
    else left.set(name, count - 1)
  }
  if (left.size === 0) return differing
  for (const item of ours) if (left.has(wholeOf(item))) differing.add(transactionOf(item))
  return differing
}

interface Sides {
  readonly ours: MatchItem[]
  readonly theirs: MatchItem[]
  readonly carriedOurs: CarriedItem[]
  readonly carriedTheirs: CarriedItem[]
  readonly met: MatchItem[]
}

function noSides(): Sides {
  return { ours: [], theirs: [], carriedOurs: [], carriedTheirs: [], met: [] }
}

interface Pair {
  readonly state: 'matched' | 'dateDiffers' | 'amountDiffers'
  readonly ours: CarriedItem
  readonly theirs: CarriedItem
}

interface Alone {
  readonly state: 'oursOnly' | 'theirsOnly' | 'duplicated'
  readonly ours?: MatchItem
  readonly theirs?: MatchItem
}

/** Both sides of one transaction: each item finds the one that is most like it. */
function paired(all: Sides): { readonly pairs: Pair[]; readonly alone: Alone[] } {
  const pairs: Pair[] = []
  const alone: Alone[] = []
  for (const { ours, theirs, carriedOurs, carriedTheirs, met } of byKind(all)) {
    const first = pairs.length
    const meet = (
      state: Pair['state'],
      of: MatchItem[],
      with_: MatchItem[],
      like: (one: MatchItem) => string,
    ) => pairs.push(...meeting(of, with_, like).map(([ours, theirs]) => ({ state, ours, theirs })))
    meet('matched', ours, theirs, wholeOf)
    meet('dateDiffers', ours, theirs, moneyOf)
    meet('dateDiffers', ours, carriedTheirs, moneyOf)
    meet('dateDiffers', carriedOurs, theirs, moneyOf)
    meet('amountDiffers', ours, theirs, () => '')
    const metOnce = new Set(met.map(moneyOf))
    const oursPaired = new Set([...metOnce, ...pairs.slice(first).map((pair) => moneyOf(pair.ours))])
    const theirsPaired = new Set([...metOnce, ...pairs.slice(first).map((pair) => moneyOf(pair.theirs))])
    for (const item of ours)
      alone.push({ state: oursPaired.has(moneyOf(item)) ? 'duplicated' : 'oursOnly', ours: item })
    for (const item of theirs)
      alone.push({ state: theirsPaired.has(moneyOf(item)) ? 'duplicated' : 'theirsOnly', theirs: item })
  }
  return { pairs, alone }
}

/** Each of the first with one of the second that is like it; those are taken out of both. */
function meeting<T extends MatchItem>(ours: T[], theirs: T[], like: (item: T) => string): [T, T][] {
  if (ours.length === 0 || theirs.length === 0) return []
  const waiting = new Map<string, T[]>()
  for (const item of theirs) {
    const same = waiting.get(like(item))
    if (same === undefined) waiting.set(like(item), [item])
    else same.push(item)
  }
  const met: [T, T][] = []
  const unmet = ours.filter((item) => {
    const other = waiting.get(like(item))?.shift()
    if (other !== undefined) met.push([item, other])
    return other === undefined
  })
  ours.splice(0, ours.length, ...unmet)
  theirs.splice(0, theirs.length, ...[...waiting.values()].flat())
  return met
}

/** Sorted, so that it is the same whichever came first. */
function byKind(all: Sides): Sides[] {
  const kinds = new Map<string, Sides>()
  for (const side of ['ours', 'theirs', 'carriedOurs', 'carriedTheirs', 'met'] as const) {
    for (const item of all[side].toSorted(byWhole)) {
      const kind = `${item.type} ${item.isReversal}`
      const sides = kinds.get(kind) ?? noSides()
      kinds.set(kind, sides)
      sides[side].push(item)
    }
  }
  return [...kinds.values()]
}

/**
 * What nobody answered and was then undone is on one side a debit and its undoing, and on the other perhaps nothing: neither
 * can know whether it had ever been done. Where nothing is left of it on that date, nothing differs.
 */
function withoutWhatCameAndWent(
  alone: readonly Alone[],
): (Alone | (Omit<Alone, 'state'> & { readonly state: 'matched' }))[] {
  const placeOf = ({ ours, theirs }: Alone): string => {
    const { type, currency, date } = (ours ?? theirs)!
    return `${ours === undefined ? 'theirs' : 'ours'} ${type} ${currency} ${date}`
  }
  const places = new Map<string, { left: bigint; came: boolean; went: boolean; isTwice: boolean }>()
  for (const one of alone) {
    const { isReversal, minor } = (one.ours ?? one.theirs)!
    const place = places.get(placeOf(one)) ?? { left: 0n, came: false, went: false, isTwice: false }
    places.set(placeOf(one), place)
    // What is there twice is told, even where it was undone.
    if (one.state === 'duplicated') place.isTwice = true
    place.left += isReversal ? -minor : minor
    if (isReversal) place.went = true
    else place.came = true
  }
  return alone.map((one) => {
    const { came, isTwice, left, went } = places.get(placeOf(one))!
    return came && went && !isTwice && left === 0n ? { ...one, state: 'matched' } : one
  })
}

function differenceOf(
  state: Difference['state'],
  { ours, theirs }: { readonly ours?: CarriedItem; readonly theirs?: CarriedItem },
): Difference {
  const { isReversal, rrn, terminal, type } = (ours ?? theirs)!
  const queued = ours?.queued ?? theirs?.queued
  return {
    ...{ state, type, isReversal, rrn, terminal },
    ...(ours && { ours: saidOf(ours) }),
    ...(theirs && { theirs: saidOf(theirs) }),
    ...(queued !== undefined && { queued }),
  }
}

function saidOf({ currency, date, minor }: MatchItem): Said {
  return { currency, minor, date }
}

/** What is counted so far; the first side that is there names the currency in which an item counts. */
class Tally {
  readonly #of = new Map<string, { -readonly [name in keyof MatchCount]: MatchCount[name] }>()

  add(
    state: MatchState,
    { ours, theirs }: { readonly ours?: MatchItem; readonly theirs?: MatchItem },
    isItem = true,
  ): void {
    if (isItem) this.#in(state, (ours ?? theirs)!.currency).items++
    if (ours !== undefined) this.#in(state, ours.currency).oursMinor += owedFor(ours)
    if (theirs !== undefined) this.#in(state, theirs.currency).theirsMinor += owedFor(theirs)
  }

  counts(): MatchCount[] {
    const order = (one: MatchCount): string => `${matchStates.indexOf(one.state)} ${one.currency}`
    return [...this.#of.values()].sort((one, other) => compare(order(one), order(other)))
  }

  #in(state: MatchState, currency: string) {
    const name = `${state} ${currency}`
    let count = this.#of.get(name)
    if (count === undefined)
      this.#of.set(name, (count = { state, currency, items: 0, oursMinor: 0n, theirsMinor: 0n }))
    return count
  }
}

function transactionOf({ rrn, terminal }: MatchItem): string {
  return `${rrn}|${terminal}`
}

function moneyOf({ currency, minor }: MatchItem): string {
  return `${currency}${minor}`
}

function wholeOf({ rrn, terminal, type, isReversal, currency, minor, date }: MatchItem): string {
  return `${rrn}|${terminal}|${type}${isReversal ? '-' : ''}|${currency}${minor}|${date}`
}

function byWhole(one: CarriedItem, other: CarriedItem): number {
  return compare(wholeOf(one), wholeOf(other)) || compare(one.queued ?? '', other.queued ?? '')
}

function byName(one: Difference, other: Difference): number {
  return compare(nameOf(one), nameOf(other))
}

function nameOf({ rrn, terminal, type, isReversal, state, ours, theirs }: Difference): string {
  const said = [ours, theirs].map((side) => `${side?.currency}${side?.minor}${side?.date}`)
  return [rrn, terminal, type, isReversal, state, ...said].join('|')
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
