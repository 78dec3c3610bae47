import { commit } from './batch.ts'
import type { BatchOptions } from './batch.ts'
import { newAccount } from './books.ts'
import type { Account } from './books.ts'
import { readBooks } from './load.ts'
import { isOfClosedDate } from './periods.ts'
import type { Session } from './session.ts'
import { statement } from './statements.ts'
import { linkOf } from './written.ts'

/** Account terms as the caller gave them, and those of an account that exists with others. */
export interface AccountTerms {
  readonly path: string
  readonly currency: string
  readonly normalSide: Account['normalSide']
  readonly limit: Account['limit']
}

/**
 * Opens the accounts that are not open yet, as a block of its own; returns the paths that exist with other terms. One
 * of a date that is closed is left out.
 */
export async function openAccountsBatch(
  session: Session,
  wanted: readonly AccountTerms[],
  options: Pick<BatchOptions, 'shard' | 'known' | 'committing'>,
): Promise<string[]> {
  const { shard } = options
  const paths = wanted.map(({ path }) => path)
  const results = await session.trip([
    'BEGIN',
    statement('lockShard', [shard]),
    statement('periods', [shard]),
    statement('accounts', [paths]),
  ])
  const { head, books } = readBooks((name) => {
    const index = ['lockShard', 'periods', 'accounts'].indexOf(name)
    return index === -1 ? [] : results[index + 1]!.rows
  })
  const different = wanted.filter((terms) => {
    const account = books.accounts.get(terms.path)
    return account !== undefined && !sameTerms(account, terms)
  })
  const fresh = new Map(
    wanted
      .filter(({ path }) => !books.accounts.has(path) && !isOfClosedDate(books.periods, path))
      .map((terms) => [terms.path, terms]),
  )
  if (different.length > 0 || fresh.size === 0) {
    await session.trip(['ROLLBACK'])
    return different.map(({ path }) => path)
  }
  const accounts = [...fresh.values()].map((terms, index) => {
    return { id: head.lastAccount + BigInt(index) + 1n, ...terms }
  })
  const seq = head.seq + 1n
  const block = {
    shard,
    seq,
    prev: head.hash,
    accounts,
    units: [],
    postings: [],
  }
  const ids = { lastPosting: books.lastPosting, lastAccount: accounts.at(-1)!.id }
  const link = linkOf(block, ids)(head.recordedAt)
  const sent = [
    statement('insertAccounts', [
      accounts.map(({ id }) => id),
      accounts.map(({ path }) => path),
      accounts.map(({ currency }) => currency),
      accounts.map(({ normalSide }) => normalSide),
      accounts.map(({ limit }) => limit),
      shard,
      seq,
    ]),
    statement('insertBalances', [
      accounts.map(({ id }) => id),
      accounts.map(({ limit }) => limit === 'noOverdraft'),
      accounts.map(({ normalSide }) => normalSide === 'debit'),
    ]),
    ...link.statements,
  ]
  await commit(session, sent, options)
  options.known.moved(head, link.head, { accounts: accounts.map(newAccount), periods: books.periods })
  return []
}

function sameTerms(account: AccountTerms, terms: AccountTerms): boolean {
  return (
    account.currency === terms.currency &&
    account.normalSide === terms.normalSide &&
    account.limit === terms.limit
  )
}
