import type { Command, Decided, Ledger, UnitOutcome } from './contract.ts'
import type { Reader } from './reports.ts'
import { databaseError } from '../kernel/database.ts'
import { checkReason } from '../kernel/reasons.ts'
import { endOf } from './periods.ts'

export interface Closing {
  /** For example `net:knet:2026-11-22`: what one network owes, or is owed, for one business date. */
  readonly account: string
  /** Where its balance goes: `settlement:knet`. */
  readonly into: string
  /** Names the closing; the same again is answered from the record. */
  readonly key: string
  readonly effectiveAt: number
}

/**
 * Ends a business date: moves the balance of its account to where it is settled, and closes the account, in one unit.
 * From then on a posting to that date is refused as `closedAccount`. The unit says which version of the account it
 * was made for, so a posting that comes in between is seen, and the unit made again. Throws `DatabaseError`.
 */
export async function closeAccount(ledger: Ledger, reader: Reader, closing: Closing): Promise<UnitOutcome> {
  for (;;) {
    const state = await stateOf(reader, closing)
    if (state === undefined) return { kind: 'refused', reason: 'unknownAccount' }
    if (state.closed)
      return state.closedByUs ? { kind: 'committed' } : { kind: 'refused', reason: 'closedAccount' }
    const outcome = await ledger.commit({
      key: `${closing.key}:${state.version}`,
      commands: commands(closing, state),
      rows: [],
    })
    const moved = (await stateOf(reader, closing))?.version !== state.version
    if (outcome.kind !== 'refused' || !moved) return outcome
  }
}

function commands(
  { account, into, key, effectiveAt }: Closing,
  { debits, credits, currency, version }: AccountState,
): Command[] {
  const close: Command = { kind: 'close', id: `${key}:close`, account, effectiveAt }
  if (debits === credits) return [close]
  const amountMinor = debits > credits ? debits - credits : credits - debits
  const [debited, credited] = debits > credits ? [into, account] : [account, into]
  const move: Command = {
    kind: 'post',
    id: `${key}:move`,
    effectiveAt,
    legs: [
      { account: debited, side: 'debit', amountMinor, currency },
      { account: credited, side: 'credit', amountMinor, currency },
    ],
    conditions: [{ account, version }],
  }
  return [move, close]
}

interface AccountState {
  readonly version: bigint
  readonly closed: boolean
  readonly closedByUs: boolean
  readonly debits: bigint
  readonly credits: bigint
  readonly currency: string
}

async function stateOf(reader: Reader, { account, key }: Closing): Promise<AccountState | undefined> {
  const [state] = await query<AccountState>(
    reader,
    `SELECT b.version, b.closed, b.debits, b.credits, a.currency,
            EXISTS (SELECT FROM ledger.posting WHERE reference = $2) AS "closedByUs"
       FROM ledger.balance b JOIN ledger.account a ON a.id = b.account_id WHERE a.path = $1`,
    [account, `${key}:close`],
  )
  return state
}

export interface DateClosed {
  readonly network: string
  readonly date: string
  /** Accounts of the date that were open, and what became of each. */
  readonly accounts: readonly { readonly account: string; readonly outcome: UnitOutcome }[]
  /**
   * What became of the date as a whole: from `committed` on, nothing that counts for it or for an earlier one reaches any
   * account of the network, and none of its dates is opened again. Refused as `openAccount` while an account of it, or
   * of an earlier date, is open.
   */
  readonly period: UnitOutcome
}

interface Closed {
  readonly network: string
  readonly date: string
  readonly effectiveAt: number
  /** Whose decision it is; left out: the clock's. */
  readonly decided?: Decided
}

/**
 * Ends a business date of one network: the accounts `net:{network}:{date}:{currency}` and those of suspense are closed,
 * what they hold is due in settlement, on `settlement:{network}:{currency}`, and the books of the network are closed up to
 * that date. Once, however often it is asked for. Throws `DatabaseError`, and `ReasonRefused` for what may not stand on record.
 */
export async function closeBusinessDate(ledger: Ledger, reader: Reader, closed: Closed): Promise<DateClosed> {
  const { network, date, effectiveAt, decided } = closed
  if (decided !== undefined) checkReason({ who: decided.by, why: decided.why })
  const accounts: { account: string; outcome: UnitOutcome }[] = []
  const open = (await datedAccounts(reader, network)).filter(
    (account) => account.date === date && !account.closed,
  )
  for (const { path, currency } of open) {
    const into = `settlement:${network}:${currency}`
    await ledger.openAccounts([{ path: into, currency, normalSide: 'debit', limit: 'none' }])
    const closing = { account: path, into, key: `cutover:${path}`, effectiveAt }
    accounts.push({ account: path, outcome: await closeAccount(ledger, reader, closing) })
  }
  const named = decided === undefined ? {} : { decided }
  const period = await closePeriod(ledger, reader, { scope: network, through: date, effectiveAt, ...named })
  return { network, date, accounts, period }
}

