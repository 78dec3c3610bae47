import type { Account, Books, Entry, Hold, Posted, Posting } from './books.ts'
import type { Command, Condition, LedgerRefusal, Leg, Unit } from './contract.ts'
import { amountMax, inputFault, signed } from './form.ts'
import { debitsOf, mergeLegs, share } from './holdlegs.ts'
import { available, lets, moved, posts, setsAside } from './moves.ts'
import type { Move } from './moves.ts'
import { allBooks, datedAs, isClosedAt, isOfClosedDate } from './periods.ts'

/**
 * What the books answer to a unit, decided in order over the part of the books it touches. No I/O, no clock, no
 * chance: the writer runs it over rows it has locked, the simulation over books in memory.
 *
 * A unit is all or nothing. The first command that is refused refuses it, and within a command the checks come in
 * the order of the code below.
 */

export type Decision =
  | { readonly kind: 'accepted'; readonly postings: readonly Posting[]; readonly changes: Changes }
  /** `stored`: a repeat gets the same answer. What is wrong with the unit itself is not stored. */
  | { readonly kind: 'refused'; readonly reason: LedgerRefusal; readonly stored: boolean }
  | { readonly kind: 'replay'; readonly refusal: string | undefined }
  | { readonly kind: 'conflict' }

/** The new state of whatever a unit touches. */
export interface Changes {
  readonly accounts: Map<string, Account>
  readonly holds: Map<string, Hold>
  readonly postings: Map<string, Posted>
  readonly periods: Map<string, string>
}

/** `fingerprint` is the same for the same body of a unit and for no other (`fingerprintOf`). Changes nothing. */
export function decide(books: Books, unit: Unit, fingerprint: string): Decision {
  const wrong = inputFault(unit)
  if (wrong !== undefined) return { kind: 'refused', reason: wrong, stored: false }
  const known = books.units.get(unit.key)
  if (known !== undefined) {
    return known.fingerprint === fingerprint
      ? { kind: 'replay', refusal: known.refusal }
      : { kind: 'conflict' }
  }
  const draft = new Draft(books)
  for (const command of unit.commands) {
    const refusal = draft.run(command)
    if (refusal !== undefined) return { kind: 'refused', reason: refusal, stored: true }
  }
  return { kind: 'accepted', postings: draft.made, changes: draft }
}

/** Makes a decision true for the units after it. */
export function apply(books: Books, unit: Unit, fingerprint: string, decision: Decision): void {
  if (decision.kind === 'accepted') {
    for (const [path, account] of decision.changes.accounts) books.accounts.set(path, account)
    for (const [reference, hold] of decision.changes.holds) books.holds.set(reference, hold)
    for (const [reference, posted] of decision.changes.postings) books.postings.set(reference, posted)
    for (const [scope, through] of decision.changes.periods) books.periods.set(scope, through)
    books.lastPosting += BigInt(decision.postings.length)
    books.units.set(unit.key, { fingerprint, refusal: undefined })
  }
  if (decision.kind === 'refused' && decision.stored) {
    books.units.set(unit.key, { fingerprint, refusal: decision.reason })
  }
}

/** The books as one unit sees them: what it has changed so far, over what was there. */
class Draft implements Changes {
  readonly accounts = new Map<string, Account>()
  readonly holds = new Map<string, Hold>()
  readonly postings = new Map<string, Posted>()
  readonly periods = new Map<string, string>()
  readonly made: Posting[] = []
  readonly #books: Books

  constructor(books: Books) {
    this.#books = books
  }

