import type { DatabasePool } from '../../kernel/database.ts'
import { JournalUnavailable } from '../journal.ts'
import type { LeaseStore } from '../leases.ts'

/** Leases as rows, on the database's clock alone: no two nodes need to agree on the time. */
export function postgresLeases(pool: DatabasePool): LeaseStore {
  const ask = async <Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query(text, [...values])).rows as Row[]
    } catch {
      throw new JournalUnavailable()
    }
  }
  return {
    async take({ name, holder, forMs, graceMs, anyway }) {
      const rows = await ask<{ token: bigint }>(
        `INSERT INTO switch.lease AS l (name, holder, token, expires_at)
           VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 ms')
         ON CONFLICT (name) DO UPDATE
           SET holder = $2, token = l.token + 1, expires_at = clock_timestamp() + $3 * interval '1 ms'
           WHERE $5 OR l.expires_at < clock_timestamp() - $4 * interval '1 ms'
         RETURNING token`,
        [name, holder, forMs, graceMs, anyway],
      )
      return rows[0]?.token
    },
    async renew({ name, token, forMs }) {
      const rows = await ask(
        `UPDATE switch.lease SET expires_at = clock_timestamp() + $3 * interval '1 ms'
          WHERE name = $1 AND token = $2 RETURNING name`,
        [name, token, forMs],
      )
      return rows.length > 0
    },
    async release({ name, token }) {
      // Nobody need wait for what was given back: neither its time nor the grace behind it.
      await ask(`UPDATE switch.lease SET expires_at = '-infinity' WHERE name = $1 AND token = $2`, [
        name,
        token,
      ])
    },
    async deadNodes({ graceMs }) {
      const rows = await ask<{ node: string }>(
        `SELECT substr(name, length('node:') + 1) AS node FROM switch.lease
          WHERE name LIKE 'node:%' AND expires_at < clock_timestamp() - $1 * interval '1 ms'`,
        [graceMs],
      )
      return rows.map(({ node }) => node)
    },
  }
}
