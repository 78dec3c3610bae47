import type { Profile, ReversalRequest, Step, TransactionEvent } from './events.ts'
import type { JournalUnit } from '../journal.ts'
import { movesMoney } from './kinds.ts'
import type { Move } from './moves.ts'
import { kindOfStored, outstandingOf, postPartialReversal, unpost } from './postings.ts'
import { reversalOf } from './owed.ts'
import { type Change, type Extra, journalEvent, settle, unitOf } from './settle.ts'
import type { Answer, SourceAct, Transaction } from './transaction.ts'

/** A reversal of what we never saw is remembered under the original's own key, so that only one of them can win. */
export function entomb(event: TransactionEvent & { kind: 'cancelUnknown' }, profile: Profile): Step {
  const answer = { responseCode: profile.unknownOriginalResponseCode }
  const transaction: Transaction = {
    ...event.arrival,
    version: 1,
    state: 'tombstone',
    node: event.node,
    receivedAt: event.at,
    delivery: 'none',
    reversal: 'notNeeded',
    advice: 'none',
  }
  const unit: JournalUnit = {
    ...unitOf(transaction, undefined, journalEvent(event, transaction, 'reversal of an unknown original')),
    sourceAct: recordOf(event.reversal, transaction.id, answer),
    urgent: true,
  }
  return { transaction, unit, effects: [{ kind: 'answerReversal', answer }] }
}

export function cancel(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  profile: Profile,
): Step {
  const respond: CancelResponse = (responseCode, change, extra, move = 'cancel') => {
    const answer = { responseCode }
    const result = settle(before, event, move, change, {
      cause: 'source reversal',
      ...extra,
      urgent: true,
    })
    return {
      ...result,
      unit: { ...result.unit, sourceAct: recordOf(event.reversal, before.id, answer) },
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
    case 'expired':
    case 'completed':
      return respond(profile.nothingToReverseResponseCode, {}, {})
    case 'intent':
      // Held back until the leg ends, or its time is over: a reversal must not overtake what it reverses.
      return respond(
        '00',
        { answer: { responseCode: profile.cancelledResponseCode }, reversal: 'owed' },
        { owe: [reversalOf(before, 'sourceReversal', before.approvableForMs)] },
      )
    case 'approved':
      return respond(
        '00',
        { reversal: 'owed' },
        { owe: [reversalOf(before, 'sourceReversal', 0)], commands: unpost(before, event.at, profile.days) },
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
      owe: [{ ...reversalOf(before, 'partialReversal', 0), actualMinor }],
      commands: postPartialReversal(before, actualMinor, event.at, profile.days),
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
): SourceAct {
  return { kind: 'reversal', source, sourceKey, fingerprint, transactionId, answer }
}
