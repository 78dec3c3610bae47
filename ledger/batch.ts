import type { QueryResult } from 'pg'
import { DatabaseError } from '../kernel/database.ts'
import { blockHash } from './chain.ts'
import type { Block, UnitRecord } from './chain.ts'
import type { Unit, UnitOutcome } from './contract.ts'
import { apply, decide, emptyBooks, newAccount, signed } from './decide.ts'
import type { Account, Books, Decision, Hold, Posted, Posting } from './decide.ts'
import { gatherRows } from './rowkinds.ts'
import type { RowKinds } from './rowkinds.ts'
import type { Session, Statement } from './session.ts'
import { statements } from './statements.ts'
import type { StatementName } from './statements.ts'

/** A unit on its way, with the hash of its body. */
export interface Task {
  readonly unit: Unit
  readonly fingerprint: string
}

export interface BatchOptions {
  readonly shard: number
  readonly kinds: RowKinds
  /** Called just before the COMMIT goes out: from here on a lost connection leaves the outcome unknown. */
  readonly committing: () => void
}

/**
 * One try at a batch: lock and load, decide in order, write, commit. Returns the answers in order, all of them
 * durable. Throws `DatabaseError`; then nothing was written unless `committing` had been called.
 */
export async function commitBatch(
  session: Session,
  tasks: readonly Task[],
  options: BatchOptions,
): Promise<UnitOutcome[]> {
  const loaded = await load(session, tasks, options)
  const { books, verdicts } = loaded
  const decisions = tasks.map(({ unit, fingerprint }, place): Decision | Guarded => {
    const reason = verdicts.get(place)
    // What the record already answers, no guard is asked about.
    if (reason !== undefined && !books.units.has(unit.key)) return { kind: 'guarded', reason }
    const decision = decide(books, unit, fingerprint)
    apply(books, unit, fingerprint, decision)
    return decision
  })
  const outcomes = decisions.map(outcomeOf)
  if (decisions.every((decision) => !isRecorded(decision))) {
    await session.trip(['ROLLBACK'])
    return outcomes
  }
  await commit(session, written(tasks, decisions, loaded, options), options)
  return outcomes
}

interface Guarded {
  readonly kind: 'guarded'
  readonly reason: string
}

function outcomeOf(decision: Decision | Guarded): UnitOutcome {
  switch (decision.kind) {
    case 'accepted':
      return { kind: 'committed' }
    case 'refused':
    case 'guarded':
      return { kind: 'refused', reason: decision.reason }
    case 'replay':
      return decision.refusal === undefined
        ? { kind: 'committed' }
        : { kind: 'refused', reason: decision.refusal }
    case 'conflict':
      return { kind: 'refused', reason: 'keyReused' }
  }
}

function isRecorded(decision: Decision | Guarded): boolean {
  return decision.kind === 'accepted' || (decision.kind === 'refused' && decision.stored)
}

interface Head {
  readonly seq: bigint
  readonly hash: Uint8Array
  readonly lastAccount: bigint
  /** Never before that of the block before. */
  readonly recordedAt: number
}

interface Loaded {
  readonly head: Head
  readonly books: Books
  /** What the guards refuse, by the unit's place in the batch. */
  readonly verdicts: ReadonlyMap<number, string>
  readonly versions: ReadonlyMap<string, bigint>
  readonly holdVersions: ReadonlyMap<string, bigint>
}

type Row = Record<string, unknown>

async function load(session: Session, tasks: readonly Task[], options: BatchOptions): Promise<Loaded> {
  const wanted = wantedBy(tasks)
  const guards = gatherRows(
    options.kinds,
    tasks.map(({ unit }) => unit),
    () => true,
  ).filter(({ kind }) => kind.guard !== undefined)
  const asked: [StatementName, unknown[]][] = [
    ['lockShard', [options.shard]],
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
  return { ...readBooks(rowsOf), verdicts }
}

/** What the commands of a batch need to see, by name. */
function wantedBy(
  tasks: readonly Task[],
): Record<'accounts' | 'postings' | 'reversed' | 'holds', Set<string>> {
  const accounts = new Set<string>()
  const postings = new Set<string>()
  const reversed = new Set<string>()
  const holds = new Set<string>()
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
    }
  }
  return { accounts, postings, reversed, holds }
}

