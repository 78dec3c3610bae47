import assert from 'node:assert'
import type { LegAnswer, LegOutcome } from '../../connectors/connector.ts'
import { currencies } from '../../kernel/money.ts'
import type { JournalEvent, JournalUnit, ObligationChange } from '../journal.ts'
import { type Move, moves } from './moves.ts'
import { kinds, movesMoney } from './kinds.ts'
import { kindOfStored, outstandingOf, post, postPartialReversal, unpost } from './postings.ts'
import type {
  Answer,
  CardRequest,
  Leg,
  Obligation,
  ReversalCause,
  SourceReversal,
  StoredCard,
  Transaction,
} from './transaction.ts'

/**
 * The life of a transaction, without I/O, clock, chance or promises: what is to be committed, and what is to be done
 * once it is. The same function serves production and the simulation.
 */
export function step(before: Transaction | undefined, event: TransactionEvent, profile: Profile): Step {
  switch (event.kind) {
    case 'request':
      assert(before === undefined)
      return begin(event)
    case 'cancelUnknown':
      assert(before === undefined)
      return entomb(event, profile)
    case 'overtaken':
      return settle(known(before), event, 'overtake', {
        answer: { responseCode: profile.overtakenResponseCode },
      })
    case 'legEnded':
      return endLeg(known(before), event, profile)
    case 'notCommitted':
      return lose(known(before), event, {
        cause: event.reason === 'late' ? 'timeout' : 'postingRefused',
        answer: { responseCode: event.reason === 'late' ? profile.timeoutResponseCode : '96' },
        leg: { state: 'answered', ...codes(event.answer) },
      })
    case 'cancel':
      return cancel(known(before), event, profile)
    case 'late':
      return settle(known(before), event, 'late', {})
    case 'delivery':
      return deliver(known(before), event)
    case 'recovered':
      return lose(known(before), event, {
        cause: 'recovered',
        answer: { responseCode: profile.timeoutResponseCode },
        leg: { state: 'maybeSent' },
      })
    case 'reversalAnswered':
      return settle(
        known(before),
        event,
        event.verdict === 'acknowledged' ? 'reversalAcknowledged' : 'reversalParked',
        { reversal: event.verdict },
        {
          obligation: {
            kind: event.verdict,
            id: event.obligationId,
            fence: event.fence,
            responseCode: event.responseCode,
          },
        },
      )
  }
}

/** The parts of a source's and a destination's rules that decide a transaction's life. */
export interface Profile {
  /** What a source is told when the destination was silent: 91, or 68 where the source's dialect prefers it. */
  readonly timeoutResponseCode: string
  /** What a request is told whose reversal came first (R5). */
  readonly overtakenResponseCode: string
  /** What a request is told that its source reversed before we had an answer (R6). */
  readonly cancelledResponseCode: string
  /** What a reversal of something we never saw is told (R5). */
  readonly unknownOriginalResponseCode: string
  /** What a reversal of something that was declined is told: success, nothing to do. */
  readonly nothingToReverseResponseCode: string
  /** Approvals of the destination are a closed list. */
  readonly approvals: readonly string[]
}

interface Occurrence {
  /** Wall clock ms. */
  readonly at: number
  readonly node: string
  /** For the journal: masked messages, durations. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>
}

export interface Arrival {
  readonly id: string
  readonly source: string
  readonly sourceKey: string
  readonly fingerprint: string
  readonly businessDate: string
  readonly approvableForMs: number
}

export type TransactionEvent = Occurrence &
  (
    | {
        readonly kind: 'request'
        readonly arrival: Arrival
        readonly card: StoredCard
        readonly request: CardRequest
        readonly verdict: Verdict
      }
    | { readonly kind: 'cancelUnknown'; readonly arrival: Arrival; readonly reversal: ReversalRequest }
    | { readonly kind: 'overtaken' }
    | { readonly kind: 'legEnded'; readonly outcome: LegEnd }
    /** The approval's commit was refused: its time had passed, or the books would not have it. */
    | { readonly kind: 'notCommitted'; readonly reason: 'late' | 'books'; readonly answer: LegAnswer }
    | { readonly kind: 'cancel'; readonly reversal: ReversalRequest }
    | { readonly kind: 'late'; readonly answer: LegAnswer }
    | { readonly kind: 'delivery'; readonly outcome: 'delivered' | 'failed' | 'unproven' }
    | { readonly kind: 'recovered' }
    | {
        readonly kind: 'reversalAnswered'
        readonly verdict: 'acknowledged' | 'parked'
        readonly obligationId: string
        readonly fence: bigint
        readonly responseCode: string
      }
  )

