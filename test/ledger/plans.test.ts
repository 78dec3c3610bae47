import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { migrateLedger } from '../../ledger/ledger.ts'
import { settings } from '../../ledger/session.ts'
import { statements } from '../../ledger/statements.ts'
import { wholeReads } from '../support/plans.ts'
import { openTestDatabase } from '../support/postgres.ts'
import { openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const names = Object.keys(statements) as (keyof typeof statements)[]

describe('every statement of the writer looks up, and scans nothing', () => {
  let world: World
  let writer: DatabaseClient

  beforeAll(async () => {
    world = await openWorld()
    writer = await openClient({ databaseUrl: world.url, applicationName: 'test' })
    await writer.query(settings(10_000))
  })

  afterAll(async () => {
    await writer.end()
    await world.close()
  })

  test('all of them, where the server has been told that the books are empty', async () => {
    const empty = await openTestDatabase()
    await migrateLedger(empty.url)
    const client = await openClient({ databaseUrl: empty.url, applicationName: 'test' })
    await client.query(settings(10_000))
    await client.query('RESET ROLE; ANALYZE; SET ROLE ledger_writer')
    const scanned: Record<string, string[]> = {}
    for (const name of names) {
      const found = await wholeReads(client, statements[name])
      if (found.length > 0) scanned[name] = found
    }
    await client.end()
    await empty.close()
    expect(scanned).toEqual({})
  })

  test.each(names)('%s, on books that are nearly empty', async (name) => {
    expect(await wholeReads(writer, statements[name])).toEqual([])
  })

  test('all of them, on books with many rows', async () => {
    const accounts = Array.from({ length: 3_000 }, (_, index) => `wallet:${index}`)
    await world.ledger.openAccounts(
      accounts.map((path) => ({ path, currency: 'KWD', normalSide: 'credit', limit: 'none' })),
    )
    await Promise.all(accounts.map((path) => world.ledger.commit(unit(transfer('bank', path, 1n)))))
    await world.admin.query('ANALYZE')
    for (const name of names) expect(await wholeReads(writer, statements[name]), name).toEqual([])
  })

  test('while a plan that a connection without these settings makes on empty books is a scan, and stays one', async () => {
    const plain = await openClient({ databaseUrl: world.url, applicationName: 'test' })
    await plain.query('CREATE TEMPORARY TABLE book (key text PRIMARY KEY, body text)')
    await plain.query('ANALYZE book; SET plan_cache_mode = force_generic_plan')
    await plain.query('PREPARE known AS SELECT body FROM book WHERE key = ANY ($1::text[])')
    await plain.query(`EXECUTE known ('{a}')`)
    const plan = async (): Promise<string> => {
      const { rows } = await plain.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE known ('{a}')`)
      return rows.map((row) => row['QUERY PLAN']).join('\n')
    }
    const before = await plan()
    await plain.query('SET enable_seqscan = off; DISCARD PLANS')
    const after = await plan()
    await plain.end()
    expect({ before, after }).toEqual({
      before: expect.stringContaining('Seq Scan'),
      after: expect.stringContaining('Index'),
    })
  })
})
