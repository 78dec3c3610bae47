import { fileURLToPath } from 'node:url'
import { migrate } from '../../kernel/database.ts'
import { migrateLedger } from '../../ledger/ledger.ts'
import { openTestDatabase } from './postgres.ts'
import type { TestDatabase } from './postgres.ts'

const folder = fileURLToPath(new URL('../../switch/migrations', import.meta.url))

/** A database of its own with empty books and an empty journal. */
export async function openSwitchDatabase(): Promise<TestDatabase> {
  const database = await openTestDatabase()
  await migrateLedger(database.url)
  await migrate({ databaseUrl: database.url, schema: 'switch', folder })
  return database
}
