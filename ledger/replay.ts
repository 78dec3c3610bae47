import type { AccountOpened } from './chain.ts'
import type { Entry, Posting } from './decide.ts'

/**
 * The projections, computed anew from the postings alone, and apart from `decide`: that one says what should be
 * written, this one what follows from what was.
 */

export interface Finding {
  readonly kind: 'altered' | 'missing' | 'extra' | 'unbalanced'
  readonly table: string
  readonly row: string
  readonly what: string
}

export interface BalanceState {
  readonly debits: bigint
  readonly credits: bigint
  readonly debitsPending: bigint
  readonly creditsPending: bigint
  readonly version: bigint
  readonly closed: boolean
  readonly limit: string
  readonly normalSide: string
}

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

interface AccountNow {
  readonly terms: AccountOpened
  debits: bigint
  credits: bigint
  debitsPending: bigint
  creditsPending: bigint
  version: bigint
  closed: boolean
  seen: boolean
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
  readonly #accounts = new Map<bigint, AccountNow>()
  readonly #paths = new Map<string, bigint>()
  readonly #holds = new Map<bigint, HoldNow>()
  readonly #reversed = new Set<bigint>()

  open(terms: AccountOpened): void {
    const none = { debits: 0n, credits: 0n, debitsPending: 0n, creditsPending: 0n, version: 0n }
    this.#accounts.set(terms.id, { terms, ...none, closed: false, seen: false })
    this.#paths.set(terms.path, terms.id)
  }

  /** What is wrong with the posting, given all before it. */
  post(posting: Posting): Finding | undefined {
    const unbalanced = sumsToZero(posting)
    if (unbalanced !== undefined) return unbalanced
    const takesBack = posting.kind === 'capture' || posting.kind === 'void' || posting.kind === 'expire'
    for (const [seq, entry] of posting.entries.entries()) {
      const wrong = this.#enter(entry, takesBack)
      if (wrong !== undefined) {
        return { kind: 'altered', table: 'entry', row: `entry ${seq} of posting ${posting.id}`, what: wrong }
      }
    }
    const wrong = this.#facts(posting)
    return wrong === undefined
      ? undefined
      : { kind: 'altered', table: 'posting', row: `posting ${posting.id}`, what: wrong }
  }

  #enter(entry: Entry, takesBack: boolean): string | undefined {
    const account = this.#accounts.get(entry.accountId)
    if (account === undefined) return 'is on an account that was never opened'
    if (account.closed) return 'is on an account that was closed'
    if (account.terms.currency !== entry.currency) return 'is in another currency than its account'
    const { amount } = entry
    if (entry.layer === 0) {
      if (amount > 0n) account.debits += amount
      else account.credits -= amount
    } else if (takesBack) {
      if (amount > 0n) account.creditsPending -= amount
      else account.debitsPending += amount
    } else if (amount > 0n) {
      account.debitsPending += amount
    } else {
      account.creditsPending -= amount
    }
    account.version += 1n
    if (entry.accountVersion !== account.version)
      return `is number ${entry.accountVersion} of its account, not ${account.version}`
    if (entry.balanceAfter !== account.debits - account.credits) return 'has a balance that does not follow'
    if (
      entry.debitsPendingAfter !== account.debitsPending ||
      entry.creditsPendingAfter !== account.creditsPending
    ) {
      return 'has a pending amount that does not follow'
    }
    return undefined
  }

  #facts(posting: Posting): string | undefined {
    switch (posting.kind) {
      case 'post':
        return undefined
      case 'authorize':
        return this.#authorize(posting)
      case 'increment':
      case 'capture':
      case 'void':
      case 'expire':
        return this.#onHold(posting)
      case 'reverse':
        if (posting.reverses === undefined || posting.reverses >= posting.id) return 'reverses nothing'
        if (this.#reversed.has(posting.reverses)) return 'reverses what was reversed before'
        this.#reversed.add(posting.reverses)
        return undefined
      case 'close':
        return this.#close(posting.meta?.['account'])
    }
  }

  #authorize({ id, entries, expiresAt }: Posting): string | undefined {
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

  #onHold({ kind, holdId, entries, expiresAt }: Posting): string | undefined {
    const hold = holdId === undefined ? undefined : this.#holds.get(holdId)
    if (hold?.state !== 'open') return 'is about a hold that is not open'
    hold.version += 1n
    for (const entry of entries) {
      if (kind === 'increment') raise(hold, entry)
      else if (entry.layer === 1 && !lower(hold, entry)) return 'takes back what was not set aside'
      else if (entry.layer === 0 && entry.amount > 0n) hold.captured += entry.amount
    }
    if (kind === 'increment') hold.expiresAt = expiresAt ?? hold.expiresAt
    if (kind === 'void') hold.state = 'voided'
    if (kind === 'expire') hold.state = 'expired'
    if (kind === 'capture' && hold.open.every((open) => open === 0n)) hold.state = 'captured'
    return undefined
  }

  #close(path: string | undefined): string | undefined {
    const account = path === undefined ? undefined : this.#accounts.get(this.#paths.get(path) ?? 0n)
    if (account === undefined) return 'closes no account'
    account.closed = true
    return undefined
  }

  balanceDiffers(id: bigint, stored: BalanceState): Finding | undefined {
    const account = this.#accounts.get(id)
    const found = { table: 'balance', row: `account ${id}` }
    if (account === undefined) return { ...found, kind: 'extra', what: 'is of no account' }
    if (account.seen) return { ...found, kind: 'extra', what: 'is there twice' }
    account.seen = true
    const { terms } = account
    const names = ['debits', 'credits', 'debitsPending', 'creditsPending', 'version', 'closed'] as const
    const name =
      names.find((each) => stored[each] !== account[each]) ??
      (['limit', 'normalSide'] as const).find((each) => stored[each] !== terms[each])
    return name === undefined
      ? undefined
      : { ...found, kind: 'altered', what: `${name} is not what its entries say` }
  }

  accountWithoutBalance(): bigint | undefined {
    for (const [id, { seen }] of this.#accounts) if (!seen) return id
    return undefined
  }

  holdDiffers(id: bigint, stored: HoldState): Finding | undefined {
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

  holdNotSeen(): bigint | undefined {
    for (const [id, { seen }] of this.#holds) if (!seen) return id
    return undefined
  }
}

function sumsToZero({ id, entries }: Posting): Finding | undefined {
  const sums = new Map<string, bigint>()
  for (const { currency, layer, amount } of entries) {
    const key = `${currency} ${layer}`
    sums.set(key, (sums.get(key) ?? 0n) + amount)
  }
  for (const [key, sum] of sums) {
    if (sum === 0n) continue
    const what = `is off balance by ${sum} in ${key.slice(0, 3)}`
    return { kind: 'unbalanced', table: 'posting', row: `posting ${id}`, what }
  }
  return undefined
}

function legOf(hold: HoldNow, accountId: bigint, debit: boolean): number {
  return hold.accountIds.findIndex((id, index) => id === accountId && hold.amounts[index]! > 0n === debit)
}

function raise(hold: HoldNow, { accountId, amount }: Entry): void {
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

/** False when the leg has less than that. */
function lower(hold: HoldNow, { accountId, amount }: Entry): boolean {
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
