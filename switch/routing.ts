import type { CurrencyCode } from '../kernel/money.ts'
import type { Kind } from './transaction/kinds.ts'

/** A row of the routing table (§4.18). Of the rows that fit a request the narrowest range wins, then the lower priority number. */
export interface Route {
  /** First and last card number, or their leading digits: `low` is filled up with zeros, `high` with nines. */
  readonly low: string
  readonly high: string
  /** Between rows of one range; 0 where nothing is said. The lower number goes first. */
  readonly priority?: number
  readonly filters?: RouteFilters
  /** Card numbers of the range end in a Luhn digit: one that does not is no card. */
  readonly luhn?: boolean
  readonly strategy: RouteStrategy
}

/** What is left out fits everything. */
export interface RouteFilters {
  readonly kinds?: readonly Kind[]
  /** DE3, or its first digits. */
  readonly processingCodes?: readonly string[]
  /** DE18. */
  readonly merchantTypes?: readonly string[]
  /** DE22, or its first digits. */
  readonly entryModes?: readonly string[]
  /** DE25, which says by which channel the request came. */
  readonly conditionCodes?: readonly string[]
  readonly sources?: readonly string[]
  readonly currencies?: readonly CurrencyCode[]
  readonly amountMinorMin?: bigint
  readonly amountMinorMax?: bigint
}

/** Which destinations, and in which order they are tried. */
export type RouteStrategy =
  | { readonly kind: 'priority'; readonly targets: readonly string[] }
  /** Shares of cards, not of requests: a card goes the same way each time. */
  | {
      readonly kind: 'percent'
      readonly targets: readonly { readonly destination: string; readonly percent: number }[]
    }
  /** What each costs us: a fixed fee and a share of the amount in hundredths of a percent. */
  | {
      readonly kind: 'leastCost'
      readonly targets: readonly {
        readonly destination: string
        readonly feeMinor: bigint
        readonly feeBasisPoints: number
      }[]
    }
  /** Cards of an institution that is the acquirer too need not leave the house. */
  | {
      readonly kind: 'onUs'
      readonly sources: readonly string[]
      readonly onUs: readonly string[]
      readonly offUs: readonly string[]
    }

/** What of a request may decide where it goes. */
export interface RouteQuestion {
  readonly pan: string
  /** What stands for the card; the same each time. */
  readonly token: string
  readonly kind: Kind
  readonly processingCode: string
  readonly merchantType?: string
  readonly entryMode: string
  readonly conditionCode: string
  readonly source: string
  readonly currency: CurrencyCode
  readonly amountMinor: bigint
}

export type Routed =
  /** In the order in which they are tried. */
  | { readonly kind: 'targets'; readonly targets: readonly string[]; readonly row: Route }
  | { readonly kind: 'invalidCard' }
  | { readonly kind: 'noRoute' }

export interface RoutingTable {
  /** Whether any row is for the card number. */
  serves(pan: string): boolean
  route(question: RouteQuestion): Routed
  /** Why each row does or does not fit, in the order in which they are asked; the first that fits is taken. */
  explain(question: RouteQuestion): readonly { readonly row: Route; readonly why: string | undefined }[]
}

const panDigitsMax = 19

/** Throws `RouteError` on rows that contradict each other, or name a destination that is not there. */
export function routingTable(routes: readonly Route[], destinations: ReadonlySet<string>): RoutingTable {
  const rows = routes.map((row, index) => compiled(row, index, destinations)).sort(byPrecedence)
  for (const [index, row] of rows.entries()) {
    const twin = rows.slice(index + 1).find((other) => isEqual(row, other))
    if (twin !== undefined) {
      throw new RouteError(
        `rows ${row.index + 1} and ${twin.index + 1} are for the same cards, and neither goes first`,
      )
    }
  }
  const covers = ({ low, high }: Compiled, pan: string): boolean => {
    const number = pan.padEnd(panDigitsMax, '0')
    return low <= number && number <= high
  }
  const route = (question: RouteQuestion): Routed => {
    const found = rows.find((row) => covers(row, question.pan) && misfitOf(row.row, question) === undefined)
    if (found === undefined) return { kind: 'noRoute' }
    if (found.row.luhn === true && !hasLuhnDigit(question.pan)) return { kind: 'invalidCard' }
    return { kind: 'targets', targets: targetsOf(found.row.strategy, question), row: found.row }
  }
  return {
    serves: (pan) => rows.some((row) => covers(row, pan)),
    route,
    explain: (question) =>
      rows.map((row) => ({
        row: row.row,
        why: covers(row, question.pan) ? misfitOf(row.row, question) : 'another range',
      })),
  }
}

interface Compiled {
  readonly row: Route
  readonly index: number
  readonly low: string
  readonly high: string
  readonly span: bigint
}

