import type { LegIdentity } from '../../connectors/connector.ts'
import type { ClaimQuery } from '../../switch/journal.ts'
import type { Balance, Reconciliation } from '../../switch/reconciliation.ts'
import type { Obligation } from '../../switch/transaction/transaction.ts'

export interface StoredObligation extends Omit<Obligation, 'cause'> {
  readonly cause: string
  /** Of totals: nobody's transaction. */
  readonly reconciliation?: Reconciliation
  balance?: Balance
  state: 'due' | 'acknowledged' | 'parked' | 'notNeeded'
  nextAt: number
  attempts: number
  refusals: number
  leaseUntil: number
  fence: bigint
  readonly card: number
  /** When it could first go. */
  readonly dueAt: number
  closedAt: number | undefined
  /** What its destination said to it in the end. */
  responseCode: string | undefined
  identity: LegIdentity | undefined
}

/** What may be delivered now, of all that was ever owed, in the order in which it became owed. */
export function claimable(
  all: Iterable<StoredObligation>,
  { destination, lanes, order, limit }: ClaimQuery,
  now: number,
): StoredObligation[] {
  const isFree = (one: StoredObligation): boolean => one.nextAt <= now && one.leaseUntil <= now
  const here: StoredObligation[] = []
  let isAnyFree = false
  for (const one of all) {
    if (one.destination !== destination) continue
    here.push(one)
    isAnyFree ||= one.state === 'due' && isFree(one)
  }
  if (!isAnyFree) return []
  const isHeld = (one: StoredObligation): boolean => {
    const parked = here.findIndex(
      ({ state, transactionId }) =>
        state === 'parked' && transactionId !== '' && transactionId === one.transactionId,
    )
    return parked !== -1 && parked < here.indexOf(one)
  }
  const owed = here.filter((one) => one.state === 'due' && !isHeld(one))
  if (order === 'strict') return owed.slice(0, 1).filter(isFree)
  const barrierAt = owed.findIndex(({ kind }) => kind === 'reconciliation')
  if (barrierAt === 0) return owed.slice(0, 1).filter(isFree)
  const reachable = barrierAt === -1 ? owed : owed.slice(0, barrierAt)
  const taken = new Set(owed.filter((one) => one.leaseUntil > now).map(({ card }) => card % lanes))
  const first = reachable.filter((one) => reachable.find(({ card }) => card === one.card) === one)
  const claimed: StoredObligation[] = []
  for (const one of first.filter(isFree).sort((a, b) => a.nextAt - b.nextAt)) {
    if (claimed.length === limit || taken.has(one.card % lanes)) continue
    taken.add(one.card % lanes)
    claimed.push(one)
  }
  return claimed
}
