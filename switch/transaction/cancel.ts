import { toldOf } from '../results.ts'
import type { Profile, ReversalRequest, Step, TransactionEvent } from './events.ts'
import type { JournalUnit } from '../journal.ts'
import { isHeld, movesMoney } from './kinds.ts'
import { giveBackFees } from './network-fees.ts'
import { postPartialReversal, unpost } from './postings.ts'
import { kindOfStored, outstandingOf } from './sides.ts'
import { reversalOf, undoingOf } from './owed.ts'
import { givenBack } from './stand-in.ts'
import { type Extra, journalEvent, settle, unitOf } from './settle.ts'
import type { SourceAct, Transaction } from './transaction.ts'
import { type Cancelling, cancelCompletion } from './uncomplete.ts'

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
  const { completionKey: sourceKey } = event.reversal
  const unit: JournalUnit = {
    ...unitOf(transaction, undefined, journalEvent(event, transaction, 'reversal of an unknown original')),
    sourceAct: recordOf(event.reversal, transaction.id, answer),
    ...(sourceKey === undefined
      ? {}
      : { overtakes: overtaken({ source: event.reversal.source, sourceKey }, transaction.id, profile) }),
    urgent: true,
  }
  return { transaction, unit, effects: [{ kind: 'answerReversal', answer }] }
}

/** A completion is an act on its authorization, and no transaction: its place is taken among the acts. */
function overtaken(
  named: { readonly source: string; readonly sourceKey: string },
  transactionId: string,
  { overtakenResponseCode: responseCode }: Profile,
): SourceAct {
  return { kind: 'overtaken', ...named, fingerprint: '', transactionId, answer: { responseCode } }
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
  // Σ refunds ≤ what was taken (§4.10): what went back to the cardholder once doesn't go back again.
  if ((before.refundedMinor ?? 0n) > 0n)
    return respond(
      toldOf(profile.told, 'invalidTransaction'),
      {},
      { cause: 'it was refunded, or a part of it' },
      'nothingToUndo',
    )
  if (event.reversal.completionKey !== undefined) return respond(...cancelCompletion(before, event, profile))
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
        { owe: [reversalOf(before, 'sourceReversal', before.approvableForMs)] },
      )
    // The issuer may keep its own time: it is told of the end of what expired here, too.
    case 'expired':
    case 'completed':
    case 'approved':
      // What an earlier release took without an authorization has no leg; a refund gives the money back.
      if (before.leg === undefined)
        return respond(
          toldOf(profile.told, 'invalidTransaction'),
          {},
          { cause: 'no leg to undo' },
          'nothingToUndo',
        )
      if (before.request?.kind === 'incremental' && event.hold?.state === 'captured') {
        const cause = 'what it raised was taken by a completion'
        return respond(profile.nothingToReverseResponseCode, {}, { cause }, 'nothingToUndo')
      }
      if (event.reversal.isLateVoid) return lateVoid(before, event, { profile, respond })
      return respond('00', { reversal: 'owed' }, undoing(before, event, profile))
    // One reversal a leg: this one joins the one that is owed already (R2).
    case 'reversing':
    case 'unknown':
    case 'reversed':
      return respond('00', {}, {})
  }
}

function undoing(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  { days, fees }: Profile,
): Extra {
  const { at } = event
  return {
    owe: [undoingOf(before, 'sourceReversal')],
    ...givenBack(before, 0n),
    commands:
      before.state === 'expired'
        ? []
        : [
            ...unpost(before, { at, days, hold: event.hold }),
            ...(fees?.reversed === true ? giveBackFees(before, { at, days }) : []),
          ],
  }
}

/**
 * A customer's cancellation after the cutover of its original (§4.10, void): the day is settled, so a request is told
 * to refund instead. An advice reports a fact (M3): it is taken, and flagged.
 */
function lateVoid(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  { profile, respond }: { readonly profile: Profile; readonly respond: CancelResponse },
): Step {
  if (!event.reversal.isAdvice) {
    return respond(
      toldOf(profile.told, 'invalidTransaction'),
      {},
      { cause: 'void after the cutover: refund instead' },
      'nothingToUndo',
    )
  }
  const extra = { ...undoing(before, event, profile), cause: 'source reversal after the cutover' }
  return respond('00', { reversal: 'owed', flag: 'voidAfterCutover' }, extra)
}

/**
 * A part is given back (DE95), so that `actualMinor` remains. Only who was approved can have kept a part. What asks for
 * more than is left comes late, behind a smaller amount or the whole: there is nothing to do for it.
 */
function partialCancel(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  profile: Profile,
): Cancelling {
  const { actualMinor } = event.reversal
  const nothing = (responseCode: string, cause: string): Cancelling => [
    responseCode,
    {},
    { cause },
    'nothingToUndo',
  ]
  if (before.state === 'reversed') return nothing(profile.nothingToReverseResponseCode, 'undone already')
  if (before.state === 'completed' || before.captures !== undefined)
    return nothing(toldOf(profile.told, 'invalidTransaction'), 'part of what was completed: refund instead')
  if (before.state !== 'approved')
    return nothing(toldOf(profile.told, 'invalidTransaction'), 'part of what was not approved')
  if (actualMinor >= outstandingOf(before)) {
    return nothing(profile.nothingToReverseResponseCode, 'no more than that is left')
  }
  // Of what was only set aside nothing was money.
  const undoneMinor = isHeld(kindOfStored(before)) ? 0n : outstandingOf(before) - actualMinor
  return [
    '00',
    { actualMinor, reversal: 'owed' },
    {
      cause: 'partial reversal',
      owe: [{ ...undoingOf(before, 'partialReversal'), actualMinor, undoneMinor }],
      ...givenBack(before, actualMinor),
      commands: postPartialReversal(before, actualMinor, {
        at: event.at,
        days: profile.days,
        hold: event.hold,
      }),
    },
    'reduce',
  ]
}

type CancelResponse = (...response: Cancelling) => Step

/** What is kept of a source's reversal: its repeats are answered from it. */
function recordOf(
  { source, sourceKey, fingerprint }: ReversalRequest,
  transactionId: string,
  answer: SourceAct['answer'],
): SourceAct {
  return { kind: 'reversal', source, sourceKey, fingerprint, transactionId, answer }
}
