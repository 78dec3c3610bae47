import type { Command, Leg, Unit, UnitOutcome } from '../../ledger/ledger.ts'

/**
 * The rules of the books a second time, written to be read and not to be fast, and sharing no code with
 * `ledger/decide.ts`. Money is counted per account in four plain numbers; a unit works on a copy of everything.
 */
export interface ModelAccount {
  currency: string
  debitNormal: boolean
  limited: boolean
  closed: boolean
  dr: bigint
  cr: bigint
  drHeld: bigint
  crHeld: bigint
  entries: bigint
}

interface ModelHold {
  currency: string
  total: bigint
  taken: bigint
  over: boolean
  expiresAt: number
  legs: { account: string; debit: boolean; open: bigint }[]
}

interface ModelPosting {
  kind: string
  undone: boolean
  moved: { account: string; debit: boolean; amount: bigint }[]
}

interface State {
  accounts: Record<string, ModelAccount>
  holds: Record<string, ModelHold>
  postings: Record<string, ModelPosting>
  /** Closed up to and including this date, by network; `*` is everybody. */
  closed: Record<string, string>
}

/** A refusal; what it says is all that is needed of it. */
class No extends Error {}

/** One of each is enough: making an error is most of what a refusal would cost. */
const refusals = new Map<string, No>()

function need(truth: boolean, reason: string): asserts truth {
  if (truth) return
  const refusal = refusals.get(reason) ?? new No(reason)
  refusals.set(reason, refusal)
  throw refusal
}

const most = 9_223_372_036_854_775_807n

export class Model {
  state: State
  readonly answers = new Map<string, { body: string; outcome: UnitOutcome }>()

  constructor(accounts: Record<string, ModelAccount>) {
    this.state = { accounts, holds: {}, postings: {}, closed: {} }
  }

  commit(unit: Unit): UnitOutcome {
    const body = JSON.stringify(unit.commands, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    const malformed = refusalOf(() => unit.commands.forEach(checkForm))
    if (malformed !== undefined) return malformed
    const known = this.answers.get(unit.key)
    if (known !== undefined)
      return known.body === body ? known.outcome : { kind: 'refused', reason: 'keyReused' }
    const state = copyOf(this.state)
    const refusal = refusalOf(() => {
      for (const command of unit.commands) perform(state, command)
    })
    if (refusal === undefined) this.state = state
    const outcome = refusal ?? { kind: 'committed' }
    this.answers.set(unit.key, { body, outcome })
    return outcome
  }
}

function refusalOf(act: () => void): UnitOutcome | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof No) return { kind: 'refused', reason: error.message }
    throw error
  }
}

/** `structuredClone` would be most of a run's time. What a posting moved is never changed. */
function copyOf({ accounts, holds, postings, closed }: State): State {
  const copied: State = { accounts: {}, holds: {}, postings: {}, closed: { ...closed } }
  for (const path in accounts) copied.accounts[path] = { ...accounts[path]! }
  for (const id in holds) {
    copied.holds[id] = { ...holds[id]!, legs: holds[id]!.legs.map((leg) => ({ ...leg })) }
  }
  for (const id in postings) copied.postings[id] = { ...postings[id]! }
  return copied
}

function checkForm(command: Command): void {
  if (command.kind === 'capture' || command.kind === 'release')
    need(command.amountMinor > 0n && command.amountMinor <= most, 'badAmount')
  if (!('legs' in command)) return
  for (const { amountMinor } of command.legs) need(amountMinor > 0n && amountMinor <= most, 'badAmount')
  need(command.legs.length > 0, 'unbalanced')
  for (const { currency } of command.legs) {
    const own = command.legs.filter((leg) => leg.currency === currency)
    need(total(own, 'debit') === total(own, 'credit'), 'unbalanced')
  }
}

function total(legs: readonly Leg[], side: Leg['side']): bigint {
  return legs.filter((leg) => leg.side === side).reduce((sum, { amountMinor }) => sum + amountMinor, 0n)
}

