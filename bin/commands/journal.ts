import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

/** Where a command finds the database of a running system, and as whom it enters. */
export interface Entry {
  /** The state folder; left out, the usual one. */
  readonly state: string | undefined
  readonly role: 'readerUrl' | 'writerUrl'
  /** As the server's list of sessions shows it. */
  readonly as: string
}

/** One connection for one command, closed whatever becomes of the work. */
export async function withJournal<T>(
  { as, role, state }: Entry,
  work: (pool: DatabasePool) => Promise<T>,
): Promise<T> {
  const databaseUrl = readEndpoints(stateFolderOf(state)).database[role]
  const pool = openPool({ databaseUrl, applicationName: `mafraq-${as}`, connectionsMax: 1 })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}
