import { DatabaseError } from '../kernel/database.ts'
import type { Unit } from './contract.ts'
import { emptyBooks, newAccount } from './books.ts'
import type { Account, Hold, Posted } from './books.ts'
import type { BooksAtHead, KnownBooks } from './known.ts'
import { gatherRows } from './rowkinds.ts'
import type { RowKinds } from './rowkinds.ts'
import type { Session } from './session.ts'
import type { Statement } from './trip.ts'
import { statement } from './statements.ts'
import type { StatementName } from './statements.ts'

export interface Loaded extends BooksAtHead {
  /** What the guards refuse, by the unit's place in the batch. */
  readonly verdicts: ReadonlyMap<number, string>
}

type Row = Record<string, unknown>

export async function load(
  session: Session,
  tasks: readonly { readonly unit: Unit }[],
  { shard, kinds, known }: { readonly shard: number; readonly kinds: RowKinds; readonly known: KnownBooks },
): Promise<Loaded> {
  const wanted = wantedBy(tasks)
  const guards = gatherRows(
    kinds,
    tasks.map(({ unit }) => unit),
    () => true,
  ).filter(({ kind }) => kind.guard !== undefined)
  const asked: [StatementName, unknown[]][] = [
    ['lockShard', [shard]],
    ['periods', [shard]],
    ['knownUnits', [tasks.map(({ unit }) => unit.key)]],
  ]
  const ask = (name: StatementName, names: ReadonlySet<string>): void => {
    if (names.size > 0) asked.push([name, [[...names]]])
  }
  ask('accounts', wanted.accounts)
  ask('postings', wanted.postings)
  ask('reversals', wanted.reversed)
  ask('reversedEntries', wanted.reversed)
  ask('holds', wanted.holds)
  ask('holdAccounts', wanted.holds)
  if (wanted.periods.size > 0) {
    asked.push(['openDatedAccounts', [[...wanted.periods.keys()], [...wanted.periods.values()]]])
  }

  known.asked()
  const results = await session.trip([
    'BEGIN',
    ...asked.map(([name, values]) => statement(name, values)),
    ...guards.map(({ kind, columns }): Statement => {
      return { name: `guard ${kind.name}`, text: kind.guard!, values: [...columns] }
    }),
  ])
  const rowsOf = (name: StatementName): Row[] => {
    const index = asked.findIndex(([askedName]) => askedName === name)
    return index === -1 ? [] : results[index + 1]!.rows
  }
  const verdicts = new Map<number, string>()
  for (const [index, { owners }] of guards.entries()) {
    for (const row of results[1 + asked.length + index]!.rows) {
      const owner = owners[Number(row['ordinal']) - 1]!
      if (!verdicts.has(owner)) verdicts.set(owner, String(row['reason']))
    }
  }
  known.told(results[1]!.rows[0]!['now_ms'] as bigint)
  return { ...readBooks(rowsOf), verdicts }
}

/** What the commands of a batch need to see, by name. */
function wantedBy(
  tasks: readonly { readonly unit: Unit }[],
): Record<'accounts' | 'postings' | 'reversed' | 'holds', Set<string>> & { periods: Map<string, string> } {
  const accounts = new Set<string>()
  const postings = new Set<string>()
  const reversed = new Set<string>()
  const holds = new Set<string>()
  const periods = new Map<string, string>()
  for (const command of tasks.flatMap(({ unit }) => unit.commands)) {
    postings.add(command.id)
    switch (command.kind) {
      case 'post':
      case 'authorize':
        for (const { account } of command.legs) accounts.add(account)
        for (const { account } of command.conditions ?? []) accounts.add(account)
        break
      case 'increment':
        for (const { account } of command.legs) accounts.add(account)
        holds.add(command.holdId)
        break
      case 'capture':
      case 'release':
      case 'void':
      case 'expire':
        holds.add(command.holdId)
        break
      case 'reverse':
        postings.add(command.reverses)
        reversed.add(command.reverses)
        break
      case 'close':
        accounts.add(command.account)
        break
      case 'closePeriod': {
        const { scope, through } = command
        if (through > (periods.get(scope) ?? '')) periods.set(scope, through)
      }
    }
  }
  return { accounts, postings, reversed, holds, periods }
}