function readBooks(rowsOf: (name: StatementName) => Row[]): Omit<Loaded, 'verdicts'> {
  const books = emptyBooks()
  const [shard] = rowsOf('lockShard')
  if (shard === undefined) throw new DatabaseError('other', { message: 'the books have no such shard' })
  books.lastPosting = shard['last_posting'] as bigint
  for (const row of rowsOf('knownUnits')) {
    const { key, fingerprint, refusal } = row as { key: string; fingerprint: string; refusal: string | null }
    books.units.set(key, { fingerprint, refusal: refusal ?? undefined })
  }
  const paths = new Map<bigint, string>()
  for (const row of [...rowsOf('accounts'), ...rowsOf('reversedEntries'), ...rowsOf('holdAccounts')]) {
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

/** The statements that make the decisions true. */
function written(
  tasks: readonly Task[],
  decisions: readonly (Decision | Guarded)[],
  { head, books, versions, holdVersions }: Loaded,
  { shard, kinds }: BatchOptions,
): Statement[] {
  const seq = head.seq + 1n
  const postings: Posting[] = []
  const units: UnitRecord[] = []
  const accounts = new Map<string, Account>()
  const holds = new Map<string, Hold>()
  const firstPosting = books.lastPosting - BigInt(count(decisions)) + 1n
  for (const [place, decision] of decisions.entries()) {
    if (!isRecorded(decision)) continue
    const { unit, fingerprint } = tasks[place]!
    const made = decision.kind === 'accepted' ? decision.postings : []
    units.push({
      key: unit.key,
      fingerprint,
      refusal: decision.kind === 'refused' ? decision.reason : undefined,
      firstPosting: firstPosting + BigInt(postings.length),
      postings: made.length,
    })
    postings.push(...made)
    if (decision.kind !== 'accepted') continue
    for (const [path, account] of decision.changes.accounts) accounts.set(path, account)
    for (const [reference, hold] of decision.changes.holds) holds.set(reference, hold)
  }
  const block: Block = {
    shard,
    seq,
    prev: head.hash,
    recordedAt: head.recordedAt,
    accounts: [],
    units,
    postings,
  }
  const accountIdOf = (path: string): bigint => books.accounts.get(path)!.id
  const created = [...holds.values()].filter(({ reference }) => !holdVersions.has(reference))
  const changed = [...holds.values()].filter(({ reference }) => holdVersions.has(reference))
  const rows = gatherRows(
    kinds,
    tasks.map(({ unit }) => unit),
    (place) => decisions[place]!.kind === 'accepted',
  )

  const sent = [unitsStatement(units, shard, seq)]
  if (postings.length > 0) sent.push(postingsStatement(postings, block))
  if (postings.some(({ entries }) => entries.length > 0)) sent.push(entriesStatement(postings))
  if (created.length > 0) sent.push(insertHoldsStatement(created, accountIdOf))
  if (changed.length > 0) sent.push(updateHoldsStatement(changed, accountIdOf, holdVersions))
  if (accounts.size > 0) sent.push(balancesStatement([...accounts.values()], versions))
  for (const { kind, columns } of rows) {
    sent.push({ name: `write ${kind.name}`, text: kind.write, values: [...columns] })
  }
  sent.push(...blockStatements(block, { lastPosting: books.lastPosting, lastAccount: head.lastAccount }))
  return sent
}

function count(decisions: readonly (Decision | Guarded)[]): number {
  return decisions.reduce(
    (sum, decision) => (decision.kind === 'accepted' ? sum + decision.postings.length : sum),
    0,
  )
}

/**
 * The statements and the COMMIT in one trip: a statement that fails, or that touches other rows than it was meant to,
 * makes a ROLLBACK of it.
 */
async function commit(session: Session, sent: readonly Statement[], options: BatchOptions): Promise<void> {
  options.committing()
  const results: QueryResult[] = await session.trip([...sent, 'COMMIT'])
  if (results.at(-1)!.command !== 'COMMIT') throw new DatabaseError('conflict', { message: 'rolled back' })
}

function statement(name: StatementName, values: unknown[]): Statement {
  return { name, text: statements[name], values }
}

function unitsStatement(units: readonly UnitRecord[], shard: number, seq: bigint): Statement {
  return statement('insertUnits', [
    units.map(({ key }) => key),
    units.map(({ fingerprint }) => fingerprint),
    units.map(({ refusal }) => refusal),
    units.map(({ firstPosting }) => firstPosting),
    units.map(({ postings }) => postings),
    shard,
    seq,
  ])
}

function postingsStatement(postings: readonly Posting[], { shard, seq, recordedAt }: Block): Statement {
  return statement('insertPostings', [
    postings.map(({ id }) => id),
    postings.map(({ reference }) => reference),
    postings.map(({ kind }) => kind),
    postings.map(({ holdId }) => holdId),
    postings.map(({ reverses }) => reverses),
    postings.map(({ effectiveAt }) => effectiveAt),
    postings.map(({ expiresAt }) => expiresAt),
    postings.map(({ meta }) => (meta === undefined ? null : JSON.stringify(meta))),
    shard,
    seq,
    recordedAt,
  ])
}

function entriesStatement(postings: readonly Posting[]): Statement {
  const columns: unknown[][] = Array.from({ length: 10 }, () => [])
  for (const { id, entries } of postings) {
    for (const [seq, entry] of entries.entries()) {
      columns[0]!.push(id)
      columns[1]!.push(seq)
      columns[2]!.push(entry.layer)
      columns[3]!.push(entry.accountId)
      columns[4]!.push(entry.currency)
      columns[5]!.push(entry.amount)
      columns[6]!.push(entry.accountVersion)
      columns[7]!.push(entry.balanceAfter)
      columns[8]!.push(entry.debitsPendingAfter)
      columns[9]!.push(entry.creditsPendingAfter)
    }
  }
  return statement('insertEntries', columns)
}

type AccountIdOf = (path: string) => bigint

function insertHoldsStatement(holds: readonly Hold[], accountIdOf: AccountIdOf): Statement {
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

function updateHoldsStatement(
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

function balancesStatement(accounts: readonly Account[], versions: ReadonlyMap<string, bigint>): Statement {
  return statement('updateBalances', [
    accounts.map(({ id }) => id),
    accounts.map(({ debits }) => debits),
    accounts.map(({ credits }) => credits),
    accounts.map(({ debitsPending }) => debitsPending),
    accounts.map(({ creditsPending }) => creditsPending),
    accounts.map(({ version }) => version),
    accounts.map(({ path }) => versions.get(path)),
    accounts.map(({ closed }) => closed),
  ])
}

function blockStatements(
  block: Block,
  { lastPosting, lastAccount }: { lastPosting: bigint; lastAccount: bigint },
): Statement[] {
  const { shard, seq, prev, recordedAt, accounts, units, postings } = block
  const hash = blockHash(block)
  const counts = [accounts.length, units.length, postings.length]
  return [
    statement('insertBlock', [shard, seq, prev, hash, ...counts, recordedAt]),
    statement('moveHead', [shard, seq, hash, lastPosting, lastAccount, recordedAt]),
  ]
}

/** Account terms as the caller gave them, and those of an account that exists with others. */
export interface AccountTerms {
  readonly path: string
  readonly currency: string
  readonly normalSide: Account['normalSide']
  readonly limit: Account['limit']
}

/** Opens the accounts that are not open yet, as a block of its own; returns the paths that exist with other terms. */
export async function openAccountsBatch(
  session: Session,
  wanted: readonly AccountTerms[],
  options: BatchOptions,
): Promise<string[]> {
  const { shard } = options
  const paths = wanted.map(({ path }) => path)
  const results = await session.trip([
    'BEGIN',
    statement('lockShard', [shard]),
    statement('accounts', [paths]),
  ])
  const { head, books } = readBooks((name) => {
    if (name === 'lockShard') return results[1]!.rows
    return name === 'accounts' ? results[2]!.rows : []
  })
  const different = wanted.filter((terms) => {
    const account = books.accounts.get(terms.path)
    return account !== undefined && !sameTerms(account, terms)
  })
  const fresh = new Map(
    wanted.filter(({ path }) => !books.accounts.has(path)).map((terms) => [terms.path, terms]),
  )
  if (different.length > 0 || fresh.size === 0) {
    await session.trip(['ROLLBACK'])
    return different.map(({ path }) => path)
  }
  const accounts = [...fresh.values()].map((terms, index) => {
    return { id: head.lastAccount + BigInt(index) + 1n, ...terms }
  })
  const seq = head.seq + 1n
  const block: Block = {
    shard,
    seq,
    prev: head.hash,
    recordedAt: head.recordedAt,
    accounts,
    units: [],
    postings: [],
  }
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
    ...blockStatements(block, { lastPosting: books.lastPosting, lastAccount: accounts.at(-1)!.id }),
  ]
  await commit(session, sent, options)
  return []
}

function sameTerms(account: AccountTerms, terms: AccountTerms): boolean {
  return (
    account.currency === terms.currency &&
    account.normalSide === terms.normalSide &&
    account.limit === terms.limit
  )
}
