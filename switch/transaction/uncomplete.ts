import { toldOf } from '../results.ts'
import type { Profile, TransactionEvent } from './events.ts'
import type { Move } from './moves.ts'
import { uncompletionOf, undoingOf } from './owed.ts'
import { giveBackCompletion } from './completion-postings.ts'
import type { Change, Extra } from './settle.ts'
import { givenBack } from './stand-in.ts'
import type { Completion, Transaction } from './transaction.ts'

/** What a source's reversal is answered, and what it changes. */
export type Cancelling = readonly [responseCode: string, change: Change, extra: Extra, move?: Move]

/**
 * One completion of several is undone, and the others stand (R7). While others may follow it, what it took is set aside
 * again, here and at the issuer. Behind the last completion nothing is set aside any more: when all of them are undone the
 * authorization is undone with them, so that nobody's money waits for its time to come.
 */
export function cancelCompletion(
  before: Transaction,
  event: TransactionEvent & { kind: 'cancel' },
  profile: Profile,
): Cancelling {
  const { actualMinor, completionKey, isAdvice, isLateVoid } = event.reversal
  const completion = before.completions?.find(({ sourceKey }) => sourceKey === completionKey)
  const invalid = toldOf(profile.told, 'invalidTransaction')
  if (completion === undefined) return nothing(toldOf(profile.told, 'notFound'), 'no such completion')
  if (completion.isUndone === true || before.state === 'reversed')
    return nothing(profile.nothingToReverseResponseCode, 'undone already')
  if (actualMinor > 0n) return nothing(invalid, 'part of what was completed: refund instead')
  if (isLateVoid === true && isAdvice !== true)
    return nothing(invalid, 'void after the cutover: refund instead')
  return undone(before, event, { completion, profile })
}

function undone(
  before: Transaction,
  { at, hold, reversal }: TransactionEvent & { kind: 'cancel' },
  { completion, profile }: { readonly completion: Completion; readonly profile: Profile },
): Cancelling {
  const { amountMinor, heldMinor, number } = completion
  const isOpen = before.state === 'approved' && hold?.state === 'open'
  const completions = before.completions!.map((one) =>
    one === completion ? { ...one, isUndone: true as const } : one,
  )
  const change: Change = {
    completions,
    completedMinor: (before.completedMinor ?? 0n) - amountMinor,
    capturedMinor: (before.capturedMinor ?? 0n) - heldMinor,
    reversal: 'owed',
    // It tells of what happened after its day was settled (M3): taken, and for people to look at.
    ...(reversal.isLateVoid === true ? { flag: 'voidAfterCutover' } : {}),
  }
  const extra: Extra = {
    cause: `reversal of completion ${number}`,
    owe: [uncompletionOf(before, completion)],
    commands: giveBackCompletion(before, completion, { at, days: profile.days, isSetAsideAgain: isOpen }),
  }
  const isAnyLeft = isOpen || completions.some(({ isUndone }) => isUndone !== true)
  if (isAnyLeft) return ['00', change, extra, 'uncapture']
  const last = undoingOf({ ...before, completedMinor: 0n }, 'sourceReversal')
  return [
    '00',
    change,
    {
      ...extra,
      cause: `${extra.cause!}, and of the authorization with it`,
      owe: [...extra.owe!, last],
      ...givenBack(before, 0n),
    },
    'cancel',
  ]
}

function nothing(responseCode: string, cause: string): Cancelling {
  return [responseCode, {}, { cause }, 'nothingToUndo']
}
