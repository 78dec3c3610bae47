import type {
  Connector,
  DestinationRules,
  FeeRules,
  LegAnswer,
  LegIdentity,
  OutboundLeg,
  ReconciliationRules,
  TotalName,
} from '../connectors/connector.ts'
import type { FieldValue } from '../iso8583/iso8583.ts'
import { currencies, type CurrencyCode } from '../kernel/money.ts'
import { reversalAccepted1993 } from './results.ts'
import { type Kind, kinds } from './transaction/kinds.ts'

/** What a business date came to with one network in one currency, counted from the journal (§4.15, C1). */
export type Totals = Readonly<Record<TotalName, bigint>>

/** A day's totals, to be told and answered. */
export interface Reconciliation {
  /** YYYY-MM-DD of the business day that has ended. */
  readonly date: string
  readonly currency: CurrencyCode
  readonly totals: Totals
}

/** DE66: what the network says of our totals. */
export type Balance = 'in' | 'out' | 'error'

/** Who wants totals, and what the totals are made of. */
export interface Reconciled {
  readonly rules: ReconciliationRules
  /** What answers say when the network has done what it was asked. */
  readonly approvals: readonly string[]
  readonly fees?: FeeRules
}

/** Of a connector's destination; undefined: it wants none. */
export function reconciledBy(connector: Connector | undefined): Reconciled | undefined {
  const reconciliation = connector?.rules.reconciliation
  if (connector === undefined || reconciliation === undefined) return undefined
  return { rules: reconciliation, fees: connector.rules.fees ?? {}, approvals: doneBy(connector.rules) }
}

/** What a destination's answers say when it has done what it was asked. */
export function doneBy({
  approvals,
  partialApprovals = [],
}: Pick<Connector['rules'], 'approvals' | 'partialApprovals'>): readonly string[] {
  return [...approvals, ...partialApprovals, reversalAccepted1993]
}

/** Which total a kind of transaction counts to; what is told by an advice counts as that. */
export type TotalOf = 'debit' | 'credit' | 'transfer' | 'inquiry' | 'authorization'

export const totalOfKind: Readonly<Partial<Record<Kind, TotalOf>>> = Object.fromEntries(
  (Object.keys(kinds) as Kind[]).flatMap((kind) => {
    const total = totalOf(kind)
    return total === undefined ? [] : [[kind, total]]
  }),
)

function totalOf(kind: Kind): TotalOf | undefined {
  const { books, cardholder } = kinds[kind]
  // A completion is counted by the advice that told it.
  if (kind === 'completion') return undefined
  if (kind === 'verification' || books === 'hold' || books === 'raise') return 'authorization'
  if (books === 'none') return 'inquiry'
  if (cardholder === 'moves') return 'transfer'
  return cardholder === 'isPaid' ? 'credit' : 'debit'
}

/**
 * What we owe the network, or, below zero, what it owes us: credits less debits, of what was not undone, and what it charged
 * less what it paid. What terminals charge is in the amounts, but for those of a network whose DE4 is without it.
 */
export function netOf(totals: Totals, fees?: FeeRules): bigint {
  const { creditMinor, creditReversalMinor, debitMinor, debitReversalMinor } = totals
  // Totals of before fees were counted have none.
  const some = (name: TotalName): bigint => (totals as Partial<Totals>)[name] ?? 0n
  const besideMinor = some('creditTransactionFeeMinor') - some('debitTransactionFeeMinor')
  const amountsMinor = creditMinor - creditReversalMinor - (debitMinor - debitReversalMinor)
  const chargedMinor = some('debitProcessingFeeMinor') - some('creditProcessingFeeMinor')
  return amountsMinor + chargedMinor + (fees?.inAmount === false ? besideMinor : 0n)
}

/** The totals as their network is told them: DE15 and DE50 say which, DE97 what is left between the two. */
export function reconciliationLeg(
  {
    attempts,
    identity,
    reconciliation,
  }: {
    readonly attempts: number
    readonly identity: LegIdentity
    readonly reconciliation: Reconciliation
  },
  rules: ReconciliationRules,
  fees?: DestinationRules['fees'],
): OutboundLeg {
  const { currency, date, totals } = reconciliation
  const fields: Record<number, FieldValue> = {
    15: date.slice(5, 7) + date.slice(8),
    50: currencies[currency].numeric,
    97: signed(netOf(totals, fees)),
  }
  for (const [name, de] of Object.entries(rules.elements)) {
    const total = totals[name as TotalName] as bigint | undefined
    if (total === undefined) continue
    fields[de] = name.endsWith('Count') ? total.toString().padStart(10, '0') : total
  }
  return { mti: attempts === 1 ? rules.mti : `${rules.mti.slice(0, 3)}1`, identity, fields }
}

/** D: the network owes us. */
function signed(minor: bigint): FieldValue {
  return { sign: minor < 0n ? 'D' : 'C', amount: minor < 0n ? -minor : minor }
}

/** DE66, or where it is left out DE39: 95 is out of balance (1987), 915 since 1993. */
export function balanceOf({ responseCode, settlementCode }: LegAnswer): Balance {
  if (settlementCode !== undefined)
    return settlementCode === '1' ? 'in' : settlementCode === '2' ? 'out' : 'error'
  if (responseCode === '00' || responseCode === '000' || responseCode === '500') return 'in'
  return responseCode === '95' || responseCode === '915' || responseCode === '501' ? 'out' : 'error'
}
