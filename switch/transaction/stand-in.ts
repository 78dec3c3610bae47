import type { Profile, StandIn, Step, TransactionEvent } from './events.ts'
import { isStandIn, reversalOf, standInAdviceOf } from './owed.ts'
import { post } from './postings.ts'
import { requestOf } from './sides.ts'
import { toldOf } from '../results.ts'
import { type Extra, settle } from './settle.ts'
import type { Leg, ReversalCause, Transaction } from './transaction.ts'

/**
 * We approve in the issuer's place (§4.11): entries, the exposure, and what the issuer is to hear of it are one commit.
 * Where it may have the request already, that is undone first and then the advice told (P5): card by card, what is owed
 * is told in order.
 */
export function standIn(
  before: Transaction,
  event: TransactionEvent,
  approval: {
    readonly instead: StandIn
    readonly leg: Partial<Leg>
    /** Why the leg must be undone; absent: it never left. */
    readonly undo?: ReversalCause
    readonly cause: string
    readonly profile: Profile
  },
): Step {
  const { instead, leg, undo } = approval
  const { amountMinor, currency } = requestOf(before)
  const { authId, limits, rule } = instead
  // A network that nets the two itself (P5) hears the advice alone.
  const isUndone = undo !== undefined && instead.settles === 'reversalThenAdvice'
  const reversals = isUndone ? [reversalOf(before, undo, 0)] : []
  const result = settle(
    before,
    event,
    'approve',
    {
      leg,
      answer: { responseCode: toldOf(approval.profile.told, 'approved'), authId },
      standIn: rule,
      advice: 'owed',
      ...(isUndone ? { reversal: 'owed' } : {}),
    },
    {
      cause: `stand-in for ${rule}: ${approval.cause}`,
      owe: [...reversals, standInAdviceOf(before, authId)],
      exposure: { kind: 'new', rule, cardToken: before.card!.token!, currency, amountMinor, limits },
    },
  )
  const { days, holdForMs } = approval.profile
  const commands = post(result.transaction, { at: event.at, days, holdForMs })
  return { ...result, unit: { ...result.unit, commands, onlyWhileApprovable: true } }
}

/** What is undone of an approval in the issuer's place is no risk any more (P3). */
export function givenBack(before: Transaction, leftMinor: bigint): Pick<Extra, 'exposure'> {
  return isStandIn(before) ? { exposure: { kind: 'change', amountMinor: leftMinor } } : {}
}
