import assert from 'node:assert'
import { adviceTaken } from './advised.ts'
import { cancel, entomb } from './cancel.ts'
import { completeAuthorization, forcePost } from './complete.ts'
import type { Effect, Profile, Step, TransactionEvent } from './events.ts'
import { movesMoney } from './kinds.ts'
import { endLeg, lose, loseApproval } from './leg-end.ts'
import { giveBackFees } from './network-fees.ts'
import { unpost } from './postings.ts'
import { kindOfStored } from './sides.ts'
import { hadItAlready, isApproval, readCode, reversalAccepted1993, toldOf } from '../results.ts'
import { isToldByAdvice, reversalIdOf, undoingOf } from './owed.ts'
import { parentChange } from './parent.ts'
import { givenBack } from './stand-in.ts'
import { journalEvent, known, settle, unitOf } from './settle.ts'
import type { Transaction } from './transaction.ts'

/**
 * The life of a transaction, without I/O, clock, chance or promises: what is to be committed, and what is to be done
 * once it is. The same function serves production and the simulation.
 */
export function step(before: Transaction | undefined, event: TransactionEvent, profile: Profile): Step {
  const result = withParent(before, moved(before, event, profile))
  if (before === undefined) return result
  // What happens to a transaction later is accounted for on the day of that: its reversal after the cutover (B3).
  const { unit } = result
  const businessDate = event.kind === 'legEnded' ? result.transaction.businessDate : profile.days.today
  return { ...result, unit: { ...unit, event: { ...unit.event, businessDate } } }
}

function withParent(before: Transaction | undefined, result: Step): Step {
  const parent = parentChange(before, result.transaction, result.unit.event)
  return parent === undefined ? result : { ...result, unit: { ...result.unit, parent } }
}

function moved(before: Transaction | undefined, event: TransactionEvent, profile: Profile): Step {
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
      return loseApproval(known(before), event, profile)
    case 'cancel':
      return cancel(known(before), event, profile)
    case 'complete':
      return completeAuthorization(known(before), event, profile)
    case 'completeUnknown':
      assert(before === undefined)
      return forcePost(event, profile)
    case 'late':
      return settle(known(before), event, 'late', {})
    case 'delivery':
      return deliver(known(before), event, profile)
    case 'recovered':
      return lose(known(before), event, {
        cause: 'recovered',
        answer: { responseCode: profile.timeoutResponseCode },
        leg: { state: 'maybeSent' },
      })
    case 'obligationAnswered':
      return closeOwed(known(before), event, profile)
  }
}

/** The destination's word on what it was owed. An advice that it refuses changes nothing of what was approved (P6). */
function closeOwed(
  before: Transaction,
  event: TransactionEvent & { kind: 'obligationAnswered' },
  profile: Profile,
): Step {
  const { isRefusedByBooks, owed, obligationId: id, fence, responseCode } = event
  if (isRefusedByBooks === true) return withoutEntries(before, event)
  const { verdict } = event
  const isTaken = verdict === 'acknowledged'
  const extra = { cause: owed, obligation: { kind: verdict, id, fence, responseCode } }
  switch (owed) {
    case 'reversal': {
      // Behind one of several there is still the latest to come.
      const isLatest = before.reversalId === undefined || before.reversalId === id
      return settle(
        before,
        event,
        isTaken ? 'reversalAcknowledged' : 'reversalParked',
        {
          ...(isLatest ? { reversal: verdict } : {}),
          ...(isTaken && isDisputed(before, event, profile) ? { flag: 'undoingDisputed' } : {}),
        },
        extra,
      )
    }
    case 'advice': {
      if (!isTaken) return settle(before, event, 'adviceParked', { advice: verdict }, extra)
      const { change, commands = [], settlement } = adviceTaken(before, event, profile)
      const paid = settlement === undefined ? {} : { settlement }
      const obligation = { ...extra.obligation, ...paid }
      return settle(
        before,
        event,
        'adviceAcknowledged',
        { ...change, advice: verdict },
        { ...extra, obligation, commands },
      )
    }
  }
}

/**
 * It approved, or acknowledged what it was told, and has nothing to undo now (S5): somebody's money may still be with the
 * issuer. Of what nobody answered it is no surprise.
 */
function isDisputed(
  before: Transaction,
  { obligationId, responseCode }: TransactionEvent & { kind: 'obligationAnswered' },
  profile: Profile,
): boolean {
  const isDone =
    profile.approvals.includes(responseCode) ||
    hadItAlready.includes(responseCode) ||
    responseCode === reversalAccepted1993
  if (isDone || before.leg === undefined) return false
  if (isToldByAdvice(before) && obligationId !== reversalIdOf(before)) return true
  const { responseCode: said, state } = before.leg
  return state === 'answered' && said !== undefined && isApproval(readCode(profile, said).outcome)
}

/**
 * The destination has it, and the books will not take what follows from that: people decide, and tell it again or close it.
 * Nothing of it is done, so that it can be done once when they have.
 */
function withoutEntries(before: Transaction, event: TransactionEvent & { kind: 'obligationAnswered' }): Step {
  const { owed, obligationId: id, fence, responseCode } = event
  return settle(
    before,
    event,
    owed === 'advice' ? 'adviceParked' : 'reversalParked',
    { [owed]: 'parked', flag: 'refusedByBooks' },
    {
      cause: owed,
      obligation: { kind: 'parked', id, fence, responseCode },
    },
  )
}

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
    advice: 'none',
  }
  const cause = verdict.kind === 'forward' ? `to ${verdict.leg.destination}` : verdict.cause
  const unit = unitOf(transaction, undefined, journalEvent(event, transaction, cause))
  const effect: Effect =
    verdict.kind === 'forward'
      ? { kind: 'send', leg: verdict.leg }
      : { kind: 'answer', answer: { responseCode: verdict.responseCode } }
  return { transaction, unit, effects: [effect] }
}

function deliver(
  before: Transaction,
  event: TransactionEvent & { kind: 'delivery' },
  { days, fees, told }: Profile,
): Step {
  if (before.state !== 'approved') return settle(before, event, 'late', {}, { cause: event.outcome })
  if (event.outcome !== 'failed') return settle(before, event, event.outcome, { delivery: event.outcome })
  if (!movesMoney(kindOfStored(before))) return settle(before, event, 'unheard', { delivery: 'failed' })
  // Whoever refunded it knew of it; and another node that answered a repeat said so before it told the approval.
  const { delivery, refundedMinor = 0n } = before
  if (delivery !== 'none') return settle(before, event, 'unproven', { delivery })
  if (refundedMinor > 0n) return settle(before, event, 'unproven', { delivery: 'unproven' })
  // The source can't have the approval (D1), so it is undone; should its request come again, it is declined.
  return settle(
    before,
    event,
    'undelivered',
    { delivery: 'failed', answer: { responseCode: toldOf(told, 'unavailable') }, reversal: 'owed' },
    {
      owe: [undoingOf(before, 'undelivered')],
      ...givenBack(before, 0n),
      commands: [
        ...unpost(before, { at: event.at, days, hold: event.hold }),
        ...(fees?.reversed === true ? giveBackFees(before, { at: event.at, days }) : []),
      ],
      silent: true,
    },
  )
}
