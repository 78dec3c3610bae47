import { blockHash } from './chain.ts'
import type { Block, UnitRecord } from './chain.ts'
import type { Account, Hold, Posting } from './decide.ts'
import { signed } from './form.ts'
import type { KnownHead } from './known.ts'
import type { Statement } from './trip.ts'
import { statement } from './statements.ts'

/**
 * An array of numbers as PostgreSQL reads one. The driver would quote and escape each of them, and that is most of the
 * time that it needs for a batch.
 */
function numbers(values: readonly (bigint | number | undefined)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`
}

export function unitsStatement(units: readonly UnitRecord[], shard: number, seq: bigint): Statement {
  return statement('insertUnits', [
    units.map(({ key }) => key),
    units.map(({ fingerprint }) => fingerprint),
    units.map(({ refusal }) => refusal),
    numbers(units.map(({ firstPosting }) => firstPosting)),
    numbers(units.map(({ postings }) => postings)),
    shard,
    seq,
  ])
}

export function postingsStatement(
  postings: readonly Posting[],
  { shard, seq, recordedAt }: Block,
): Statement {
  return statement('insertPostings', [
    numbers(postings.map(({ id }) => id)),
    postings.map(({ reference }) => reference),
    postings.map(({ kind }) => kind),
    numbers(postings.map(({ holdId }) => holdId)),
    numbers(postings.map(({ reverses }) => reverses)),
    numbers(postings.map(({ effectiveAt }) => effectiveAt)),
    numbers(postings.map(({ expiresAt }) => expiresAt)),
    postings.map(({ meta }) => (meta === undefined ? null : JSON.stringify(meta))),
    shard,
    seq,
    recordedAt,
  ])
}

export function entriesStatement(postings: readonly Posting[]): Statement {
  const entries = postings.flatMap(({ id, entries: own }) => own.map((entry, seq) => ({ id, seq, entry })))
  return statement('insertEntries', [
    numbers(entries.map(({ id }) => id)),
    numbers(entries.map(({ seq }) => seq)),
    numbers(entries.map(({ entry }) => entry.layer)),
    numbers(entries.map(({ entry }) => entry.accountId)),
    entries.map(({ entry }) => entry.currency),
    numbers(entries.map(({ entry }) => entry.amount)),
    numbers(entries.map(({ entry }) => entry.accountVersion)),
    numbers(entries.map(({ entry }) => entry.balanceAfter)),
    numbers(entries.map(({ entry }) => entry.debitsPendingAfter)),
    numbers(entries.map(({ entry }) => entry.creditsPendingAfter)),
  ])
}

/** The same scope twice in a batch: the later word stands, and two rows of one key are no statement. */
export function periodsStatement(
  closed: readonly { readonly scope: string; readonly through: string; readonly id: bigint }[],
  shard: number,
): Statement {
  const last = [...new Map(closed.map((each) => [each.scope, each])).values()]
  return statement('insertPeriods', [
    last.map(({ scope }) => scope),
    last.map(({ through }) => through),
    last.map(({ id }) => id),
    shard,
  ])
}

type AccountIdOf = (path: string) => bigint

export function insertHoldsStatement(holds: readonly Hold[], accountIdOf: AccountIdOf): Statement {
  return statement('insertHolds', [
    holds.map(({ id }) => id),
    holds.map(({ state }) => state),
    holds.map(({ currency }) => currency),
    holds.map(({ amountMinor }) => amountMinor),
    holds.map(({ capturedMinor }) => capturedMinor),
    ...legColumns(holds, accountIdOf),
    holds.map(({ expiresAt }) => expiresAt),
    holds.map(({ version }) => version),
  ])
}

export function updateHoldsStatement(
  holds: readonly Hold[],
  accountIdOf: AccountIdOf,
  versions: ReadonlyMap<string, bigint>,
): Statement {
  return statement('updateHolds', [
    holds.map(({ id }) => id),
    holds.map(({ state }) => state),
    holds.map(({ amountMinor }) => amountMinor),
    holds.map(({ capturedMinor }) => capturedMinor),
    ...legColumns(holds, accountIdOf),
    holds.map(({ expiresAt }) => expiresAt),
    holds.map(({ version }) => version),
    holds.map(({ reference }) => versions.get(reference)),
  ])
}

/** Arrays of arrays of different lengths don't exist in SQL: each hold's are one text that the statement casts. */
function legColumns(holds: readonly Hold[], accountIdOf: AccountIdOf): string[][] {
  const arrays = (valueOf: (leg: Hold['legs'][number]) => bigint): string[] =>
    holds.map(({ legs }) => `{${legs.map(valueOf).join(',')}}`)
  return [
    arrays(({ account }) => accountIdOf(account)),
    arrays(({ side, amountMinor }) => signed(side, amountMinor)),
    arrays(({ side, openMinor }) => signed(side, openMinor)),
  ]
}

export function balancesStatement(
  accounts: readonly Account[],
  versions: ReadonlyMap<string, bigint>,
): Statement {
  return statement('updateBalances', [
    numbers(accounts.map(({ id }) => id)),
    numbers(accounts.map(({ debits }) => debits)),
    numbers(accounts.map(({ credits }) => credits)),
    numbers(accounts.map(({ debitsPending }) => debitsPending)),
    numbers(accounts.map(({ creditsPending }) => creditsPending)),
    numbers(accounts.map(({ version }) => version)),
    numbers(accounts.map(({ path }) => versions.get(path))),
    accounts.map(({ closed }) => closed),
  ])
}

/** The next link of the chain, and the head that it makes. */
export function blockStatements(
  block: Block,
  { lastPosting, lastAccount }: { lastPosting: bigint; lastAccount: bigint },
): { readonly statements: Statement[]; readonly head: KnownHead } {
  const { shard, seq, prev, recordedAt, accounts, units, postings } = block
  const hash = blockHash(block)
  const counts = [accounts.length, units.length, postings.length]
  return {
    statements: [
      statement('insertBlock', [shard, seq, prev, hash, ...counts, recordedAt]),
      statement('moveHead', [shard, seq, hash, lastPosting, lastAccount, recordedAt]),
    ],
    head: { seq, hash, lastAccount, recordedAt, lastPosting },
  }
}
