import { type Conversion, readConversion } from '../conversion.ts'
import type { Profile, TransactionEvent } from './events.ts'
import { exchangeCompletion } from './completion-postings.ts'
import { kinds } from './kinds.ts'
import { completionToldBy, isStandIn } from './owed.ts'
import { exchangeForced, takeOver } from './postings.ts'
import type { Change, Extra } from './settle.ts'
import { approvedOf, requestOf } from './sides.ts'
import type { Completion, Transaction } from './transaction.ts'

/** What the acknowledgement of an advice changes, and what its destination pays for what it was told of. */
export interface Advised {
  readonly change: Change
  readonly commands?: Extra['commands']
  readonly settlement?: Conversion
}

/**
 * The destination has taken what it was told of: it answers for what was approved in its place, and pays for that, or for
 * a completion, as its answer says (§4.13). What was undone in the meantime is not exchanged in the books; totals count both
 * in the currency that was said, since the destination does.
 */
export function adviceTaken(
  before: Transaction,
  event: TransactionEvent & { kind: 'obligationAnswered' },
  profile: Profile,
): Advised {
  const completion = completionToldBy(before, event.obligationId)
  const paid = paidFor(before, completion, { event, profile })
  const { settlement, ...flagged } = paid
  const told = settlement === undefined ? {} : { settlement }
  const { at } = event
  const { days } = profile
  if (completion !== undefined) {
    if (settlement === undefined || completion.isUndone === true || before.state === 'reversed')
      return { change: flagged, ...told }
    const completions = before.completions!.map((one) => (one === completion ? { ...one, settlement } : one))
    const command = exchangeCompletion(before, completion, { at, days, settlement })
    return { change: { ...flagged, completions }, commands: [command], settlement }
  }
  const change: Change = settlement === undefined ? flagged : { ...flagged, leg: { settlement } }
  if (isStandIn(before)) {
    if (before.state !== 'approved') return { change: flagged, ...told }
    return { change, commands: [takeOver(before, { at, days, ...told })], ...told }
  }
  if (settlement === undefined || before.state !== 'completed') return { change: flagged, ...told }
  return { change, commands: [exchangeForced(before, { at, days, settlement })], settlement }
}

/** A settlement that nobody can book is for people to look at: the destination has taken what it was told of all the same. */
function paidFor(
  before: Transaction,
  completion: Completion | undefined,
  {
    event,
    profile: { rateBasis = 'major' },
  }: { readonly event: TransactionEvent & { kind: 'obligationAnswered' }; readonly profile: Profile },
): { readonly settlement?: Conversion; readonly flag?: string } {
  const { currency, kind } = requestOf(before)
  // What is only set aside is settled when it is taken.
  if (completion === undefined && kinds[kind].books !== 'post') return {}
  const amountMinor = completion?.amountMinor ?? approvedOf(before)
  const read = readConversion(event.settlement, { amountMinor, currency, basis: rateBasis })
  switch (read.kind) {
    case 'none':
      return {}
    case 'converted':
      return { settlement: read.conversion }
    case 'unknownCurrency':
    case 'doesNotAdd':
      return { flag: 'settlementDisputed' }
  }
}
