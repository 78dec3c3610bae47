import type { StanBlocks } from '../../connectors/connector.ts'
import type { DatabasePool } from '../../kernel/database.ts'

/** DE11 in durable blocks: 1 to 999,999, wrapping. */
export function postgresStanBlocks(pool: DatabasePool): StanBlocks {
  return {
    async reserve(destination, size) {
      const { rows } = await pool.query<{ next: number }>(
        `INSERT INTO switch.stan_block AS b (destination, next) VALUES ($1, $2 % 999999 + 1)
         ON CONFLICT (destination) DO UPDATE SET next = (b.next - 1 + $2) % 999999 + 1
         RETURNING next`,
        [destination, size],
      )
      const next = rows[0]!.next
      return { first: ((next - 1 - size + 999_999) % 999_999) + 1 }
    },
  }
}