/** How a leg ended; a PIN block that cannot be moved into the destination's zone ends it before it starts. */
export type LegEnd = LegOutcome | { readonly kind: 'notSent'; readonly reason: 'pinBlock' }

export type Verdict =
  | { readonly kind: 'forward'; readonly leg: Leg }
  | { readonly kind: 'refuse'; readonly responseCode: string; readonly cause: string }

/** A reversal as its source sent it. */
export interface ReversalRequest {
  readonly source: string
  readonly sourceKey: string
  readonly fingerprint: string
  /** What is to remain of the amount (DE95): nothing, unless the source reverses a part. */
  readonly actualMinor: bigint
}

export interface Step {
  readonly transaction: Transaction
  readonly unit: JournalUnit
  readonly effects: readonly Effect[]
}

/** What to do once the unit is committed, in order. */
export type Effect =
  | { readonly kind: 'send'; readonly leg: Leg }
  /** To everybody who waits for the request. */
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'answerReversal'; readonly answer: Answer }
  /** An obligation is due: deliver without waiting for the sweeper. */
  | { readonly kind: 'wake'; readonly destination: string }

function begin(event: TransactionEvent & { kind: 'request' }): Step {
  const { arrival, verdict } = event
  const transaction: Transaction = {
    ...arrival,
    version: 1,
    state: verdict.kind === 'forward' ? 'intent' : 'refused',
    node: event.node,
    receivedAt: event.at,
    card: event.card,
    request: event.request,
    ...(verdict.kind === 'forward'
      ? { leg: verdict.leg }
      : { answer: { responseCode: verdict.responseCode } }),
    delivery: 'none',
    reversal: 'none',
  }
  const cause = verdict.kind === 'forward' ? `to ${verdict.leg.destination}` : verdict.cause
  const unit = unitOf(transaction, undefined, journalEvent(event, transaction, cause))
  const effect: Effect =
    verdict.kind === 'forward'
      ? { kind: 'send', leg: verdict.leg }
      : { kind: 'answer', answer: { responseCode: verdict.responseCode } }
  return { transaction, unit, effects: [effect] }
}

/** A reversal of what we never saw is remembered under the original's own key, so that only one of them can win. */
function entomb(event: TransactionEvent & { kind: 'cancelUnknown' }, profile: Profile): Step {
  const answer = { responseCode: profile.unknownOriginalResponseCode }
  const transaction: Transaction = {
    ...event.arrival,
    version: 1,
    state: 'tombstone',
    node: event.node,
    receivedAt: event.at,
    delivery: 'none',
    reversal: 'notNeeded',
  }
  const unit: JournalUnit = {
    ...unitOf(transaction, undefined, journalEvent(event, transaction, 'reversal of an unknown original')),
    sourceReversal: recordOf(event.reversal, transaction.id, answer),
    urgent: true,
  }
  return { transaction, unit, effects: [{ kind: 'answerReversal', answer }] }
}

function endLeg(before: Transaction, event: TransactionEvent & { kind: 'legEnded' }, profile: Profile): Step {
  const { outcome } = event
  if (before.state !== 'intent' && before.state !== 'reversing') return lateOutcome(before, event)
  switch (outcome.kind) {
    case 'notSent':
      return endUnsent(before, event, outcome.reason)
    case 'maybeSent':
      return lose(before, event, {
        cause: causeOfLoss[outcome.reason],
        answer: { responseCode: profile.timeoutResponseCode },
        leg: { state: 'maybeSent' },
      })
    case 'answered':
      break
  }
  const { answer } = outcome
  const leg = { state: 'answered', ...codes(answer) } as const
  if (!profile.approvals.includes(answer.responseCode)) {
    return endAnswered(before, event, 'decline', { responseCode: answer.responseCode }, leg)
  }
  const request = before.request
  assert(request !== undefined)
  const kind = kindOfStored(before)
  if (movesMoney(kind) && !agrees(answer, request)) {
    // F23: approved, but not what was asked for. It is undone whole, whatever it was.
    return lose(before, event, { cause: 'wrongAmount', answer: { responseCode: '96' }, leg })
  }
  return endAnswered(before, event, 'approve', approvalOf(answer, kinds[kind].givesAmounts), leg)
}

