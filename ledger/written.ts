import { BlockBytes } from './chain.ts'
import type { Block, UnitRecord } from './chain.ts'
import { CopyRows } from './copyin.ts'
import type { Account, Hold, Posting } from './books.ts'
import { signed } from './form.ts'
import type { KnownHead } from './known.ts'
import type { Statement } from './trip.ts'
import { copy, statement } from './statements.ts'

/**
 * An array of numbers as PostgreSQL reads one. The driver would quote and escape each of them, and that is most of the
 * time that it needs for a batch.
 */
function numbers(values: readonly (bigint | number | undefined)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`
}

/**
 * COPY makes a slot for each row it holds back, and PostgreSQL looks for the one to let go of among all that are left:
 * of 1,000 rows in one statement that takes as long as an index of them. So a set goes in by several statements.
 */
const rowsAtOnce = 512

function inParts<T>(items: readonly T[], rowsOf: (item: T) => number = () => 1): T[][] {
  const parts: T[][] = []
  let rows = rowsAtOnce
  for (const item of items) {
    const more = rowsOf(item)
    if (rows + more > rowsAtOnce) {
      parts.push([])
      rows = 0
    }
    parts.at(-1)!.push(item)
    rows += more
  }
  return parts
}

export function unitsStatements(units: readonly UnitRecord[], shard: number, seq: bigint): Statement[] {
  let ordinal = 0
  return inParts(units).map((part) => {
    const rows = new CopyRows(8)
    for (const { key, fingerprint, refusal, firstPosting, postings } of part) {
      rows.row().text(key).bytea(Buffer.from(fingerprint, 'hex')).text(refusal)
      rows.int8(firstPosting).int4(postings).int4(ordinal++).int2(shard).int8(seq)
    }
    return copy('insertUnits', rows.done())
  })
}

/** To be stamped with the time at which they are recorded. */
export function postingsStatements(
  postings: readonly Posting[],
  { shard, seq }: Pick<Block, 'shard' | 'seq'>,
): (recordedAt: number) => Statement[] {
  const parts = inParts(postings).map((part) => {
    const rows = new CopyRows(11)
    const recorded: number[] = []
    for (const { id, reference, kind, holdId, reverses, effectiveAt, expiresAt, meta } of part) {
      rows.row().int8(id).text(reference).text(kind).int8(holdId).int8(reverses)
      rows.timestamp(effectiveAt).timestamp(expiresAt).jsonb(meta).int2(shard).int8(seq)
      recorded.push(rows.later())
    }
    return { rows, recorded, data: rows.done() }
  })
  return (recordedAt) =>
    parts.map(({ rows, recorded, data }) => {
      for (const at of recorded) rows.say(at, recordedAt)
      return copy('insertPostings', data)
    })
}

/** All entries of a posting are in one statement: the walls see there whether they balance. */
export function entriesStatements(postings: readonly Posting[]): Statement[] {
  const posted = postings.filter(({ entries }) => entries.length > 0)
  return inParts(posted, ({ entries }) => entries.length).map((part) => {
    const rows = new CopyRows(10)
    for (const { id, entries } of part) {
      for (const [seq, entry] of entries.entries()) {
        rows.row().int8(id).int2(seq).int2(entry.layer).int8(entry.accountId).text(entry.currency)
        rows.int8(entry.amount).int8(entry.accountVersion).int8(entry.balanceAfter)
        rows.int8(entry.debitsPendingAfter).int8(entry.creditsPendingAfter)
      }
    }
    return copy('insertEntries', rows.done())
  })
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

export interface Link {
  readonly statements: readonly Statement[]
  readonly head: KnownHead
}

/** The next link of the chain, and the head that it makes, once it is said when it is recorded. */
export function linkOf(
  block: Omit<Block, 'recordedAt'>,
  { lastPosting, lastAccount }: { lastPosting: bigint; lastAccount: bigint },
): (recordedAt: number) => Link {
  const { shard, seq, prev, accounts, units, postings } = block
  const bytes = new BlockBytes(block)
  const counts = [accounts.length, units.length, postings.length]
  return (recordedAt) => {
    const hash = bytes.hash(recordedAt)
    return {
      statements: [
        statement('insertBlock', [shard, seq, prev, hash, ...counts, recordedAt]),
        statement('moveHead', [shard, seq, hash, lastPosting, lastAccount, recordedAt]),
      ],
      head: { seq, hash, lastAccount, recordedAt, lastPosting },
    }
  }
}
