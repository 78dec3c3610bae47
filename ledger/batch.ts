import type { QueryResult } from 'pg'
import { DatabaseError } from '../kernel/database.ts'
import type { UnitRecord } from './chain.ts'
import type { Unit, UnitOutcome } from './contract.ts'
import { apply, decide } from './decide.ts'
import type { Account, Books, Hold, Posting } from './books.ts'
import type { Decision } from './decide.ts'
import type { BooksAtHead, Head, KnownBooks, OnItsWay } from './known.ts'
import { load } from './load.ts'
import { gatherRows } from './rowkinds.ts'
import type { RowKinds } from './rowkinds.ts'
import type { Session } from './session.ts'
import { statement } from './statements.ts'
import type { Statement } from './trip.ts'
import {
  balancesStatement,
  entriesStatements,
  periodsStatement,
  insertHoldsStatement,
  linkOf,
  postingsStatements,
  unitsStatements,
  updateHoldsStatement,
} from './written.ts'
import type { Link } from './written.ts'

/** A unit on its way, with the hash of its body. */
export interface Task {
  readonly unit: Unit
  readonly fingerprint: string
}

export interface BatchOptions {
  readonly shard: number
  readonly kinds: RowKinds
  readonly known: KnownBooks
  /** Called just before the COMMIT goes out: from here on a lost connection leaves the outcome unknown. */
  readonly committing: () => void
  /** Called when the server has said that this COMMIT did not happen. */
  readonly notCommitted: () => void
}

/** A batch that is decided and ready to go, if the head is where it was when it was decided. */
export interface Prepared {
  readonly tasks: readonly Task[]
  readonly outcomes: readonly UnitOutcome[]
  readonly from: Head
  readonly books: Books
  readonly stamp: Stamp
}

/**
 * Decides a batch on the strength of what is known, and only when all of it can be accepted; undefined when something
 * must be asked for. Whether a key is new and a guard agrees is not asked beforehand: the writes fail where not. `ahead`
 * is the batch that is on its way: this one is made for the books as they will be after it.
 */
export function prepare(
  tasks: readonly Task[],
  options: Pick<BatchOptions, 'shard' | 'kinds' | 'known'>,
  ahead?: OnItsWay,
): Prepared | undefined {
  const loaded = options.known.loadedFor(
    tasks.map(({ unit }) => unit),
    ahead,
  )
  if (loaded === undefined) return undefined
  const { head, books } = loaded
  const decisions: Decision[] = []
  for (const { unit, fingerprint } of tasks) {
    const decision = decide(books, unit, fingerprint)
    if (decision.kind !== 'accepted') return undefined
    apply(books, unit, fingerprint, decision)
    decisions.push(decision)
  }
  const stamp = written(tasks, decisions, loaded, options)
  return { tasks, outcomes: decisions.map(outcomeOf), from: head, books, stamp }
}

/**
 * Sends what was prepared in one trip, and tells at once what is on its way (`sent`). Undefined when it could not be done
 * this way; then nothing was written, and the batch is to be loaded and judged unit by unit. Throws `DatabaseError`.
 */
export async function commitAtOnce(
  session: Session,
  { outcomes, from, books, stamp }: Prepared,
  options: BatchOptions & { readonly sent: (ahead: OnItsWay) => void },
): Promise<readonly UnitOutcome[] | undefined> {
  const { known, shard } = options
  const { statements, head } = stamp(known.recordedAfter(from))
  options.committing()
  known.asked()
  const lock = statement('lockHead', [shard, from.seq])
  const trip = session.trip(['BEGIN', lock, ...statements, 'COMMIT'])
  options.sent({ head, accounts: books.accounts })
  try {
    const results = await trip
    mustBeCommitted(results)
    known.told(results[1]!.rows[0]!['now_ms'] as bigint)
  } catch (thrown) {
    if (!(thrown instanceof DatabaseError)) throw thrown
    const { fault, constraint } = thrown
    if (constraint === 'lockHead') known.distrust()
    if (fault !== 'duplicate' && fault !== 'conflict') throw thrown
    options.notCommitted()
    await session.trip(['ROLLBACK'])
    return undefined
  }
  known.moved(from, head, changedIn(books))
  return outcomes
}

/**
 * One try at a batch that needs to be looked up: lock and load, decide in order, write, commit. Returns the answers in
 * order, all of them durable. Throws `DatabaseError`; then nothing was written unless `committing` had been called.
 */
export async function commitLoaded(
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
  const { statements, head } = written(tasks, decisions, loaded, options)(loaded.head.recordedAt)
  await commit(session, statements, options)
  options.known.moved(loaded.head, head, changedIn(books))
  return outcomes
}

function changedIn({ accounts, periods }: Books): Parameters<KnownBooks['moved']>[2] {
  return { accounts: accounts.values(), periods }
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

/** The statements that make the decisions true, and where the head is after them, once it is said when that is. */
export type Stamp = (recordedAt: number) => Link

function written(
  tasks: readonly Task[],
  decisions: readonly (Decision | Guarded)[],
  { head, books, versions, holdVersions }: BooksAtHead,
  { shard, kinds }: Pick<BatchOptions, 'shard' | 'kinds'>,
): Stamp {
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
  const block = {
    shard,
    seq,
    prev: head.hash,
    accounts: [],
    units,
    postings,
  }
  const accountIdOf = (path: string): bigint => books.accounts.get(path)!.id
  const periods = decisions.flatMap((decision) =>
    decision.kind === 'accepted'
      ? [...decision.changes.periods].map(([scope, through]) => {
          const { id } = decision.postings.findLast(({ meta }) => meta?.['scope'] === scope)!
          return { scope, through, id }
        })
      : [],
  )
  const created = [...holds.values()].filter(({ reference }) => !holdVersions.has(reference))
  const changed = [...holds.values()].filter(({ reference }) => holdVersions.has(reference))
  const rows = gatherRows(
    kinds,
    tasks.map(({ unit }) => unit),
    (place) => decisions[place]!.kind === 'accepted',
  )

  const sent: Statement[] = entriesStatements(postings)
  if (created.length > 0) sent.push(insertHoldsStatement(created, accountIdOf))
  if (changed.length > 0) sent.push(updateHoldsStatement(changed, accountIdOf, holdVersions))
  if (periods.length > 0) sent.push(periodsStatement(periods, shard))
  if (accounts.size > 0) sent.push(balancesStatement([...accounts.values()], versions))
  for (const { kind, columns } of rows) {
    sent.push({ name: `write ${kind.name}`, text: kind.write, values: [...columns] })
  }
  const unitsFirst = unitsStatements(units, shard, seq)
  const posted = postingsStatements(postings, block)
  const link = linkOf(block, { lastPosting: books.lastPosting, lastAccount: head.lastAccount })
  return (recordedAt) => {
    const { statements, head: next } = link(recordedAt)
    return { statements: [...unitsFirst, ...posted(recordedAt), ...sent, ...statements], head: next }
  }
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
export async function commit(
  session: Session,
  sent: readonly Statement[],
  options: Pick<BatchOptions, 'committing'>,
): Promise<void> {
  options.committing()
  const results: QueryResult[] = await session.trip([...sent, 'COMMIT'])
  mustBeCommitted(results)
}

/** A COMMIT behind a failure is a ROLLBACK, and says so. */
function mustBeCommitted(results: readonly QueryResult[]): void {
  if (results.at(-1)!.command !== 'COMMIT') throw new DatabaseError('conflict', { message: 'rolled back' })
}
