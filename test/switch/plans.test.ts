import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DatabaseClient, openClient } from '../../kernel/database.ts'
import { compileKinds } from '../../ledger/rowkinds.ts'
import { settings } from '../../ledger/session.ts'
import { journalRows } from '../../switch/switch.ts'
import { wholeReads } from '../support/plans.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let writer: DatabaseClient

beforeAll(async () => {
  database = await openSwitchDatabase()
  writer = await openClient({ databaseUrl: database.url, applicationName: 'test' })
  await writer.query(settings(10_000))
}, 60_000)

afterAll(async () => {
  await writer.end()
  await database.close()
})

const statements = [...compileKinds(journalRows).values()].flatMap(({ name, guard, write }) => [
  ...(guard === undefined ? [] : [[`guard ${name}`, guard] as const]),
  [`write ${name}`, write] as const,
])

/** Planned once a connection, these would read all there is for as long as the connection lives. */
async function scanning(): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {}
  for (const [name, text] of statements) {
    const reads = await wholeReads(writer, text)
    if (reads.length > 0) found[name] = reads
  }
  return found
}

test('no statement of the journal reads a whole table, where the server has been told that all are empty', async () => {
  await writer.query('RESET ROLE; ANALYZE; SET ROLE ledger_writer')
  expect(await scanning()).toEqual({})
})

test('nor where the tables hold many rows', async () => {
  await writer.query(`RESET ROLE;
    INSERT INTO switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date, received_at,
        approvable_until, delivery, reversal, advice)
      SELECT gen_random_uuid(), 1, 'refused', 'a', 'key ' || n, '', 'n', '2026-11-22', now(), now(), 'none', 'none', 'none'
        FROM generate_series(1, 20000) n;
    INSERT INTO switch.leg (id, transaction_id, destination, acquirer_id, stan, transmitted_at, state)
      SELECT gen_random_uuid(), id, 'knet', '1', '000001', '1122000000', 'answered' FROM switch.transaction;
    INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, card, lane, next_at)
      SELECT gen_random_uuid(), 'reversal', 'key ' || source_key, id, 'knet', 'timeout', 0, 0, now() FROM switch.transaction;
    INSERT INTO switch.source_act (source_key, source, fingerprint, transaction_id, response_code)
      SELECT source_key, 'a', '', id, '00' FROM switch.transaction;
    INSERT INTO switch.exposure (transaction_id, rule, card_token, currency, amount_minor)
      SELECT id, '888888 KWD', source_key, 'KWD', 1 FROM switch.transaction;
    ANALYZE; SET ROLE ledger_writer`)
  expect(await scanning()).toEqual({})
})
