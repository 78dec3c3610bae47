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
