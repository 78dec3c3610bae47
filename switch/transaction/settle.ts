import assert from 'node:assert'
import type { JournalEvent, JournalUnit, ObligationChange } from '../journal.ts'
import type { Effect, Step, TransactionEvent } from './events.ts'
import { type Move, moves } from './moves.ts'
import type { Answer, Completion, Exposure, Leg, Obligation, Transaction } from './transaction.ts'

export interface Change {
  readonly approvedMinor?: bigint
  readonly actualMinor?: bigint
  readonly businessDate?: string
  readonly completedMinor?: bigint
  readonly capturedMinor?: bigint
  readonly captures?: number
  readonly completions?: readonly Completion[]
  readonly flag?: string
  readonly standIn?: string
  readonly answer?: Answer
  readonly delivery?: Transaction['delivery']
  readonly reversal?: Transaction['reversal']
  readonly advice?: Transaction['advice']
  readonly leg?: Partial<Leg>
}

export interface Extra {
  readonly cause?: string
  /** In the order in which the destination is to hear of it. */
  readonly owe?: readonly Obligation[]
  readonly obligation?: ObligationChange
  readonly exposure?: Exposure
  readonly commands?: JournalUnit['commands']
  readonly urgent?: boolean
  /** The new answer is for repeats only: nobody is there to hear it now. */
  readonly silent?: boolean
}

/** Makes the move the table allows and everything that follows from it. */
export function settle(
  before: Transaction,
  event: TransactionEvent,
  move: Move,
  change: Change,
  extra: Extra = {},
): Step {
  const state = moves[before.state][move]
  assert(state !== undefined, `no move ${move} from ${before.state}`)
  const { flag, leg, ...plain } = change
  const reversalId = extra.owe?.findLast(({ kind }) => kind === 'reversal')?.id
  const transaction: Transaction = {
    ...before,
    ...plain,
    ...(flag === undefined ? {} : { flag: flagged(before, flag) }),
    ...(reversalId === undefined ? {} : { reversalId }),
    ...(leg === undefined || before.leg === undefined ? {} : { leg: { ...before.leg, ...leg } }),
    state,
    version: before.version + 1,
  }
  const unit: JournalUnit = {
    ...unitOf(transaction, before.version, journalEvent(event, transaction, extra.cause ?? '')),
    owe: extra.owe ?? [],
    ...(extra.obligation === undefined ? {} : { obligation: extra.obligation }),
    ...(extra.exposure === undefined ? {} : { exposure: extra.exposure }),
    commands: extra.commands ?? [],
    urgent: (extra.urgent ?? false) || extra.owe !== undefined || extra.obligation !== undefined,
  }
  const effects: Effect[] = []
  if (change.answer !== undefined && extra.silent !== true)
    effects.push({ kind: 'answer', answer: change.answer })
  for (const destination of dueAt(before, extra)) effects.push({ kind: 'wake', destination })
  return { transaction, unit, effects }
}

/** With what it was flagged with before: each is for people to look at. */
function flagged({ flag = '' }: Transaction, added: string): string {
  const flags = flag.split(' ').filter((one) => one !== '')
  return flags.includes(added) ? flag : [...flags, added].join(' ')
}

/** The destinations that have something to hear now. */
function dueAt(before: Transaction, { owe, obligation }: Extra): Set<string> {
  const due = (owe ?? []).filter(({ delayMs }) => delayMs === 0).map(({ destination }) => destination)
  return new Set(obligation?.kind === 'due' ? [...due, legOf(before).destination] : due)
}

export function unitOf(
  transaction: Transaction,
  expectedVersion: number | undefined,
  event: JournalEvent,
): JournalUnit {
  return {
    transaction,
    expectedVersion,
    onlyWhileApprovable: false,
    event,
    owe: [],
    commands: [],
    urgent: false,
  }
}

export function journalEvent(event: TransactionEvent, transaction: Transaction, cause: string): JournalEvent {
  return {
    sequence: transaction.version,
    kind: event.kind,
    at: event.at,
    node: event.node,
    businessDate: transaction.businessDate,
    cause,
    detail: { state: transaction.state, ...event.detail },
  }
}

export function known(transaction: Transaction | undefined): Transaction {
  assert(transaction !== undefined)
  return transaction
}

export function legOf(transaction: Transaction): Leg {
  assert(transaction.leg !== undefined)
  return transaction.leg
}
