import type { Ledger, UnitRow } from './contract.ts'
import { databaseError } from '../kernel/database.ts'
import type { Reader } from './reports.ts'

export interface Sweep {
  readonly expired: number
  /** Ended or moved by somebody else in the meantime, or not known yet; the next sweep sees. */
  readonly left: number
}

/** A hold whose time has come. */
export interface DueHold {
  /** The id of the command that made it. */
  readonly reference: string
  readonly currency: string
  /** All that was set aside, increments included. */
  readonly amountMinor: bigint
  readonly capturedMinor: bigint
  /** What is let go now. */
  readonly openMinor: bigint
  readonly expiresAt: number
  /** As the authorization had it. */
  readonly meta: Readonly<Record<string, string>> | undefined
}

export interface SweepOptions {
  readonly nowMs: number
  readonly limit?: number
  /** Rows of other rooms that commit with the end of the hold. The same for the same hold, or the hold stays open. */
  readonly rowsOf?: ((hold: DueHold) => readonly UnitRow[]) | undefined
}

/**
 * Lets go of holds whose time has come, through the same writer as everything else: so a capture or a void of the
 * same hold comes either before or after, and one of them wins. Throws `DatabaseError` when it cannot look.
 */
export async function expireHolds(
  ledger: Ledger,
  reader: Reader,
  { nowMs, limit = 500, rowsOf }: SweepOptions,
): Promise<Sweep> {
  const due = await dueHolds(reader, nowMs, limit)
  const outcomes = await Promise.all(
    due.map(({ id, expires_ms: expiresMs, ...found }) => {
      const hold = { ...found, expiresAt: Number(expiresMs), meta: found.meta ?? undefined }
      return ledger.commit({
        // A hold that is given more time can expire again, so its end is part of what happens once.
        key: `expire:${id}:${expiresMs}`,
        commands: [
          { kind: 'expire', id: `expire:${id}`, holdId: hold.reference, effectiveAt: hold.expiresAt },
        ],
        rows: rowsOf?.(hold) ?? [],
      })
    }),
  )
  const expired = outcomes.filter(({ kind }) => kind === 'committed').length
  return { expired, left: outcomes.length - expired }
}

interface DueRow extends Omit<DueHold, 'expiresAt' | 'meta'> {
  readonly id: bigint
  readonly expires_ms: bigint
  readonly meta: Readonly<Record<string, string>> | null
}

async function dueHolds(reader: Reader, nowMs: number, limit: number): Promise<DueRow[]> {
  try {
    const { rows } = await reader.query<DueRow>(
      `SELECT h.id, p.reference, h.currency, h.amount AS "amountMinor", h.captured AS "capturedMinor",
              (SELECT sum(o) FROM unnest(h.open) AS o WHERE o > 0)::bigint AS "openMinor", p.meta,
              (extract(epoch FROM h.expires_at) * 1000)::bigint AS expires_ms
         FROM ledger.hold h JOIN ledger.posting p ON p.id = h.id
        WHERE h.state = 'open' AND h.expires_at <= to_timestamp($1::bigint / 1000.0)
        ORDER BY h.expires_at LIMIT $2`,
      [nowMs, limit],
    )
    return rows
  } catch (error) {
    throw databaseError(error)
  }
}