/**
 * Closes the books of a network, or all of them (`*`), up to a date, once every account of those dates is closed. Asked
 * again for the same or an earlier date it is `committed`. Throws `DatabaseError`, and `ReasonRefused` for what may not stand
 * on record.
 */
export async function closePeriod(
  ledger: Ledger,
  reader: Reader,
  period: Omit<Command & { kind: 'closePeriod' }, 'kind' | 'id'>,
): Promise<UnitOutcome> {
  const { decided, scope, through } = period
  if (decided !== undefined) checkReason({ who: decided.by, why: decided.why })
  if (through <= (await closedThrough(reader, scope))) return { kind: 'committed' }
  const id = `period:${scope}:${through}`
  // A refusal is kept under its key, and an account that is open now may be closed later: so each try has its own.
  const key = `${id}:${await headOf(reader)}`
  const outcome = await ledger.commit({
    key,
    commands: [{ kind: 'closePeriod', id, ...period }],
    rows: [],
  })
  // Somebody else may have been quicker.
  if (outcome.kind !== 'refused' || through > (await closedThrough(reader, scope))) return outcome
  return { kind: 'committed' }
}

/**
 * Closes every date of every network whose end in Kuwait is `afterMs` ago, the oldest first, but for those that `isOver` says
 * are worked on still: a date may go on for long after its day. Throws `DatabaseError`.
 */
export async function closeDueDates(
  ledger: Ledger,
  reader: Reader,
  {
    nowMs,
    afterMs,
    isOver = () => true,
  }: {
    readonly nowMs: number
    readonly afterMs: number
    readonly isOver?: ((network: string, date: string) => boolean) | undefined
  },
): Promise<DateClosed[]> {
  const through = new Map<string, string>()
  const due = new Map<string, { readonly network: string; readonly date: string }>()
  for (const { network, date, closed } of await datedAccounts(reader)) {
    if (!through.has(network)) through.set(network, await closedThrough(reader, network))
    if (endOf(date) + afterMs > nowMs || !isOver(network, date)) continue
    if (!closed || date > through.get(network)!) due.set(`${date} ${network}`, { network, date })
  }
  const ended: DateClosed[] = []
  for (const [, each] of [...due].sort(([a], [b]) => (a < b ? -1 : 1))) {
    ended.push(await closeBusinessDate(ledger, reader, { ...each, effectiveAt: nowMs }))
  }
  return ended
}

interface DatedAccount {
  readonly path: string
  readonly currency: string
  readonly network: string
  readonly date: string
  readonly closed: boolean
}

/** Accounts that are named after a network and a date. */
async function datedAccounts(reader: Reader, network?: string): Promise<DatedAccount[]> {
  return query(
    reader,
    `SELECT a.path, a.currency, ledger.network_of(a.path) AS network, ledger.date_of(a.path) AS date, b.closed
       FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
      WHERE (a.path >= 'net:' AND a.path < 'net;' OR a.path >= 'suspense:' AND a.path < 'suspense;')
        AND ledger.date_of(a.path) IS NOT NULL AND ($1::text IS NULL OR ledger.network_of(a.path) = $1)
      ORDER BY a.path`,
    [network ?? null],
  )
}

/** Empty when nothing is closed. */
async function closedThrough(reader: Reader, scope: string): Promise<string> {
  const [period] = await query<{ through: string }>(
    reader,
    'SELECT through FROM ledger.period WHERE scope = $1 ORDER BY shard LIMIT 1',
    [scope],
  )
  return period?.through ?? ''
}

async function headOf(reader: Reader): Promise<bigint> {
  const [shard] = await query<{ head_seq: bigint }>(
    reader,
    'SELECT head_seq FROM ledger.shard ORDER BY shard LIMIT 1',
    [],
  )
  return shard!.head_seq
}

async function query<T extends object>(reader: Reader, text: string, values: unknown[]): Promise<T[]> {
  try {
    const { rows } = await reader.query<T>(text, values)
    return rows
  } catch (error) {
    throw databaseError(error)
  }
}