/** The destination never saw the leg: nothing to reverse, and the source is told so. */
function endUnsent(before: Transaction, event: TransactionEvent, reason: string): Step {
  const answer = { responseCode: responseCodeOfUnsent[reason] ?? '91' }
  const change: Change = { leg: { state: 'notSent' } }
  if (before.state === 'reversing') {
    const obligation: ObligationChange = { kind: 'notNeeded', id: legOf(before).id }
    return settle(
      before,
      event,
      'notSent',
      { ...change, reversal: 'notNeeded' },
      { obligation, cause: reason },
    )
  }
  return settle(before, event, 'notSent', { ...change, answer }, { cause: reason })
}

function endAnswered(
  before: Transaction,
  event: TransactionEvent,
  move: 'approve' | 'decline',
  answer: Answer,
  leg: Partial<Leg>,
): Step {
  if (before.state === 'reversing') {
    // The source has its answer already; the reversal it asked for can go now, whatever the destination said.
    return settle(
      before,
      event,
      move,
      { leg },
      { obligation: { kind: 'due', id: legOf(before).id }, cause: answer.responseCode },
    )
  }
  const result = settle(before, event, move, { leg, answer }, { cause: answer.responseCode })
  if (move === 'decline') return result
  return {
    ...result,
    unit: {
      ...result.unit,
      commands: post(result.transaction, event.at),
      onlyWhileApprovable: true,
    },
  }
}

/** Nobody knows what the destination did: the source is declined, and the reversal owed, in one commit. */
function lose(
  before: Transaction,
  event: TransactionEvent,
  loss: { readonly cause: ReversalCause; readonly answer: Answer; readonly leg: Partial<Leg> },
): Step {
  // Another node, or a deadline, was faster: what is decided stays decided.
  if (before.state !== 'intent' && before.state !== 'reversing')
    return settle(before, event, 'late', {}, { cause: loss.cause })
  if (before.state === 'reversing') {
    const obligation: ObligationChange = { kind: 'due', id: legOf(before).id }
    return settle(before, event, 'lose', { leg: loss.leg }, { obligation, cause: loss.cause })
  }
  if (!movesMoney(kindOfStored(before))) {
    // Asking did no harm, whether or not it was heard: nothing is owed (§4.6).
    const change = { leg: loss.leg, answer: loss.answer, reversal: 'notNeeded' } as const
    return settle(before, event, 'lose', change, { cause: loss.cause })
  }
  const owe = reversalOf(before, loss.cause, 0)
  return settle(
    before,
    event,
    'lose',
    { leg: loss.leg, answer: loss.answer, reversal: 'owed' },
    { owe, cause: loss.cause },
  )
}

/** An outcome that finds the transaction already decided, by a deadline or by another node. It changes nothing (LR1). */
function lateOutcome(before: Transaction, event: TransactionEvent & { kind: 'legEnded' }): Step {
  return settle(before, event, 'late', {}, { cause: event.outcome.kind })
}

