import { databaseError } from '../kernel/database.ts'
import type { Leg } from './contract.ts'
import type { Reader } from './reports.ts'

export interface HoldView {
  /** The id of the command that made it. */
  readonly reference: string
  readonly state: 'open' | 'captured' | 'voided' | 'expired'
  readonly currency: string
  /** All that was set aside, increments included. */
  readonly amountMinor: bigint
  readonly capturedMinor: bigint
  readonly openMinor: bigint
  readonly expiresAt: Date
  /** What is set aside, by account: `amountMinor` in all, `openMinor` still. */
  readonly legs: readonly (Leg & { readonly openMinor: bigint })[]
}

/** A hold as it is now; undefined when there is none of that name. Throws `DatabaseError`. */
export async function holdOf(reader: Reader, reference: string): Promise<HoldView | undefined> {
  const [hold] = await holds(reader, 'p.reference = $1', [reference])
  return hold
}

/** The holds that are open, those that end first before the others; of one account, or of all. Throws `DatabaseError`. */
export async function openHolds(
  reader: Reader,
  { account, limit = 1_000 }: { readonly account?: string | undefined; readonly limit?: number } = {},
): Promise<HoldView[]> {
  const ofAccount =
    '$1::text IS NULL OR h.account_ids @> ARRAY(SELECT id FROM ledger.account WHERE path = $1)'
  return holds(reader, `h.state = 'open' AND (${ofAccount}) ORDER BY h.expires_at, h.id LIMIT ${limit}`, [
    account ?? null,
  ])
}

async function holds(reader: Reader, where: string, values: unknown[]): Promise<HoldView[]> {
  try {
    const { rows } = await reader.query<HoldRow>(
      `SELECT p.reference, h.state, h.currency, h.amount, h.captured, h.expires_at, h.amounts, h.open,
              ARRAY(SELECT a.path FROM unnest(h.account_ids) WITH ORDINALITY AS leg(id, place)
                      JOIN ledger.account a ON a.id = leg.id ORDER BY leg.place) AS paths
         FROM ledger.hold h JOIN ledger.posting p ON p.id = h.id
        WHERE ${where}`,
      values,
    )
    return rows.map(viewOf)
  } catch (error) {
    throw databaseError(error)
  }
}

interface HoldRow extends Pick<HoldView, 'reference' | 'state' | 'currency'> {
  readonly amount: bigint
  readonly captured: bigint
  readonly expires_at: Date
  readonly amounts: readonly bigint[]
  readonly open: readonly bigint[]
  readonly paths: readonly string[]
}

function viewOf(row: HoldRow): HoldView {
  const { reference, state, currency } = row
  const legs = row.paths.map((account, index) => {
    const [amount, open] = [row.amounts[index]!, row.open[index]!]
    return {
      account,
      side: amount > 0n ? ('debit' as const) : ('credit' as const),
      amountMinor: amount > 0n ? amount : -amount,
      currency,
      openMinor: open > 0n ? open : -open,
    }
  })
  const openMinor = legs.reduce((sum, leg) => (leg.side === 'debit' ? sum + leg.openMinor : sum), 0n)
  return {
    ...{ reference, state, currency, openMinor, legs },
    amountMinor: row.amount,
    capturedMinor: row.captured,
    expiresAt: row.expires_at,
  }
}