function perform(state: State, command: Command): void {
  need(state.postings[command.id] === undefined, 'duplicateId')
  const posting: ModelPosting = { kind: command.kind, undone: false, moved: [] }
  const touched = new Set<string>()
  const post = (account: string, debit: boolean, amount: bigint): void => {
    if (amount === 0n) return
    const it = state.accounts[account]!
    if (debit) it.dr += amount
    else it.cr += amount
    it.entries++
    touched.add(account)
    posting.moved.push({ account, debit, amount })
  }
  const hold = (account: string, debit: boolean, amount: bigint): void => {
    if (amount === 0n) return
    const it = state.accounts[account]!
    if (debit) it.drHeld += amount
    else it.crHeld += amount
    it.entries++
    touched.add(account)
  }
  const openHold = (id: string): ModelHold => {
    const it = state.holds[id]
    need(it !== undefined, 'unknownHold')
    need(!it.over, 'holdNotOpen')
    return it
  }
  const raise = (it: ModelHold, legs: readonly Leg[]): void => {
    const sums = new Map<string, { account: string; debit: boolean; amount: bigint }>()
    for (const { account, side, amountMinor } of legs) {
      const sum = sums.get(`${account} ${side}`) ?? { account, debit: side === 'debit', amount: 0n }
      sums.set(`${account} ${side}`, { ...sum, amount: sum.amount + amountMinor })
    }
    for (const { account, debit, amount } of sums.values()) {
      hold(account, debit, amount)
      const leg = it.legs.find((each) => each.account === account && each.debit === debit)
      if (leg === undefined) it.legs.push({ account, debit, open: amount })
      else leg.open += amount
    }
    it.total += total(legs, 'debit')
  }

  switch (command.kind) {
    case 'post':
      checkLegs(state, command.legs)
      checkDates(state, command.legs, command.effectiveAt)
      checkConditions(state, command.conditions)
      for (const leg of command.legs) post(leg.account, leg.side === 'debit', leg.amountMinor)
      break
    case 'authorize': {
      checkLegs(state, command.legs)
      checkConditions(state, command.conditions)
      const [{ currency }] = command.legs as [Leg]
      need(
        command.legs.every((leg) => leg.currency === currency),
        'wrongCurrency',
      )
      need(total(command.legs, 'debit') <= most, 'overflow')
      const it = { currency, total: 0n, taken: 0n, over: false, expiresAt: command.expiresAt, legs: [] }
      raise(it, command.legs)
      state.holds[command.id] = it
      break
    }
    case 'increment': {
      const it = openHold(command.holdId)
      checkLegs(state, command.legs)
      need(
        command.legs.every((leg) => leg.currency === it.currency),
        'wrongCurrency',
      )
      need(it.total + total(command.legs, 'debit') <= most, 'overflow')
      raise(it, command.legs)
      it.expiresAt = command.expiresAt ?? it.expiresAt
      break
    }
    case 'capture': {
      const it = openHold(command.holdId)
      const sides = [true, false].map((debit) => it.legs.filter((leg) => leg.debit === debit))
      const open = sides[0]!.reduce((sum, leg) => sum + leg.open, 0n)
      need(command.amountMinor <= open, 'overCapture')
      checkDates(state, it.legs, command.effectiveAt)
      for (const legs of sides) {
        let openSoFar = 0n
        let givenSoFar = 0n
        for (const leg of legs) {
          openSoFar += leg.open
          const share = (openSoFar * command.amountMinor) / open - givenSoFar
          givenSoFar += share
          const freed = command.final ? leg.open : share
          hold(leg.account, leg.debit, -freed)
          post(leg.account, leg.debit, share)
          leg.open -= freed
        }
      }
      it.taken += command.amountMinor
      it.over = command.final || command.amountMinor === open
      break
    }
    case 'release': {
      const it = openHold(command.holdId)
      const open = it.legs.reduce((sum, leg) => (leg.debit ? sum + leg.open : sum), 0n)
      need(command.amountMinor <= open, 'overRelease')
      for (const debit of [true, false]) {
        let [openSoFar, givenSoFar] = [0n, 0n]
        for (const leg of it.legs.filter((each) => each.debit === debit)) {
          openSoFar += leg.open
          const share = (openSoFar * command.amountMinor) / open - givenSoFar
          givenSoFar += share
          hold(leg.account, debit, -share)
          leg.open -= share
        }
      }
      it.over = command.amountMinor === open
      break
    }
    case 'void':
    case 'expire': {
      const it = openHold(command.holdId)
      need(command.kind === 'void' || command.effectiveAt >= it.expiresAt, 'holdNotExpired')
      for (const leg of it.legs) {
        hold(leg.account, leg.debit, -leg.open)
        leg.open = 0n
      }
      it.over = true
      break
    }
    case 'reverse': {
      const first = state.postings[command.reverses]
      need(first !== undefined && ['post', 'capture'].includes(first.kind), 'unknownPosting')
      need(!first.undone, 'alreadyReversed')
      need(
        first.moved.every(({ account }) => !state.accounts[account]!.closed),
        'closedAccount',
      )
      checkDates(state, first.moved, command.effectiveAt)
      for (const { account, debit, amount } of first.moved) post(account, !debit, amount)
      first.undone = true
      break
    }
    case 'close': {
      const it = state.accounts[command.account]
      need(it !== undefined, 'unknownAccount')
      need(!it.closed, 'closedAccount')
      need(it.dr === it.cr && it.drHeld === 0n && it.crHeld === 0n, 'accountNotEmpty')
      it.closed = true
      break
    }
    case 'closePeriod': {
      const { scope, through } = command
      need((state.closed[scope] ?? '') < through, 'closedPeriod')
      for (const [path, { closed }] of Object.entries(state.accounts)) {
        const [kind, network, date = ''] = path.split(':')
        const meant = (kind === 'net' || kind === 'suspense') && [network, '*'].includes(scope)
        need(!meant || closed || date > through, 'openAccount')
      }
      state.closed[scope] = through
    }
  }
  for (const path of touched) {
    const it = state.accounts[path]!
    need(it.dr + it.drHeld <= most && it.cr + it.crHeld <= most, 'overflow')
  }
  for (const path of touched)
    need(!state.accounts[path]!.limited || free(state.accounts[path]!) >= 0n, 'insufficientFunds')
  state.postings[command.id] = posting
}