  run(command: Command): LedgerRefusal | undefined {
    if (this.#posted(command.id) !== undefined) return 'duplicateId'
    switch (command.kind) {
      case 'post':
        return this.#post(command)
      case 'authorize':
        return this.#authorize(command)
      case 'increment':
        return this.#increment(command)
      case 'capture':
        return this.#capture(command)
      case 'release':
        return this.#release(command)
      case 'void':
      case 'expire':
        return this.#letGo(command)
      case 'reverse':
        return this.#reverse(command)
      case 'close':
        return this.#close(command)
      case 'closePeriod':
        return this.#closePeriod(command)
    }
  }

  #post(command: Command & { kind: 'post' }): LedgerRefusal | undefined {
    const refusal =
      this.#legsRefusal(command.legs) ??
      this.#periodRefusal(command.legs, command.effectiveAt) ??
      this.#conditionsRefusal(command.conditions ?? [])
    if (refusal !== undefined) return refusal
    const moves = command.legs.map((leg) => posts(leg.account, signed(leg.side, leg.amountMinor)))
    return this.#enter(command, moves, { meta: command.meta })
  }

  #authorize(command: Command & { kind: 'authorize' }): LedgerRefusal | undefined {
    const refusal = this.#legsRefusal(command.legs) ?? this.#conditionsRefusal(command.conditions ?? [])
    if (refusal !== undefined) return refusal
    const currency = command.legs[0]!.currency
    const legs = mergeLegs([], command.legs)
    const amountMinor = debitsOf(legs, (leg) => leg.amountMinor)
    // A hold is captured by one amount, which must mean something for each of its legs.
    if (command.legs.some((leg) => leg.currency !== currency)) return 'wrongCurrency'
    if (amountMinor > amountMax) return 'overflow'
    const moves = legs.map((leg) => setsAside(leg.account, signed(leg.side, leg.amountMinor)))
    const entered = this.#enter(command, moves, { meta: command.meta, expiresAt: command.expiresAt })
    if (entered !== undefined) return entered
    this.holds.set(command.id, {
      id: this.made.at(-1)!.id,
      reference: command.id,
      state: 'open',
      currency,
      amountMinor,
      capturedMinor: 0n,
      legs,
      expiresAt: command.expiresAt,
      version: 1n,
    })
    return undefined
  }

  #increment(command: Command & { kind: 'increment' }): LedgerRefusal | undefined {
    const hold = this.#hold(command.holdId)
    if (hold === undefined) return 'unknownHold'
    if (hold.state !== 'open') return 'holdNotOpen'
    const refusal = this.#legsRefusal(command.legs)
    if (refusal !== undefined) return refusal
    if (command.legs.some((leg) => leg.currency !== hold.currency)) return 'wrongCurrency'
    const more = mergeLegs([], command.legs)
    const amountMinor = hold.amountMinor + debitsOf(more, (leg) => leg.amountMinor)
    if (amountMinor > amountMax) return 'overflow'
    const expiresAt = command.expiresAt ?? hold.expiresAt
    const moves = more.map((leg) => setsAside(leg.account, signed(leg.side, leg.amountMinor)))
    const entered = this.#enter(command, moves, { holdId: hold.id, expiresAt })
    if (entered !== undefined) return entered
    this.#change(hold, {
      amountMinor,
      legs: mergeLegs(hold.legs, command.legs),
      expiresAt,
    })
    return undefined
  }

  #capture(command: Command & { kind: 'capture' }): LedgerRefusal | undefined {
    const hold = this.#hold(command.holdId)
    if (hold === undefined) return 'unknownHold'
    if (hold.state !== 'open') return 'holdNotOpen'
    const openMinor = debitsOf(hold.legs, (leg) => leg.openMinor)
    if (command.amountMinor > openMinor) return 'overCapture'
    const closed = this.#periodRefusal(hold.legs, command.effectiveAt)
    if (closed !== undefined) return closed

    const shares = share(hold.legs, command.amountMinor, openMinor)
    const moves: Move[] = []
    const legs = hold.legs.map((leg, index) => {
      const captured = shares[index]!
      const released = command.final ? leg.openMinor : captured
      if (released > 0n) moves.push(lets(leg.account, -signed(leg.side, released)))
      if (captured > 0n) moves.push(posts(leg.account, signed(leg.side, captured)))
      return { ...leg, openMinor: leg.openMinor - released }
    })
    const entered = this.#enter(command, moves, { holdId: hold.id })
    if (entered !== undefined) return entered
    this.#change(hold, {
      legs,
      capturedMinor: hold.capturedMinor + command.amountMinor,
      state: command.final || command.amountMinor === openMinor ? 'captured' : 'open',
    })
    return undefined
  }

  #release(command: Command & { kind: 'release' }): LedgerRefusal | undefined {
    const hold = this.#hold(command.holdId)
    if (hold === undefined) return 'unknownHold'
    if (hold.state !== 'open') return 'holdNotOpen'
    const openMinor = debitsOf(hold.legs, (leg) => leg.openMinor)
    if (command.amountMinor > openMinor) return 'overRelease'
    const shares = share(hold.legs, command.amountMinor, openMinor)
    const moves: Move[] = []
    const legs = hold.legs.map((leg, index) => {
      const released = shares[index]!
      if (released > 0n) moves.push(lets(leg.account, -signed(leg.side, released)))
      return { ...leg, openMinor: leg.openMinor - released }
    })
    const entered = this.#enter(command, moves, { holdId: hold.id })
    if (entered !== undefined) return entered
    this.#change(hold, { legs, state: command.amountMinor === openMinor ? 'voided' : 'open' })
    return undefined
  }

  #letGo(command: Command & { kind: 'void' | 'expire' }): LedgerRefusal | undefined {
    const hold = this.#hold(command.holdId)
    if (hold === undefined) return 'unknownHold'
    if (hold.state !== 'open') return 'holdNotOpen'
    if (command.kind === 'expire' && command.effectiveAt < hold.expiresAt) return 'holdNotExpired'
    const open = hold.legs.filter((leg) => leg.openMinor > 0n)
    const moves = open.map((leg) => lets(leg.account, -signed(leg.side, leg.openMinor)))
    const entered = this.#enter(command, moves, { holdId: hold.id })
    if (entered !== undefined) return entered
    const legs = hold.legs.map((leg) => ({ ...leg, openMinor: 0n }))
    this.#change(hold, { legs, state: command.kind === 'void' ? 'voided' : 'expired' })
    return undefined
  }

  #reverse(command: Command & { kind: 'reverse' }): LedgerRefusal | undefined {
    const posted = this.#posted(command.reverses)
    // What a hold set aside is voided, not reversed; a reversal is corrected by a new posting.
    if (posted === undefined || (posted.kind !== 'post' && posted.kind !== 'capture')) return 'unknownPosting'
    if (posted.reversed) return 'alreadyReversed'
    if (posted.moved.some(({ account }) => this.#account(account)!.closed)) return 'closedAccount'
    const closed = this.#periodRefusal(posted.moved, command.effectiveAt)
    if (closed !== undefined) return closed
    const moves = posted.moved.map(({ account, amount }) => posts(account, -amount))
    const entered = this.#enter(command, moves, { reverses: posted.id })
    if (entered !== undefined) return entered
    this.postings.set(command.reverses, { ...posted, reversed: true })
    return undefined
  }

  #close(command: Command & { kind: 'close' }): LedgerRefusal | undefined {
    const account = this.#account(command.account)
    if (account === undefined) return 'unknownAccount'
    if (account.closed) return 'closedAccount'
    const { debits, credits, debitsPending, creditsPending } = account
    if (debits !== credits || debitsPending !== 0n || creditsPending !== 0n) return 'accountNotEmpty'
    const entered = this.#enter(command, [], { meta: { account: account.path } })
    if (entered !== undefined) return entered
    this.accounts.set(account.path, { ...account, closed: true })
    return undefined
  }

  #closePeriod(command: Command & { kind: 'closePeriod' }): LedgerRefusal | undefined {
    const { decided, scope, through } = command
    const before = this.#books.periods.get(scope) ?? ''
    if (through <= (this.periods.get(scope) ?? before)) return 'closedPeriod'
    for (const path of this.#books.accounts.keys()) {
      const of = datedAs(path)
      if (of === undefined || of.date > through || (scope !== allBooks && of.network !== scope)) continue
      if (!this.#account(path)!.closed) return 'openAccount'
    }
    const entered = this.#enter(command, [], { meta: { scope, through, ...decided } })
    if (entered !== undefined) return entered
    this.periods.set(scope, through)
    return undefined
  }

  #legsRefusal(legs: readonly Leg[]): LedgerRefusal | undefined {
    for (const leg of legs) {
      const account = this.#account(leg.account)
      if (account === undefined) {
        return isOfClosedDate(this.#periods, leg.account) ? 'closedPeriod' : 'unknownAccount'
      }
      if (account.closed) return 'closedAccount'
      if (account.currency !== leg.currency) return 'wrongCurrency'
    }
    return undefined
  }

  /** Of money that moves; what is only set aside counts when it is captured. */
  #periodRefusal(
    legs: readonly { readonly account: string }[],
    effectiveAt: number,
  ): LedgerRefusal | undefined {
    const periods = this.#periods
    if (periods.size === 0) return undefined
    return legs.some(({ account }) => isClosedAt(periods, account, effectiveAt)) ? 'closedPeriod' : undefined
  }

  get #periods(): ReadonlyMap<string, string> {
    return this.periods.size === 0 ? this.#books.periods : new Map([...this.#books.periods, ...this.periods])
  }

  #conditionsRefusal(conditions: readonly Condition[]): LedgerRefusal | undefined {
    for (const condition of conditions) {
      const account = this.#account(condition.account)
      if (account === undefined) return 'unknownAccount'
      const { availableMinor, version } = condition
      if (availableMinor !== undefined && available(account) < availableMinor) return 'conditionFailed'
      if (version !== undefined && account.version !== version) return 'conditionFailed'
    }
    return undefined
  }

  /** Writes the posting, unless an account would pass its limit or what a counter holds. */
  #enter(command: Command, moves: readonly Move[], more: PostingFacts): LedgerRefusal | undefined {
    const touched = new Map<string, Account>()
    const entries: Entry[] = []
    for (const move of moves) {
      const account = moved(touched.get(move.account) ?? this.#account(move.account)!, move)
      touched.set(move.account, account)
      entries.push({
        layer: move.effect === 'post' ? 0 : 1,
        accountId: account.id,
        currency: account.currency,
        amount: move.amount,
        accountVersion: account.version,
        balanceAfter: account.debits - account.credits,
        debitsPendingAfter: account.debitsPending,
        creditsPendingAfter: account.creditsPending,
      })
    }
    for (const account of touched.values()) {
      if (account.debits + account.debitsPending > amountMax) return 'overflow'
      if (account.credits + account.creditsPending > amountMax) return 'overflow'
    }
    for (const account of touched.values()) {
      if (account.limit === 'noOverdraft' && available(account) < 0n) return 'insufficientFunds'
    }
    for (const [path, account] of touched) this.accounts.set(path, account)
    const { id: reference, kind, effectiveAt } = command
    const id = this.#books.lastPosting + BigInt(this.made.length) + 1n
    const { holdId, reverses, expiresAt, meta } = more
    this.made.push({ id, reference, kind, effectiveAt, holdId, reverses, expiresAt, meta, entries })
    const posted = moves.filter(({ effect }) => effect === 'post')
    this.postings.set(reference, { id, kind, reversed: false, moved: posted })
    return undefined
  }

  #change(hold: Hold, changes: Partial<Hold>): void {
    this.holds.set(hold.reference, { ...hold, ...changes, version: hold.version + 1n })
  }

  #account(path: string): Account | undefined {
    return this.accounts.get(path) ?? this.#books.accounts.get(path)
  }

  #hold(reference: string): Hold | undefined {
    return this.holds.get(reference) ?? this.#books.holds.get(reference)
  }

  #posted(reference: string): Posted | undefined {
    return this.postings.get(reference) ?? this.#books.postings.get(reference)
  }
}

interface PostingFacts {
  readonly holdId?: bigint
  readonly reverses?: bigint
  readonly expiresAt?: number
  readonly meta?: Readonly<Record<string, string>> | undefined
}