function compiled(row: Route, index: number, destinations: ReadonlySet<string>): Compiled {
  const wrong = (what: string): RouteError => new RouteError(`row ${index + 1}: ${what}`)
  for (const digits of [row.low, row.high])
    if (!/^\d{1,19}$/.test(digits))
      throw wrong('a range is between two card numbers, or their leading digits')
  const [low, high] = [row.low.padEnd(panDigitsMax, '0'), row.high.padEnd(panDigitsMax, '9')]
  if (low > high) throw wrong('the range ends before it begins')
  const targets = namesOf(row.strategy)
  if (targets.length === 0) throw wrong('it goes nowhere')
  for (const name of targets)
    if (!destinations.has(name)) throw wrong(`it goes to ${name}, which is not configured`)
  if (row.strategy.kind === 'percent') {
    const sum = row.strategy.targets.reduce((total, { percent }) => total + percent, 0)
    if (sum !== 100) throw wrong(`its shares come to ${sum} percent`)
  }
  return { row, index, low, high, span: BigInt(high) - BigInt(low) }
}

function byPrecedence(one: Compiled, other: Compiled): number {
  if (one.span !== other.span) return one.span < other.span ? -1 : 1
  const priority = (one.row.priority ?? 0) - (other.row.priority ?? 0)
  return priority === 0 ? one.index - other.index : priority
}

/** Two rows that may fit one request, and nothing says which goes first. */
function isEqual(one: Compiled, other: Compiled): boolean {
  if (one.span !== other.span || (one.row.priority ?? 0) !== (other.row.priority ?? 0)) return false
  return one.low <= other.high && other.low <= one.high && mayBothFit(one.row.filters, other.row.filters)
}

function mayBothFit(one: RouteFilters = {}, other: RouteFilters = {}): boolean {
  const share = (left?: readonly string[], right?: readonly string[]): boolean =>
    left === undefined ||
    right === undefined ||
    left.some((value) => right.some((each) => value.startsWith(each) || each.startsWith(value)))
  return (
    share(one.kinds, other.kinds) &&
    share(one.processingCodes, other.processingCodes) &&
    share(one.merchantTypes, other.merchantTypes) &&
    share(one.entryModes, other.entryModes) &&
    share(one.conditionCodes, other.conditionCodes) &&
    share(one.sources, other.sources) &&
    share(one.currencies, other.currencies) &&
    (one.amountMinorMax ?? infinity) >= (other.amountMinorMin ?? 0n) &&
    (other.amountMinorMax ?? infinity) >= (one.amountMinorMin ?? 0n)
  )
}

const infinity = 10n ** 18n

/** The first filter of the row that does not fit the request. */
function misfitOf({ filters = {} }: Route, question: RouteQuestion): string | undefined {
  const within = (wanted: readonly string[] | undefined, value: string | undefined): boolean =>
    wanted === undefined || (value !== undefined && wanted.some((each) => value.startsWith(each)))
  const { amountMinor } = question
  if (filters.kinds !== undefined && !filters.kinds.includes(question.kind)) return 'another kind'
  if (!within(filters.processingCodes, question.processingCode)) return 'another processing code'
  if (!within(filters.merchantTypes, question.merchantType)) return 'another merchant type'
  if (!within(filters.entryModes, question.entryMode)) return 'another entry mode'
  if (!within(filters.conditionCodes, question.conditionCode)) return 'another channel'
  if (filters.sources !== undefined && !filters.sources.includes(question.source)) return 'another source'
  if (filters.currencies !== undefined && !filters.currencies.includes(question.currency))
    return 'another currency'
  if (amountMinor < (filters.amountMinorMin ?? 0n) || amountMinor > (filters.amountMinorMax ?? infinity))
    return 'another amount'
  return undefined
}

function namesOf(strategy: RouteStrategy): readonly string[] {
  switch (strategy.kind) {
    case 'priority':
      return strategy.targets
    case 'percent':
    case 'leastCost':
      return strategy.targets.map(({ destination }) => destination)
    case 'onUs':
      return [...strategy.onUs, ...strategy.offUs]
  }
}

function targetsOf(strategy: RouteStrategy, question: RouteQuestion): readonly string[] {
  switch (strategy.kind) {
    case 'priority':
      return strategy.targets
    case 'percent': {
      const { targets } = strategy
      let place = hashOf(question.token) % 100
      const first = targets.findIndex(({ percent }) => (place -= percent) < 0)
      return [...targets.slice(first), ...targets.slice(0, first)].map(({ destination }) => destination)
    }
    case 'leastCost': {
      const cost = (target: (typeof strategy.targets)[number]): bigint =>
        target.feeMinor * 10_000n + question.amountMinor * BigInt(target.feeBasisPoints)
      const dearer = (one: bigint, other: bigint): number => (one === other ? 0 : one < other ? -1 : 1)
      return [...strategy.targets]
        .sort((one, other) => dearer(cost(one), cost(other)))
        .map(({ destination }) => destination)
    }
    case 'onUs':
      return strategy.sources.includes(question.source) ? strategy.onUs : strategy.offUs
  }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  return hash
}

/** ISO/IEC 7812-1, annex B. */
function hasLuhnDigit(pan: string): boolean {
  let sum = 0
  for (let index = 0; index < pan.length; index++) {
    const digit = pan.charCodeAt(pan.length - 1 - index) - 48
    const doubled = index % 2 === 0 ? digit : digit * 2
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

export class RouteError extends Error {
  readonly what: string

  constructor(what: string) {
    super(`routes: ${what}`)
    this.name = 'RouteError'
    this.what = what
  }
}
