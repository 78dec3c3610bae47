import type { LegAnswer, LegOutcome } from '../../connectors/connector.ts'
import { currencies } from '../../kernel/money.ts'
import { additionalAmountsForm } from '../additional-amounts.ts'
import { settlementDateOf } from '../business-date.ts'
import { readConversion } from '../conversion.ts'
import { apartOf, readFees, type ReadFees, withFee } from '../fees.ts'
import type { ObligationChange } from '../journal.ts'
import { isApproval, isOutOfReach, type Outcome, readCode, toldOf } from '../results.ts'
import type { Instead, Profile, Step, TransactionEvent } from './events.ts'
import { kinds, movesMoney } from './kinds.ts'
import { postFees } from './network-fees.ts'
import { post } from './postings.ts'
import { kindOfStored, requestOf } from './sides.ts'
import { type Change, legOf, settle } from './settle.ts'
import { reversalIdOf, reversalOf } from './owed.ts'
import { standIn } from './stand-in.ts'
import type { Answer, CardRequest, Leg, ReversalCause, Transaction } from './transaction.ts'

/** How the exchange with the destination ended, and what that makes of the transaction. */
export function endLeg(
  sent: Transaction,
  event: TransactionEvent & { kind: 'legEnded' },
  profile: Profile,
): Step {
  const { outcome } = event
  if (sent.state !== 'intent' && sent.state !== 'reversing') return lateOutcome(sent, event)
  switch (outcome.kind) {
    case 'notSent':
      return event.instead?.kind === 'forward' && sent.state === 'intent'
        ? reroute(sent, event, event.instead)
        : endUnsent(sent, event, outcome.reason, profile)
    case 'maybeSent':
      if (event.instead?.kind === 'standIn' && sent.state === 'intent') {
        const undo = causeOfLoss[outcome.reason]
        const { instead } = event
        return standIn(sent, event, { instead, leg: { state: 'maybeSent' }, undo, cause: undo, profile })
      }
      return lose(sent, event, {
        cause: causeOfLoss[outcome.reason],
        answer: { responseCode: profile.timeoutResponseCode },
        leg: { state: 'maybeSent' },
      })
    case 'answered':
      break
  }
  const { answer } = outcome
  const leg = { state: 'answered', ...codes(answer) } as const
  const before = onItsDate(sent, answer, event.at)
  const request = requestOf(before)
  const read = readCode(profile, answer.responseCode, kinds[request.kind].approvals)
  const isMoney = movesMoney(request.kind)
  if (isMoney && read.outcome === 'approvedPartial') return endPartly(before, { ...event, outcome }, profile)
  const isApproved = isApproval(read.outcome) && read.outcome !== 'approvedPartial'
  if (!isApproved) {
    const declined = isApproval(read.outcome) ? 'doNotHonour' : read.outcome
    const told = { responseCode: toldOf(profile.told, declined) }
    // Elsewhere that is an approval: whoever said it may have taken the money.
    if (isMoney && read.strange === 'unlisted')
      return lose(before, event, { cause: 'badAnswer', answer: told, leg })
    const { instead } = event
    if (instead?.kind === 'standIn' && before.state === 'intent' && isOutOfReach(read.outcome)) {
      return standIn(before, event, { instead, leg, cause: read.outcome, profile })
    }
    return endAnswered(before, event, profile, { move: 'decline', outcome: declined, answer: told, leg })
  }
  const fees = readFees(answer.fees, request)
  if (movesMoney(request.kind) && (fees.isOtherAmount || !agrees(answer, request, profile))) {
    // F23: approved, but not what was asked for. It is undone whole, whatever it was.
    return lose(before, event, { cause: 'wrongAmount', answer: tellingOf(profile, 'system'), leg })
  }
  const paid = paidFor(before, answer, { ...profile, read: fees })
  if ('refused' in paid)
    return lose(before, event, { cause: 'wrongAmount', answer: tellingOf(profile, paid.refused), leg })
  const responseCode = toldOf(profile.told, read.outcome)
  const approval = { ...approvalOf(answer, kinds[request.kind].givesAmounts), responseCode }
  return endAnswered(before, event, profile, {
    move: 'approve',
    outcome: read.outcome,
    answer: approval,
    leg: { ...leg, ...paid, ...keptOf(fees) },
    ...flaggedBy(fees),
  })
}

