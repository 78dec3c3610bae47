import { type Held, netOf } from './network.ts'
import type { Booked } from './switch-books.ts'
import type { Told } from './terminals.ts'

export interface Books {
  readonly terminals: ReadonlyMap<string, Told>
  readonly network: ReadonlyMap<string, Held>
  readonly purchases: ReadonlyMap<string, readonly Booked[]>
}

/** Counts of what must not be; each with the first few purchases it was seen on. */
export interface Differences {
  /** One of issuer and ledger holds a purchase that the other does not, or holds another amount. */
  readonly lost: string[]
  /** A purchase that was taken twice. */
  readonly double: string[]
  /** A terminal was told something else than what the books hold, or two different things. */
  readonly answerMismatch: string[]
  /** Somebody asked for an undoing that nobody has acknowledged. */
  readonly reversalOwed: string[]
  /** An outcome that has not come. */
  readonly stuck: string[]
  /** Too young to be judged while traffic runs. */
  readonly pending: string[]
}

/**
 * What must hold of every purchase once it has come to rest: the three books, written by processes that know nothing
 * of each other, say the same. `youngAfter`: what began later and is not settled is pending, not wrong.
 */
export function compareBooks(books: Books, youngAfter: number): Differences {
  const found: Differences = {
    lost: [],
    double: [],
    answerMismatch: [],
    reversalOwed: [],
    stuck: [],
    pending: [],
  }
  const keys = new Set([...books.terminals.keys(), ...books.network.keys(), ...books.purchases.keys()])
  for (const key of keys) {
    const told = books.terminals.get(key)
    const held = books.network.get(key)
    const booked = books.purchases.get(key) ?? []
    if (isPending(told, held, booked, youngAfter)) found.pending.push(key)
    else comparePurchase(key, { told, held, booked }, found)
  }
  return found
}

function isPending(
  told: Told | undefined,
  held: Held | undefined,
  booked: readonly Booked[],
  youngAfter: number,
): boolean {
  const settled =
    told?.open !== true &&
    told?.completionMinor === undefined &&
    told?.reversal !== 'asked' &&
    !booked.some(({ unsettled }) => unsettled)
  const at = Math.max(told?.at ?? 0, held?.at ?? 0, ...booked.map(({ receivedAt }) => receivedAt))
  // A debit without anything in the other books may simply be newer than they were when they were read.
  return at > youngAfter && (!settled || (told === undefined && booked.length === 0))
}

function comparePurchase(
  key: string,
  purchase: {
    readonly told: Told | undefined
    readonly held: Held | undefined
    readonly booked: readonly Booked[]
  },
  found: Differences,
): void {
  const { told, held, booked } = purchase
  const issuer = netOf(held)
  const ledger = booked.reduce((sum, { netMinor }) => sum + netMinor, 0n)
  if (booked.some(({ state }) => state === 'intent' || state === 'reversing')) found.stuck.push(key)
  if (booked.some(({ unsettled }) => unsettled)) found.reversalOwed.push(key)
  // What nobody completed in time: the issuer keeps its own time.
  else if (issuer !== ledger && !booked.some(({ state }) => state === 'expired')) found.lost.push(key)
  if (
    (held?.debits.size ?? 0) > 1 ||
    booked.filter(({ isRaise, netMinor }) => netMinor !== 0n && !isRaise).length > 1
  )
    found.double.push(key)
  if (told !== undefined && !agrees(told, ledger)) found.answerMismatch.push(key)
  if (told?.reversal === 'asked') found.reversalOwed.push(key)
  if (told?.open === true || told?.completionMinor !== undefined) found.stuck.push(key)
}

function agrees(told: Told, ledger: bigint): boolean {
  if (told.conflictApproved || told.answers.size > 1) return false
  if (told.reversal === 'acknowledged') return ledger === 0n
  if (told.reversal === 'asked' || told.completionMinor !== undefined) return true
  return told.answers.has('00') ? ledger === told.amountMinor : ledger === 0n
}