function cancel(before: Transaction, event: TransactionEvent & { kind: 'cancel' }, profile: Profile): Step {
  const respond: CancelResponse = (responseCode, change, extra, move = 'cancel') => {
    const answer = { responseCode }
    const result = settle(before, event, move, change, {
      cause: 'source reversal',
      ...extra,
      urgent: true,
    })
    return {
      ...result,
      unit: { ...result.unit, sourceReversal: recordOf(event.reversal, before.id, answer) },
      effects: [...result.effects, { kind: 'answerReversal', answer }],
    }
  }
  if (before.state === 'tombstone') return respond(profile.unknownOriginalResponseCode, {}, {})
  if (!movesMoney(kindOfStored(before))) {
    return respond(profile.nothingToReverseResponseCode, {}, {}, 'nothingToUndo')
  }
  if (event.reversal.actualMinor > 0n) return respond(...partialCancel(before, event, profile))
  switch (before.state) {
    case 'declined':
    case 'refused':
      return respond(profile.nothingToReverseResponseCode, {}, {})
    case 'intent':
      // Held back until the leg ends, or its time is over: a reversal must not overtake what it reverses.
      return respond(
        '00',
        { answer: { responseCode: profile.cancelledResponseCode }, reversal: 'owed' },
        { owe: reversalOf(before, 'sourceReversal', before.approvableForMs) },
      )
    case 'approved':
      return respond(
        '00',
        { reversal: 'owed' },
        { owe: reversalOf(before, 'sourceReversal', 0), commands: unpost(before, event.at) },
      )
    // One reversal a leg: this one joins the one that is owed already (R2).
    case 'reversing':
    case 'unknown':
    case 'reversed':
      return respond('00', {}, {})
  }
}

/**
 * A part is given back (DE95), so that `actualMinor` remains. Only who was approved can have kept a part. What asks for
 * more than is left comes late, behind a smaller amount or the whole: there is nothing to do for it.
 */
function partialCancel(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  profile: Profile,
): Parameters<CancelResponse> {
  const { actualMinor } = event.reversal
  const nothing = (responseCode: string, cause: string): Parameters<CancelResponse> => [
    responseCode,
    {},
    { cause },
    'nothingToUndo',
  ]
  if (before.state === 'reversed') return nothing(profile.nothingToReverseResponseCode, 'undone already')
  if (before.state !== 'approved') return nothing('12', 'part of what was not approved')
  if (actualMinor >= outstandingOf(before)) {
    return nothing(profile.nothingToReverseResponseCode, 'no more than that is left')
  }
  return [
    '00',
    { actualMinor, reversal: 'owed' },
    {
      cause: 'partial reversal',
      owe: { ...reversalOf(before, 'partialReversal', 0), actualMinor },
      commands: postPartialReversal(before, actualMinor, event.at),
    },
    'reduce',
  ]
}

type CancelResponse = (responseCode: string, change: Change, extra: Extra, move?: Move) => Step

/** What is kept of a source's reversal: its repeats are answered from it. */
function recordOf(
  { source, sourceKey, fingerprint }: ReversalRequest,
  transactionId: string,
  answer: Answer,
): SourceReversal {
  return { source, sourceKey, fingerprint, transactionId, answer }
}

function deliver(before: Transaction, event: TransactionEvent & { kind: 'delivery' }): Step {
  if (before.state !== 'approved') return settle(before, event, 'late', {}, { cause: event.outcome })
  if (event.outcome !== 'failed') return settle(before, event, event.outcome, { delivery: event.outcome })
  if (!movesMoney(kindOfStored(before))) return settle(before, event, 'unheard', { delivery: 'failed' })
  // The source can't have the approval (D1), so it is undone; should its request come again, it is declined.
  return settle(
    before,
    event,
    'undelivered',
    { delivery: 'failed', answer: { responseCode: '91' }, reversal: 'owed' },
    {
      owe: reversalOf(before, 'undelivered', 0),
      commands: unpost(before, event.at),
      silent: true,
    },
  )
}

interface Change {
  readonly actualMinor?: bigint
  readonly answer?: Answer
  readonly delivery?: Transaction['delivery']
  readonly reversal?: Transaction['reversal']
  readonly leg?: Partial<Leg>
}

interface Extra {
  readonly cause?: string
  readonly owe?: Obligation
  readonly obligation?: ObligationChange
  readonly commands?: JournalUnit['commands']
  readonly urgent?: boolean
  /** The new answer is for repeats only: nobody is there to hear it now. */
  readonly silent?: boolean
}