/**
 * What the destination pays and charges in other currencies (§4.13). A settlement that nobody can book, since its currency is
 * not known or its own rate makes another amount, is no approval that we could keep.
 */
function paidFor(
  before: Transaction,
  { billing, settlement }: LegAnswer,
  { fees: rules, rateBasis: basis = 'major', read: said }: Profile & { readonly read: ReadFees },
): Pick<Leg, 'settlement' | 'billing'> | { readonly refused: Outcome } {
  const request = requestOf(before)
  const { amountMinor, currency, kind } = request
  const apartMinor = apartOf(request, rules)
  const charged = billing === undefined ? {} : { billing }
  // What is only set aside is settled when it is taken.
  if (kinds[kind].books !== 'post') return charged
  const convertedMinor = (before.approvedMinor ?? amountMinor) - apartMinor
  const read = readConversion(settlement, { amountMinor: convertedMinor, currency, basis })
  switch (read.kind) {
    case 'unknownCurrency':
      return { refused: 'invalidTransaction' }
    case 'doesNotAdd':
      return { refused: 'system' }
    case 'none':
      return charged
    case 'converted': {
      const isInAmount = apartMinor === 0n
      const { asked } = said
      const whole = withFee(read.conversion, { request, asked, isInAmount, convertedMinor, basis })
      return whole === undefined ? { refused: 'system' } : { ...charged, settlement: whole }
    }
  }
}

/** A part was approved (§4.10): a source that can't do with a part is declined, and the part undone (F24). */
function endPartly(
  before: Transaction,
  event: TransactionEvent & { kind: 'legEnded'; outcome: { kind: 'answered' } },
  profile: Profile,
): Step {
  const { answer } = event.outcome
  const request = requestOf(before)
  const leg = { state: 'answered', ...codes(answer) } as const
  const { amountMinor: saidMinor, ...rest } = answer
  // What is charged for it is charged for a part of it too, whether DE4 has it or not.
  const approvedMinor = saidMinor === undefined ? 0n : saidMinor + apartOf(request, profile.fees)
  const isPart = saidMinor !== undefined && saidMinor > 0n && approvedMinor < request.amountMinor
  const fees = readFees(answer.fees, request)
  if (!isPart || fees.isOtherAmount || !agrees(rest, request, profile)) {
    return lose(before, event, { cause: 'wrongAmount', answer: tellingOf(profile, 'system'), leg })
  }
  // Cash that was promised can't be handed out in part.
  const isTaken =
    profile.takesPartialApprovals && (request.cashMinor ?? 0n) + (request.feeMinor ?? 0n) <= approvedMinor
  if (!isTaken) {
    return lose(before, event, {
      cause: 'partialApproval',
      answer: tellingOf(profile, 'insufficientFunds'),
      leg,
      approvedMinor,
    })
  }
  const paid = paidFor({ ...before, approvedMinor }, answer, { ...profile, read: fees })
  if ('refused' in paid) {
    const answer = tellingOf(profile, paid.refused)
    return lose(before, event, { cause: 'wrongAmount', answer, leg, approvedMinor })
  }
  const responseCode = toldOf(profile.told, 'approvedPartial')
  const approval = { ...approvalOf(answer, false), responseCode, amountMinor: approvedMinor }
  const end = { move: 'approve', outcome: 'approvedPartial', answer: approval, approvedMinor } as const
  const kept = { ...leg, ...paid, ...keptOf(fees) }
  return endAnswered(before, event, profile, { ...end, leg: kept, ...flaggedBy(fees) })
}

