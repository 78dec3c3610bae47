import type { TotalName } from '../../connectors/connector.ts'
import { type Totals, totalOfKind, type TotalOf } from '../../switch/reconciliation.ts'
import { kinds } from '../../switch/transaction/kinds.ts'
import type { Leg, Transaction } from '../../switch/transaction/transaction.ts'
import type { StoredObligation } from './owed.ts'

/** What one transaction adds to the totals of a date, by our journal. */
export interface Item {
  readonly total: TotalOf
  readonly isReversal: boolean
  readonly transaction: Transaction
  readonly date: string
  readonly minor: bigint
  /** When the journal had it, ms since the history began. */
  readonly recordedAtMs: number
  /** That its destination did it is only known by what it said to the undoing. */
  readonly isInferred: boolean
}

/** What of a history's database says what its totals are made of. */
export interface Recorded {
  readonly transactions: ReadonlyMap<string, { readonly transaction: Transaction }>
  readonly obligations: ReadonlyMap<string, StoredObligation>
  readonly legs: ReadonlyMap<string, Leg>
  readonly events: readonly {
    readonly kind: string
    readonly transactionId: string
    readonly committedAtMs: number
  }[]
  readonly days: {
    readonly all: readonly { readonly destination: string; readonly date: string; readonly beganAt: number }[]
  }
}

/** What the simulated destinations say when something was done, as the switch reads it. */
const approvals: readonly string[] = ['00', '10', '400']
const hadItAlready: readonly string[] = ['94', '913']

function wasDone(code: string | undefined): boolean {
  return code !== undefined && (approvals.includes(code) || hadItAlready.includes(code))
}

/**
 * Everything that a destination did for us, by our journal: what `switch/ports/totals.ts` asks of the real one, said once more
 * of the simulated one.
 */
export function itemsOf(recorded: Recorded, destination: string): Item[] {
  const acknowledged = [...recorded.obligations.values()].filter(
    (one) => one.destination === destination && one.state === 'acknowledged',
  )
  const told = acknowledged.flatMap((one) => toldBy(recorded, one))
  return [...legItems(recorded, destination, acknowledged), ...told]
}

function legItems(
  { events, transactions }: Recorded,
  destination: string,
  acknowledged: readonly StoredObligation[],
): Item[] {
  const items: Item[] = []
  for (const { transaction } of transactions.values()) {
    const { approvedMinor, businessDate: date, leg, request } = transaction
    if (leg?.destination !== destination || request === undefined) continue
    const total = totalOfKind[request.kind]
    if (total === undefined) continue
    const isDone =
      leg.state === 'answered' &&
      [...approvals, ...kinds[request.kind].approvals].includes(leg.responseCode ?? '')
    const undoing = isDone
      ? undefined
      : acknowledged.find(
          ({ cause, kind, legId, responseCode }) =>
            kind === 'reversal' &&
            legId === leg.id &&
            (leg.state === 'intent' ||
              leg.state === 'maybeSent' ||
              (leg.state === 'answered' && cause === 'badAnswer')) &&
            wasDone(responseCode),
        )
    if (!isDone && undoing === undefined) continue
    const ended = events.findLast(
      ({ kind, transactionId }) =>
        (kind === 'legEnded' || kind === 'notCommitted') && transactionId === transaction.id,
    )
    items.push({
      ...{ total, isReversal: false, transaction, date, isInferred: !isDone },
      minor: approvedMinor ?? request.amountMinor,
      recordedAtMs: undoing?.closedAt ?? ended?.committedAtMs ?? 0,
    })
  }
  return items
}

/** What was told afterwards counts on the date on which it was acknowledged. */
function toldBy({ days, legs, transactions }: Recorded, one: StoredObligation): Item[] {
  const { advice, cause, closedAt, destination, kind, legId, responseCode } = one
  if (kind === 'reconciliation' || !wasDone(responseCode)) return []
  const { transaction } = transactions.get(one.transactionId)!
  const ofDestination = days.all.filter((day) => day.destination === destination)
  const { date } = ofDestination.findLast(({ beganAt }) => beganAt <= closedAt!)!
  const of = { transaction, date, recordedAtMs: closedAt!, isInferred: false }
  if (kind === 'advice') return [{ ...of, total: 'debit', isReversal: false, minor: advice!.amountMinor }]
  const leg = legId === undefined ? undefined : legs.get(legId)
  const wasDeclined = leg?.state === 'answered' && !approvals.includes(leg.responseCode ?? '')
  if (cause !== 'badAnswer' && wasDeclined) return []
  const { approvedMinor, request } = transaction
  const total = totalOfKind[request!.kind] ?? 'debit'
  const undoneMinor = one.undoneMinor ?? 0n
  if (total === 'authorization')
    return undoneMinor === 0n ? [] : [{ ...of, total: 'debit', isReversal: true, minor: undoneMinor }]
  const mostMinor = approvedMinor ?? request!.amountMinor
  return [{ ...of, total, isReversal: true, minor: undoneMinor < mostMinor ? undoneMinor : mostMinor }]
}

/** What the items of one date come to, as its destination is told. */
export function totalsOf(items: readonly Item[]): Totals {
  const totals: Record<TotalName, bigint> = {
    ...{ creditCount: 0n, creditReversalCount: 0n, debitCount: 0n, debitReversalCount: 0n },
    ...{ transferCount: 0n, transferReversalCount: 0n, inquiryCount: 0n, authorizationCount: 0n },
    ...{ creditMinor: 0n, creditReversalMinor: 0n, debitMinor: 0n, debitReversalMinor: 0n },
    ...{ creditProcessingFeeMinor: 0n, creditTransactionFeeMinor: 0n },
    ...{ debitProcessingFeeMinor: 0n, debitTransactionFeeMinor: 0n },
  }
  for (const { isReversal, minor, total } of items) {
    switch (total) {
      case 'credit':
      case 'debit':
        totals[`${total}${isReversal ? 'Reversal' : ''}Count`]++
        totals[`${total}${isReversal ? 'Reversal' : ''}Minor`] += minor
        break
      case 'transfer':
        totals[`transfer${isReversal ? 'Reversal' : ''}Count`]++
        break
      case 'inquiry':
      case 'authorization':
        totals[`${total}Count`]++
    }
  }
  return totals
}

/** What an issuer did, by its own book: less than nothing where it undid something. */
export interface IssuerItem {
  readonly rrn: string
  readonly total: 'debit' | 'credit' | 'transfer'
  readonly minor: bigint
  /** Its own business date, and when it did it. */
  readonly date: string
  readonly atMs: number
}