/** Makes the move the table allows and everything that follows from it. */
function settle(
  before: Transaction,
  event: TransactionEvent,
  move: Move,
  change: Change,
  extra: Extra = {},
): Step {
  const state = moves[before.state][move]
  assert(state !== undefined, `no move ${move} from ${before.state}`)
  const { leg, ...plain } = change
  const transaction: Transaction = {
    ...before,
    ...plain,
    ...(leg === undefined || before.leg === undefined ? {} : { leg: { ...before.leg, ...leg } }),
    state,
    version: before.version + 1,
  }
  const unit: JournalUnit = {
    ...unitOf(transaction, before.version, journalEvent(event, transaction, extra.cause ?? '')),
    ...(extra.owe === undefined ? {} : { owe: extra.owe }),
    ...(extra.obligation === undefined ? {} : { obligation: extra.obligation }),
    commands: extra.commands ?? [],
    urgent: (extra.urgent ?? false) || extra.owe !== undefined || extra.obligation !== undefined,
  }
  const effects: Effect[] = []
  if (change.answer !== undefined && extra.silent !== true)
    effects.push({ kind: 'answer', answer: change.answer })
  if (extra.owe?.delayMs === 0 || extra.obligation?.kind === 'due') {
    effects.push({ kind: 'wake', destination: legOf(before).destination })
  }
  return { transaction, unit, effects }
}

function unitOf(
  transaction: Transaction,
  expectedVersion: number | undefined,
  event: JournalEvent,
): JournalUnit {
  return {
    transaction,
    expectedVersion,
    onlyWhileApprovable: false,
    event,
    commands: [],
    urgent: false,
  }
}

function journalEvent(event: TransactionEvent, transaction: Transaction, cause: string): JournalEvent {
  return {
    sequence: transaction.version,
    kind: event.kind,
    at: event.at,
    node: event.node,
    cause,
    detail: { state: transaction.state, ...event.detail },
  }
}

function reversalOf(transaction: Transaction, cause: ReversalCause, delayMs: number): Obligation {
  const leg = legOf(transaction)
  return {
    id: leg.id,
    key: `reversal:${leg.id}`,
    again: transaction.reversal !== 'none',
    transactionId: transaction.id,
    destination: leg.destination,
    cause,
    delayMs,
  }
}

const causeOfLoss = {
  deadline: 'timeout',
  linkLost: 'linkLost',
  badMac: 'badAnswer',
  unparseable: 'badAnswer',
  draining: 'timeout',
} as const satisfies Record<(LegOutcome & { kind: 'maybeSent' })['reason'], ReversalCause>

/** Why a leg did not leave, as the source is told. Whatever is not here is 91: the destination can't be reached. */
const responseCodeOfUnsent: Readonly<Record<string, string>> = {
  hsm: '96',
  malformed: '96',
  pinBlock: '63',
}

/** Whether an approval is for what was asked. A destination that does not repeat amount or currency agrees. */
function agrees(answer: LegAnswer, request: CardRequest): boolean {
  if (answer.amountMinor !== undefined && answer.amountMinor !== request.amountMinor) return false
  return (
    answer.currencyNumeric === undefined || answer.currencyNumeric === currencies[request.currency].numeric
  )
}

function answerOf(answer: LegAnswer): Answer {
  return answer.authId === undefined
    ? { responseCode: answer.responseCode }
    : { responseCode: answer.responseCode, authId: answer.authId }
}

/** What goes back of an approval. Additional amounts that are not what DE54 holds are nobody's balance. */
function approvalOf(answer: LegAnswer, givesAmounts: boolean): Answer {
  const { additionalAmounts } = answer
  if (!givesAmounts || additionalAmounts === undefined) return answerOf(answer)
  if (!additionalAmountsForm.test(additionalAmounts)) return answerOf(answer)
  return { ...answerOf(answer), additionalAmounts }
}

/** DE54: up to six times account type 2, amount type 2, currency 3, sign, amount 12. */
const additionalAmountsForm = /^(\d{2}\d{2}\d{3}[CD]\d{12}){1,6}$/

function codes(answer: LegAnswer): Partial<Leg> {
  return answerOf(answer)
}

function known(transaction: Transaction | undefined): Transaction {
  assert(transaction !== undefined)
  return transaction
}

function legOf(transaction: Transaction): Leg {
  assert(transaction.leg !== undefined)
  return transaction.leg
}
