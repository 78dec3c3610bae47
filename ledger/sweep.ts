import type { Ledger } from './contract.ts'
import { databaseError } from '../kernel/database.ts'
import type { Reader } from './reports.ts'

export interface Sweep {
  readonly expired: number
  /** Ended or moved by somebody else in the meantime, or not known yet; the next sweep sees. */
  readonly left: number
}

/**
 * Lets go of holds whose time has come, through the same writer as everything else: so a capture or a void of the
 * same hold comes either before or after, and one of them wins. Throws `DatabaseError` when it cannot look.
 */
export async function expireHolds(
  ledger: Ledger,
  reader: Reader,
  { nowMs, limit = 500 }: { readonly nowMs: number; readonly limit?: number },
): Promise<Sweep> {
  const due = await dueHolds(reader, nowMs, limit)
  const outcomes = await Promise.all(
    due.map(({ id, reference, expires_ms: expiresMs }) =>
      ledger.commit({
        // A hold that is given more time can expire again, so its end is part of what happens once.
        key: `expire:${id}:${expiresMs}`,
        commands: [{ kind: 'expire', id: `expire:${id}`, holdId: reference, effectiveAt: Number(expiresMs) }],
        rows: [],
      }),
    ),
  )
  const expired = outcomes.filter(({ kind }) => kind === 'committed').length
  return { expired, left: outcomes.length - expired }
}

interface DueHold {
  readonly id: bigint
  readonly reference: string
  readonly expires_ms: bigint
}

async function dueHolds(reader: Reader, nowMs: number, limit: number): Promise<DueHold[]> {
  try {
    const { rows } = await reader.query<DueHold>(
      `SELECT h.id, p.reference, (extract(epoch FROM h.expires_at) * 1000)::bigint AS expires_ms
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
