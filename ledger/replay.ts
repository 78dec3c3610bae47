import type { AccountOpened } from './chain.ts'
import { Counters } from './counters.ts'
import type { Finding } from './finding.ts'

/**
 * The projections, computed anew from the postings alone, and apart from `decide`: that one says what should be
 * written, this one what follows from what was.
 */

export interface HoldState {
  readonly state: string
  readonly currency: string
  readonly amount: bigint
  readonly captured: bigint
  readonly accountIds: readonly bigint[]
  readonly amounts: readonly bigint[]
  readonly open: readonly bigint[]
  readonly version: bigint
  readonly expiresAt: number
}

/** What a posting about a hold did to it, entry by entry. */
export interface HoldEntry {
  readonly layer: number
  readonly accountId: bigint
  readonly currency: string
  readonly amount: bigint
}

/** What a posting says besides its entries. */
export interface PostingFacts {
  readonly id: number
  readonly kind: string
  readonly holdId: number | undefined
  readonly reverses: number | undefined
  readonly expiresAt: number | undefined
  readonly meta: Readonly<Record<string, string>> | undefined
}

interface HoldNow {
  state: string
  readonly currency: string
  amount: bigint
  captured: bigint
  readonly accountIds: bigint[]
  readonly amounts: bigint[]
  readonly open: bigint[]
  version: bigint
  expiresAt: number
  seen: boolean
}

export class Replay {
  readonly counters = new Counters()
  readonly #paths = new Map<string, number>()
  readonly #holds = new Map<number, HoldNow>()
  readonly #reversed = new Set<number>()
  readonly #periods = new Map<string, { readonly through: string; readonly posting: number }>()

  open(terms: AccountOpened): void {
    this.counters.open(terms)
    this.#paths.set(terms.path, Number(terms.id))
  }

  /** What is wrong with a posting whose entries are in, given all before it. */
  post(posting: PostingFacts, entries: readonly HoldEntry[]): string | undefined {
    switch (posting.kind) {
      case 'authorize':
        return this.#authorize(posting, entries)
      case 'increment':
      case 'capture':
      case 'release':
      case 'void':
      case 'expire':
        return this.#onHold(posting, entries)
      case 'reverse':
        return this.#reverse(posting)
      case 'close':
        return this.#close(posting)
      case 'closePeriod':
        return this.#closePeriod(posting)
      default:
        return undefined
    }
  }

  #authorize({ id, expiresAt }: PostingFacts, entries: readonly HoldEntry[]): string | undefined {
    const [first] = entries
    if (first === undefined || expiresAt === undefined) return 'is a hold of nothing'
    const hold: HoldNow = {
      state: 'open',
      currency: first.currency,
      amount: 0n,
      captured: 0n,
      accountIds: [],
      amounts: [],
      open: [],
      version: 1n,
      expiresAt,
      seen: false,
    }
    this.#holds.set(id, hold)
    for (const entry of entries) raise(hold, entry)
    return undefined
  }

  #onHold({ kind, holdId, expiresAt }: PostingFacts, entries: readonly HoldEntry[]): string | undefined {
    const hold = holdId === undefined ? undefined : this.#holds.get(holdId)
    if (hold?.state !== 'open') return 'is about a hold that is not open'
    hold.version += 1n
    for (const entry of entries) {
      if (kind === 'increment') raise(hold, entry)
      else if (entry.layer === 1 && !lower(hold, entry)) return 'takes back what was not set aside'
      else if (entry.layer === 0 && entry.amount > 0n) hold.captured += entry.amount
    }
    if (kind === 'increment') hold.expiresAt = expiresAt ?? hold.expiresAt
    if (kind === 'void' || (kind === 'release' && isEmpty(hold))) hold.state = 'voided'
    if (kind === 'expire') hold.state = 'expired'
    if (kind === 'capture' && isEmpty(hold)) hold.state = 'captured'
    return undefined
  }

  #reverse({ id, reverses }: PostingFacts): string | undefined {
    if (reverses === undefined || reverses < 1 || reverses >= id) return 'reverses nothing'
    if (this.#reversed.has(reverses)) return 'reverses what was reversed before'
    this.#reversed.add(reverses)
    return undefined
  }

  #close({ meta }: PostingFacts): string | undefined {
    const account = meta?.['account']
    const id = account === undefined ? undefined : this.#paths.get(account)
    if (id === undefined) return 'closes no account'
    this.counters.close(id)
    return undefined
  }

  #closePeriod({ id, meta }: PostingFacts): string | undefined {
    const { scope, through } = meta ?? {}
    if (scope === undefined || through === undefined) return 'closes no period'
    if (through <= (this.#periods.get(scope)?.through ?? '')) return 'closes what was closed before'
    this.#periods.set(scope, { through, posting: id })
    return undefined
  }

  /** By scope: the last date that is closed, and the posting that says so. */
  get periods(): ReadonlyMap<string, { readonly through: string; readonly posting: number }> {
    return this.#periods
  }

  holdDiffers(id: number, stored: HoldState): Finding | undefined {
    const hold = this.#holds.get(id)
    const found = { table: 'hold', row: `hold ${id}` }
    if (hold === undefined) return { ...found, kind: 'extra', what: 'was never authorized' }
    if (hold.seen) return { ...found, kind: 'extra', what: 'is there twice' }
    hold.seen = true
    const names = ['state', 'currency', 'amount', 'captured', 'version', 'expiresAt'] as const
    const lists = ['accountIds', 'amounts', 'open'] as const
    const name =
      names.find((each) => stored[each] !== hold[each]) ??
      lists.find((each) => !sameList(stored[each], hold[each]))
    return name === undefined
      ? undefined
      : { ...found, kind: 'altered', what: `${name} is not what its postings say` }
  }

  holdNotSeen(): number | undefined {
    for (const [id, { seen }] of this.#holds) if (!seen) return id
    return undefined
  }
}

function legOf(hold: HoldNow, accountId: bigint, debit: boolean): number {
  return hold.accountIds.findIndex((id, index) => id === accountId && hold.amounts[index]! > 0n === debit)
}

function raise(hold: HoldNow, { accountId, amount }: HoldEntry): void {
  if (amount > 0n) hold.amount += amount
  const index = legOf(hold, accountId, amount > 0n)
  if (index === -1) {
    hold.accountIds.push(accountId)
    hold.amounts.push(amount)
    hold.open.push(amount)
  } else {
    hold.amounts[index]! += amount
    hold.open[index]! += amount
  }
}

function isEmpty({ open }: HoldNow): boolean {
  return open.every((amount) => amount === 0n)
}

/** False when the leg has less than that. */
function lower(hold: HoldNow, { accountId, amount }: HoldEntry): boolean {
  const index = legOf(hold, accountId, amount < 0n)
  if (index === -1) return false
  const open = hold.open[index]! + amount
  if (open !== 0n && open > 0n !== hold.open[index]! > 0n) return false
  hold.open[index] = open
  return true
}

function sameList(a: readonly bigint[], b: readonly bigint[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