function checkLegs(state: State, legs: readonly Leg[]): void {
  for (const { account, currency } of legs) {
    const it = state.accounts[account]
    need(it !== undefined, 'unknownAccount')
    need(!it.closed, 'closedAccount')
    need(it.currency === currency, 'wrongCurrency')
  }
}

/** Money of a network, or any at all where all is closed, does not move on a day that is over. */
function checkDates(state: State, legs: readonly { account: string }[], at: number): void {
  const date = new Date(at + 10_800_000).toISOString().slice(0, 10)
  for (const { account } of legs) {
    const [kind, network = ''] = account.split(':')
    const ofNetwork = ['net', 'suspense', 'settlement', 'scheme'].includes(kind!)
    for (const scope of ofNetwork ? ['*', network] : ['*'])
      need(date > (state.closed[scope] ?? ''), 'closedPeriod')
  }
}

function checkConditions(
  state: State,
  conditions: readonly { account: string; availableMinor?: bigint; version?: bigint }[] = [],
): void {
  for (const { account, availableMinor, version } of conditions) {
    const it = state.accounts[account]
    need(it !== undefined, 'unknownAccount')
    need(availableMinor === undefined || free(it) >= availableMinor, 'conditionFailed')
    need(version === undefined || it.entries === version, 'conditionFailed')
  }
}

function free({ debitNormal, dr, cr, drHeld, crHeld }: ModelAccount): bigint {
  return debitNormal ? dr - cr - crHeld : cr - dr - drHeld
}
