import type { Outcome } from './results.ts'
import { type Kind, kinds } from './transaction/kinds.ts'
import type { CardRequest, Original, StoredCard, Transaction } from './transaction/transaction.ts'

/** The earlier transaction that a request is about, or why it can't be about that. */
export type Parentage =
  | {
      readonly kind: 'of'
      readonly parentId: string
      readonly destination: string
      /** Absent where the destination knows it by no leg of ours. */
      readonly original: Original | undefined
    }
  | { readonly kind: 'refused'; readonly outcome: Outcome; readonly cause: string }

/**
 * Whether a raise may be of the authorization that it names, or a refund of what was paid (§4.10). How much of it, only
 * the commits can say: of a raise the books, where what it raises must still be open, of a refund the row of its parent.
 */
export function parentageOf(
  parent: Transaction | undefined,
  child: { readonly request: CardRequest; readonly card: StoredCard },
): Parentage {
  const refused = (outcome: Outcome, cause: string): Parentage => ({ kind: 'refused', outcome, cause })
  if (parent?.request === undefined) return refused('notFound', 'it names nothing that we know')
  const { card, leg, request } = parent
  if (request.currency !== child.request.currency || !isSameCard(card, child.card))
    return refused('invalidTransaction', 'it names a transaction of another card or currency')
  const states = statesOf[child.request.kind] ?? []
  if (leg === undefined || !canHave(request.kind, child.request.kind) || !states.includes(parent.state))
    return refused('invalidTransaction', `it names a ${request.kind} that is ${parent.state}`)
  return {
    ...{ kind: 'of', parentId: parent.id, destination: leg.destination },
    original:
      leg.state === 'answered' && parent.standIn === undefined ? originalOf(request.mti, leg) : undefined,
  }
}

const statesOf: Partial<Readonly<Record<Kind, readonly Transaction['state'][]>>> = {
  incremental: ['approved'],
  refund: ['approved', 'completed'],
}

function canHave(parent: Kind, child: Kind): boolean {
  if (child === 'incremental') return kinds[parent].books === 'hold'
  return kinds[parent].cardholder === 'pays' && parent !== 'incremental'
}

function originalOf(mti: string, leg: NonNullable<Transaction['leg']>): Original {
  const { stan, transmittedAt, acquirerId, authId, trace } = leg
  return {
    ...{ mti, stan, transmittedAt, acquirerId },
    ...(authId === undefined ? {} : { authId }),
    ...(trace === undefined ? {} : { trace }),
  }
}

function isSameCard(one: StoredCard | undefined, other: StoredCard): boolean {
  if (one?.token === undefined || other.token === undefined) return false
  return one.token === other.token
}
