import type { UnitRow } from '../../ledger/ledger.ts'
import type { JournalUnit, ObligationChange } from '../journal.ts'
import { laneKeyOf } from '../lanes.ts'
import type { Exposure, Leg, Obligation, SourceAct, Transaction } from '../transaction/transaction.ts'

/** What the end of an authorization's time writes, in the commit that lets go of what it set aside. */
export function expiryRows(hold: { readonly reference: string; readonly expiresAt: number }): UnitRow[] {
  const id = hold.reference.slice(0, hold.reference.indexOf(':'))
  return [
    { kind: 'switch.transaction.expire', values: [id] },
    { kind: 'switch.event.expired', values: [id, BigInt(hold.expiresAt)] },
  ]
}

/** What a node's writes stand under: the name of its lease, and that one's number. */
export interface WritesUnder {
  readonly lease: string
  readonly token: bigint
}

/** `lanesOf`: how many lanes a destination has. */
export function rowsOf(
  unit: JournalUnit,
  lanesOf: (destination: string) => number,
  under: WritesUnder | undefined,
): UnitRow[] {
  const { transaction } = unit
  const rows: UnitRow[] = []
  if (unit.expectedVersion === undefined) {
    rows.push(newTransaction(transaction))
    if (transaction.leg !== undefined) rows.push(newLeg(transaction.id, transaction.leg))
  } else {
    rows.push(changedTransaction(transaction, unit.expectedVersion, unit.onlyWhileApprovable))
    if (unit.ended !== undefined) rows.push(changedLeg(unit.ended), newLeg(transaction.id, transaction.leg!))
    else if (unit.event.kind !== 'delivery' && transaction.leg !== undefined)
      rows.push(changedLeg(transaction.leg))
  }
  const { sequence, kind, at, node, businessDate, cause, detail } = unit.event
  rows.push({
    kind: 'switch.event',
    values: [
      ...[transaction.id, sequence, kind, BigInt(at), node, businessDate, cause, JSON.stringify(detail)],
      ...[under?.lease ?? null, under?.token ?? null],
    ],
  })
  if (unit.sourceAct !== undefined) rows.push(newSourceAct(unit.sourceAct))
  if (unit.overtakes !== undefined) rows.push(newSourceAct(unit.overtakes))
  if (unit.owe.length > 0) {
    const card = laneKeyOf(transaction.card?.token, transaction.id)
    for (const owed of unit.owe) rows.push(obligationRow(owed, card, card % lanesOf(owed.destination)))
  }
  if (unit.obligation !== undefined) rows.push(changedObligation(unit.obligation))
  if (unit.parent !== undefined) {
    const { id, refundMinor, child, ...of } = unit.parent
    rows.push({ kind: 'switch.transaction.refund', values: [id, refundMinor] })
    const event = [id, child, refundMinor, BigInt(of.at), of.node, businessDate]
    rows.push({ kind: 'switch.event.refund', values: event })
  }
  if (unit.exposure !== undefined) rows.push(exposureRow(transaction.id, unit.exposure))
  return rows
}

function newTransaction(transaction: Transaction): UnitRow {
  const { request, card } = transaction
  const { rrn = null, terminalId = null } = request ?? transaction.named ?? {}
  const { kind, amountMinor, currency, cashMinor, feeMinor, ...elements } = request ?? {}
  const cash = cashMinor === undefined ? {} : { cashMinor: cashMinor.toString() }
  const fee = feeMinor === undefined ? {} : { feeMinor: feeMinor.toString() }
  return {
    kind: 'switch.transaction.new',
    values: [
      transaction.id,
      transaction.version,
      transaction.state,
      transaction.source,
      transaction.sourceKey,
      transaction.fingerprint,
      transaction.node,
      transaction.businessDate,
      BigInt(transaction.receivedAt),
      transaction.approvableForMs,
      card?.token ?? null,
      card?.mask ?? null,
      rrn,
      terminalId,
      kind ?? null,
      transaction.parentId ?? null,
      transaction.rules ?? null,
      amountMinor ?? null,
      currency ?? null,
      request === undefined ? null : JSON.stringify({ ...elements, ...cash, ...fee }),
      transaction.completedMinor ?? null,
      transaction.flag ?? null,
      transaction.answer?.responseCode ?? null,
      transaction.delivery,
      transaction.reversal,
      transaction.advice,
    ],
  }
}