/** The destination never saw the leg: nothing to reverse, and the source is told so. */
function endUnsent(
  before: Transaction,
  event: TransactionEvent & { kind: 'legEnded' },
  reason: string,
  profile: Profile,
): Step {
  const answer = tellingOf(profile, outcomeOfUnsent[reason] ?? 'unavailable')
  const change: Change = { leg: { state: 'notSent' } }
  if (before.state === 'reversing') {
    const obligation: ObligationChange = { kind: 'notNeeded', id: reversalIdOf(before) }
    return settle(
      before,
      event,
      'notSent',
      { ...change, reversal: 'notNeeded' },
      { obligation, cause: reason },
    )
  }
  const { instead } = event
  if (instead?.kind === 'standIn') {
    return standIn(before, event, { instead, leg: { state: 'notSent' }, cause: reason, profile })
  }
  return settle(before, event, 'notSent', { ...change, answer }, { cause: reason })
}

/** It goes elsewhere: the new leg is committed together with the end of the old one, and leaves after that (G3). */
function reroute(before: Transaction, event: TransactionEvent, { leg, businessDate }: Instead): Step {
  const result = settle(before, event, 'reroute', { businessDate }, { cause: `to ${leg.destination}` })
  const transaction = { ...result.transaction, leg }
  const ended: Leg = { ...legOf(before), state: 'notSent' }
  return { transaction, unit: { ...result.unit, transaction, ended }, effects: [{ kind: 'send', leg }] }
}

function endAnswered(
  before: Transaction,
  event: TransactionEvent,
  { days, fees, holdForMs }: Profile,
  end: {
    readonly move: 'approve' | 'decline'
    readonly outcome: Outcome
    readonly answer: Answer
    readonly leg: Partial<Leg>
    readonly approvedMinor?: bigint
    readonly flag?: string
  },
): Step {
  const { approvedMinor, answer, flag, leg, move } = end
  const cause = `${leg.responseCode ?? ''} ${end.outcome}`
  const part = {
    ...(approvedMinor === undefined ? {} : { approvedMinor }),
    ...(flag === undefined ? {} : { flag }),
  }
  if (before.state === 'reversing') {
    // The source has its answer already; the reversal it asked for can go now, whatever the destination said.
    const result = settle(
      before,
      event,
      move,
      { leg, ...part },
      { obligation: { kind: 'due', id: reversalIdOf(before) }, cause },
    )
    // What its undoing won't give back is owed all the same.
    const kept = fees?.reversed === true ? [] : postFees(result.transaction, { at: event.at, days })
    return kept.length === 0 ? result : { ...result, unit: { ...result.unit, commands: kept } }
  }
  const result = settle(before, event, move, { leg, answer, ...part }, { cause })
  if (move === 'decline') return result
  return {
    ...result,
    unit: {
      ...result.unit,
      commands: [
        ...post(result.transaction, { at: event.at, holdForMs, days }),
        ...postFees(result.transaction, { at: event.at, days }),
      ],
      onlyWhileApprovable: true,
    },
  }
}

/** On the date that its answer names, whatever is made of the answer (B1): there the destination counts it. */
function onItsDate(before: Transaction, { settlementDate }: LegAnswer, at: number): Transaction {
  const { businessDate } = before
  return { ...before, businessDate: settlementDateOf(settlementDate, { businessDate, at }) }
}

/** Nobody knows what the destination did: the source is declined, and the reversal owed, in one commit. */
export function lose(
  before: Transaction,
  event: TransactionEvent,
  loss: {
    readonly cause: ReversalCause
    readonly answer: Answer
    readonly leg: Partial<Leg>
    /** What the destination may have taken, where that is less than was asked. */
    readonly approvedMinor?: bigint
  },
): Step {
  // Another node, or a deadline, was faster: what is decided stays decided.
  if (before.state !== 'intent' && before.state !== 'reversing')
    return settle(before, event, 'late', {}, { cause: loss.cause })
  const part = loss.approvedMinor === undefined ? {} : { approvedMinor: loss.approvedMinor }
  if (before.state === 'reversing') {
    const obligation: ObligationChange = { kind: 'due', id: reversalIdOf(before) }
    return settle(before, event, 'lose', { leg: loss.leg, ...part }, { obligation, cause: loss.cause })
  }
  if (!movesMoney(kindOfStored(before))) {
    // Asking did no harm, whether or not it was heard: nothing is owed (§4.6).
    const change = { leg: loss.leg, answer: loss.answer, reversal: 'notNeeded' } as const
    return settle(before, event, 'lose', change, { cause: loss.cause })
  }
  const owe = [reversalOf(before, loss.cause, 0)]
  return settle(
    before,
    event,
    'lose',
    { leg: loss.leg, answer: loss.answer, ...part, reversal: 'owed' },
    { owe, cause: loss.cause },
  )
}

