import { openClient } from '../../kernel/database.ts'
import type { Reader } from '../../ledger/ledger.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

export interface Where {
  readonly state?: string
  readonly databaseUrl?: string
}

export async function reading<T>(where: Where, read: (reader: Reader) => Promise<T>): Promise<T> {
  const client = await openClient({ databaseUrl: databaseUrlOf(where), applicationName: 'mafraq-report' })
  try {
    return await read(client)
  } finally {
    await client.end()
  }
}

export function databaseUrlOf({ databaseUrl, state }: Where): string {
  return databaseUrl ?? readEndpoints(stateFolderOf(state)).database.readerUrl
}