function changedTransaction(
  transaction: Transaction,
  expectedVersion: number,
  onlyWhileApprovable: boolean,
): UnitRow {
  return {
    kind: 'switch.transaction.change',
    values: [
      transaction.id,
      expectedVersion,
      transaction.version,
      transaction.state,
      transaction.answer?.responseCode ?? null,
      transaction.answer?.authId ?? null,
      transaction.answer?.additionalAmounts ?? null,
      transaction.approvedMinor ?? null,
      transaction.actualMinor ?? null,
      transaction.completedMinor ?? null,
      transaction.capturedMinor ?? null,
      transaction.captures ?? null,
      transaction.completions === undefined ? null : withAmounts(transaction.completions),
      transaction.reversalId ?? null,
      transaction.flag ?? null,
      transaction.standIn ?? null,
      transaction.businessDate,
      transaction.delivery,
      transaction.reversal,
      transaction.advice,
      onlyWhileApprovable,
    ],
  }
}

function newLeg(transactionId: string, leg: Leg): UnitRow {
  return {
    kind: 'switch.leg.new',
    values: [leg.id, transactionId, leg.destination, leg.acquirerId, leg.stan, leg.transmittedAt, leg.state],
  }
}

function changedLeg(leg: Leg): UnitRow {
  return {
    kind: 'switch.leg.change',
    values: [
      leg.id,
      leg.state,
      leg.responseCode ?? null,
      leg.authId ?? null,
      leg.trace === undefined ? null : JSON.stringify(leg.trace),
      leg.settlement === undefined && leg.billing === undefined && leg.fees === undefined
        ? null
        : withAmounts({ settlement: leg.settlement, billing: leg.billing, fees: leg.fees }),
    ],
  }
}

/** Amounts as text: JSON has no whole numbers of any size. */
function withAmounts(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one))
}

function newSourceAct(act: SourceAct): UnitRow {
  return {
    kind: 'switch.source_act',
    values: [
      act.kind,
      act.sourceKey,
      act.source,
      act.fingerprint,
      act.transactionId,
      act.answer.responseCode,
    ],
  }
}

function obligationRow(obligation: Obligation, card: number, lane: number): UnitRow {
  const { id, kind, key, transactionId, legId, destination, cause, delayMs } = obligation
  const advice = obligation.advice === undefined ? null : withAmounts(obligation.advice)
  const about = [
    id,
    kind,
    key,
    transactionId,
    legId ?? null,
    obligation.adviceId ?? null,
    destination,
    cause,
    obligation.actualMinor ?? null,
    obligation.undoneMinor ?? null,
  ]
  return { kind: 'switch.obligation.new', values: [...about, advice, card, lane, delayMs] }
}

function exposureRow(transactionId: string, exposure: Exposure): UnitRow {
  const { amountMinor } = exposure
  if (exposure.kind === 'change')
    return { kind: 'switch.exposure.change', values: [transactionId, amountMinor] }
  const { cardToken, currency, limits, rule } = exposure
  const { perCardCountMax, perCardMinorMax, perEpisodeMinorMax, perHourMinorMax } = limits
  const of = [transactionId, rule, cardToken, currency, amountMinor]
  const within = [perCardMinorMax, perCardCountMax, perEpisodeMinorMax, perHourMinorMax]
  return { kind: 'switch.exposure.new', values: [...of, ...within] }
}

function changedObligation(change: ObligationChange): UnitRow {
  const closing = 'fence' in change
  return {
    kind: 'switch.obligation.change',
    values: [
      change.id,
      change.kind,
      closing ? change.fence : null,
      closing ? change.responseCode : null,
      closing && change.settlement !== undefined ? withAmounts(change.settlement) : null,
    ],
  }
}
