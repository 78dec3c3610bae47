import type { Command, Ledger, UnitOutcome } from './contract.ts'
import type { Reader } from './reports.ts'
import { databaseError } from '../kernel/database.ts'

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
  try {
    const { rows } = await reader.query<AccountState>(
      `SELECT b.version, b.closed, b.debits, b.credits, a.currency,
              EXISTS (SELECT FROM ledger.posting WHERE reference = $2) AS "closedByUs"
         FROM ledger.balance b JOIN ledger.account a ON a.id = b.account_id WHERE a.path = $1`,
      [account, `${key}:close`],
    )
    return rows[0]
  } catch (error) {
    throw databaseError(error)
  }
}

export interface DateClosed {
  readonly account: string
  readonly outcome: UnitOutcome
}

/**
 * Ends a business date of one network: the accounts `net:{network}:{date}:{currency}` and those of suspense are closed,
 * and what they hold is due in settlement, on `settlement:{network}:{currency}`. Once, however often it is asked for.
 * Throws `DatabaseError`.
 */
export async function closeBusinessDate(
  ledger: Ledger,
  reader: Reader,
  {
    network,
    date,
    effectiveAt,
  }: { readonly network: string; readonly date: string; readonly effectiveAt: number },
): Promise<DateClosed[]> {
  const closed: DateClosed[] = []
  for (const { path, currency } of await datedAccounts(reader, `:${network}:${date}:`)) {
    const into = `settlement:${network}:${currency}`
    await ledger.openAccounts([{ path: into, currency, normalSide: 'debit', limit: 'none' }])
    const closing = { account: path, into, key: `cutover:${path}`, effectiveAt }
    closed.push({ account: path, outcome: await closeAccount(ledger, reader, closing) })
  }
  return closed
}

/** Kuwait is three hours ahead of UTC all year. */
const kuwaitMs = 3 * 3_600_000
const dayMs = 86_400_000

/** Closes every date of every network whose end in Kuwait is `afterMs` ago. Throws `DatabaseError`. */
export async function closeDueDates(
  ledger: Ledger,
  reader: Reader,
  { nowMs, afterMs }: { readonly nowMs: number; readonly afterMs: number },
): Promise<DateClosed[]> {
  const due = new Set<string>()
  for (const { path } of await datedAccounts(reader, ':')) {
    const [, network, date] = path.split(':') as [string, string, string]
    const endMs = Date.parse(`${date}T00:00:00Z`) - kuwaitMs + dayMs
    if (endMs + afterMs <= nowMs) due.add(`${network}:${date}`)
  }
  const closed: DateClosed[] = []
  for (const each of [...due].sort()) {
    const [network, date] = each.split(':') as [string, string]
    closed.push(...(await closeBusinessDate(ledger, reader, { network, date, effectiveAt: nowMs })))
  }
  return closed
}

/** Open accounts that are named after a network and a date. */
async function datedAccounts(reader: Reader, within: string): Promise<{ path: string; currency: string }[]> {
  try {
    const { rows } = await reader.query<{ path: string; currency: string }>(
      `SELECT a.path, a.currency FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
        WHERE a.path ~ '^(net|suspense):[^:]+:[0-9]{4}-[0-9]{2}-[0-9]{2}:[A-Z]{3}$'
          AND position($1 IN a.path) > 0 AND NOT b.closed
        ORDER BY a.path`,
      [within],
    )
    return rows
  } catch (error) {
    throw databaseError(error)
  }
}
