import type { DatabasePool } from '../../kernel/database.ts'
import { JournalUnavailable } from '../journal.ts'
import type { KeyExchangeBook, KeyExchangeEvent } from '../key-exchange.ts'
import { checkReason } from '../../kernel/reasons.ts'

/** Key exchanges in the journal's schema. */
export function postgresKeyBook(pool: DatabasePool): KeyExchangeBook {
  const ask = async (text: string, values: readonly unknown[]): Promise<number> => {
    try {
      return (await pool.query(text, [...values])).rowCount ?? 0
    } catch {
      throw new JournalUnavailable()
    }
  }
  return {
    async record({ destination, event, key, kcv, why, who }) {
      await ask(
        `INSERT INTO switch.key_exchange (destination, event, key, kcv, why, who) VALUES ($1, $2, $3, $4, $5, $6)`,
        [destination, event, key ?? null, kcv ?? null, why, who],
      )
    },
    claimAsk: async (destination, who, why) => (await ask(claimAsk, [destination, who, why ?? null])) === 1,
  }
}

/** Two nodes that ask in the same moment are asked twice by the network at worst: a key more. */
const claimAsk = `
  WITH asked AS (SELECT id, at FROM switch.key_exchange
                  WHERE destination = $1 AND event = 'asked' ORDER BY id DESC LIMIT 1),
       wanted AS (SELECT why FROM switch.key_exchange
                   WHERE destination = $1 AND event = 'wanted' AND id > coalesce((SELECT id FROM asked), 0)
                   ORDER BY id DESC LIMIT 1)
  INSERT INTO switch.key_exchange (destination, event, why, who)
  SELECT $1, 'asked', coalesce($3, (SELECT why FROM wanted)), $2
   WHERE ($3::text IS NOT NULL OR EXISTS (SELECT FROM wanted))
     AND NOT EXISTS (SELECT FROM asked WHERE at > clock_timestamp() - interval '1 min')`

export interface KeyExchangeOnRecord {
  readonly at: Date
  readonly destination: string
  readonly event: KeyExchangeEvent
  readonly key: string | null
  readonly kcv: string | null
  readonly why: string
  readonly who: string
}

/** The last `limit` events, the oldest first. */
export async function keyExchangeHistory(pool: DatabasePool, limit: number): Promise<KeyExchangeOnRecord[]> {
  const { rows } = await pool.query<KeyExchangeOnRecord>(
    `SELECT at, destination, event, key, kcv, why, who FROM switch.key_exchange ORDER BY id DESC LIMIT $1`,
    [limit],
  )
  return rows.reverse()
}

/**
 * A person wants new keys: the running switch asks the network within a second or two, or within a minute of the last time.
 * Rejects with `ReasonRefused`.
 */
export async function wantKeyExchange(
  pool: DatabasePool,
  { destination, who, why }: { readonly destination: string; readonly who: string; readonly why: string },
): Promise<void> {
  checkReason({ who, why })
  await pool.query(
    `INSERT INTO switch.key_exchange (destination, event, why, who) VALUES ($1, 'wanted', $3, $2)`,
    [destination, who, why],
  )
}
