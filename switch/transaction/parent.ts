import type { JournalUnit, ParentChange } from '../journal.ts'
import { outstandingOf } from './sides.ts'
import type { Transaction } from './transaction.ts'

/**
 * What a refund has, or may come to have, of what was paid for the transaction that it names (§4.10): from the commit
 * before it leaves, so that two at once never are more than that, until it is declined or undone.
 */
function claimedOf(refund: Transaction): bigint {
  return refund.state === 'intent' || refund.state === 'approved' ? outstandingOf(refund) : 0n
}

/** What a change of a refund changes of the transaction that it gives money back for. */
export function parentChange(
  before: Transaction | undefined,
  after: Transaction,
  { at, node }: JournalUnit['event'],
): ParentChange | undefined {
  const { id, parentId, request } = after
  if (parentId === undefined || request?.kind !== 'refund') return undefined
  const refundMinor = claimedOf(after) - (before === undefined ? 0n : claimedOf(before))
  if (refundMinor === 0n) return undefined
  return { id: parentId, refundMinor, child: id, at, node }
}
