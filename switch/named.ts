import type { InboundCompletion, Named } from './arrivals.ts'
import type { Journal } from './journal.ts'
import type { StoredCard, Transaction } from './transaction/transaction.ts'

/** The transaction that a source names, where there is one. */
export function transactionNamed(
  journal: Journal,
  { request, source }: Pick<InboundCompletion, 'request' | 'source'>,
  { authId, originalKey }: Named,
): Promise<Transaction | undefined> {
  if (originalKey !== undefined) return journal.transactionByKey(originalKey)
  if (authId === undefined) return Promise.resolve(undefined)
  return journal.authorization({ source: source.name, rrn: request.rrn, authId })
}

/** Two tokens that are both known must be the same; one that could not be made decides nothing. */
export function sameToken(one: StoredCard, other: StoredCard): boolean {
  return one.token === undefined || other.token === undefined || one.token === other.token
}