export function readBooks(rowsOf: (name: StatementName) => Row[]): BooksAtHead {
  const books = emptyBooks()
  const [shard] = rowsOf('lockShard')
  if (shard === undefined) throw new DatabaseError('other', { message: 'the books have no such shard' })
  books.lastPosting = shard['last_posting'] as bigint
  for (const row of rowsOf('periods')) books.periods.set(row['scope'] as string, row['through'] as string)
  for (const row of rowsOf('knownUnits')) {
    const { key, fingerprint, refusal } = row as { key: string; fingerprint: string; refusal: string | null }
    books.units.set(key, { fingerprint, refusal: refusal ?? undefined })
  }
  const paths = new Map<bigint, string>()
  const found = (['accounts', 'reversedEntries', 'holdAccounts', 'openDatedAccounts'] as const).flatMap(
    rowsOf,
  )
  for (const row of found) {
    const account = readAccount(row)
    books.accounts.set(account.path, account)
    paths.set(account.id, account.path)
  }
  const moved = Map.groupBy(rowsOf('reversedEntries'), (row) => row['reference'] as string)
  const reversed = new Set(rowsOf('reversals').map((row) => row['reverses']))
  for (const row of rowsOf('postings')) {
    const { reference, id, kind } = row as unknown as Posted & { reference: string }
    const entries = (moved.get(reference) ?? []).map((entry) => {
      return { account: entry['path'] as string, amount: entry['amount'] as bigint }
    })
    books.postings.set(reference, { id, kind, reversed: reversed.has(id), moved: entries })
  }
  const holdVersions = new Map<string, bigint>()
  for (const row of rowsOf('holds')) {
    const hold = readHold(row, paths)
    books.holds.set(hold.reference, hold)
    holdVersions.set(hold.reference, row['version'] as bigint)
  }
  return {
    head: {
      seq: shard['head_seq'] as bigint,
      hash: shard['head_hash'] as Buffer,
      lastAccount: shard['last_account'] as bigint,
      recordedAt: Number(
        (shard['now_ms'] as bigint) > (shard['recorded_ms'] as bigint)
          ? shard['now_ms']
          : shard['recorded_ms'],
      ),
    },
    books,
    versions: new Map([...books.accounts].map(([path, { version }]) => [path, version])),
    holdVersions,
  }
}

function readAccount(row: Row): Account {
  const terms = newAccount({
    id: row['id'] as bigint,
    path: row['path'] as string,
    currency: row['currency'] as string,
    normalSide: row['normal_side'] as Account['normalSide'],
    limit: row['limit_kind'] as Account['limit'],
  })
  return {
    ...terms,
    closed: row['closed'] as boolean,
    debits: row['debits'] as bigint,
    credits: row['credits'] as bigint,
    debitsPending: row['debits_pending'] as bigint,
    creditsPending: row['credits_pending'] as bigint,
    version: row['version'] as bigint,
  }
}

function readHold(row: Row, paths: ReadonlyMap<bigint, string>): Hold {
  const amounts = row['amounts'] as bigint[]
  const open = row['open'] as bigint[]
  const magnitude = (amount: bigint): bigint => (amount < 0n ? -amount : amount)
  return {
    id: row['id'] as bigint,
    reference: row['reference'] as string,
    state: row['state'] as Hold['state'],
    currency: row['currency'] as string,
    amountMinor: row['amount'] as bigint,
    capturedMinor: row['captured'] as bigint,
    legs: (row['account_ids'] as bigint[]).map((id, index) => ({
      account: paths.get(id)!,
      side: amounts[index]! > 0n ? 'debit' : 'credit',
      amountMinor: magnitude(amounts[index]!),
      openMinor: magnitude(open[index]!),
    })),
    expiresAt: Number(row['expires_ms']),
    version: row['version'] as bigint,
  }
}