/**
 * An approval that its source may not hear any more. How much was approved, and what the destination pays for it, is kept: it
 * counts that, and what undoes it.
 */
export function loseApproval(
  before: Transaction,
  event: TransactionEvent & { kind: 'notCommitted' },
  profile: Profile,
): Step {
  const { at, node, outcome, reason } = event
  const cause = reason === 'late' ? 'timeout' : 'postingRefused'
  // Decided meanwhile: its date may be frozen with it, and stays what it is (LR1).
  if (before.state !== 'intent' && before.state !== 'reversing')
    return settle(before, event, 'late', {}, { cause })
  const { answer } = outcome
  const ended = endLeg(before, { kind: 'legEnded', outcome, at, node }, profile).transaction
  const { billing, settlement } = legOf(ended)
  const paid = {
    ...(billing === undefined ? {} : { billing }),
    ...(settlement === undefined ? {} : { settlement }),
  }
  return lose(onItsDate(before, answer, at), event, {
    cause,
    answer: {
      responseCode: reason === 'late' ? profile.timeoutResponseCode : toldOf(profile.told, 'system'),
    },
    leg: { state: 'answered', ...codes(answer), ...paid },
    ...(ended.approvedMinor === undefined ? {} : { approvedMinor: ended.approvedMinor }),
  })
}

/** An outcome that finds the transaction already decided, by a deadline or by another node. It changes nothing (LR1). */
function lateOutcome(before: Transaction, event: TransactionEvent & { kind: 'legEnded' }): Step {
  return settle(before, event, 'late', {}, { cause: event.outcome.kind })
}
const causeOfLoss = {
  deadline: 'timeout',
  linkLost: 'linkLost',
  badMac: 'badAnswer',
  unparseable: 'badAnswer',
  draining: 'timeout',
} as const satisfies Record<(LegOutcome & { kind: 'maybeSent' })['reason'], ReversalCause>

/** Why a leg did not leave, as the source is told. Whatever is not here is that it can't be reached. */
const outcomeOfUnsent: Readonly<Record<string, Outcome>> = {
  hsm: 'system',
  malformed: 'system',
  pinBlock: 'security',
}

function tellingOf({ told }: Profile, outcome: Outcome): Answer {
  return { responseCode: toldOf(told, outcome) }
}

/** Whether an approval is for what was asked. A destination that does not repeat amount or currency agrees. */
function agrees(answer: LegAnswer, request: CardRequest, { fees }: Profile): boolean {
  const askedMinor = request.amountMinor - apartOf(request, fees)
  if (answer.amountMinor !== undefined && answer.amountMinor !== askedMinor) return false
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
  const { additionalAmounts, billing } = answer
  const said = { ...answerOf(answer), ...(billing === undefined ? {} : { billing }) }
  if (!givesAmounts || additionalAmounts === undefined) return said
  return additionalAmountsForm.test(additionalAmounts) ? { ...said, additionalAmounts } : said
}

function keptOf({ fees }: ReadFees): Pick<Leg, 'fees'> {
  return fees.length === 0 ? {} : { fees }
}

/** Somebody must look at fees that can't be booked; the cardholder's money has nothing to do with them. */
function flaggedBy({ isUnread }: ReadFees): { readonly flag?: string } {
  return isUnread ? { flag: 'feesUnread' } : {}
}

/** What the leg keeps of its answer. */
function codes(answer: LegAnswer): Partial<Leg> {
  const { trace } = answer
  return { ...answerOf(answer), ...(trace === undefined ? {} : { trace }) }
}
