import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import {
  approveOperation,
  askOperation,
  findWaiting,
  listWaiting,
  operationsOn,
} from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let owner: DatabasePool
/** With the rights of the books' writer, which the command has. */
let pool: DatabasePool

beforeAll(async () => {
  database = await openSwitchDatabase()
  owner = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 1 })
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 2 })
  pool.on('connect', (client) => void client.query('SET ROLE ledger_writer'))
}, 60_000)

afterAll(async () => {
  await owner.end()
  await pool.end()
  await database.close()
})

const id = '01890000-0000-8000-8000-00000000000a'
const transaction = '01890000-0000-7000-8000-000000000001'

beforeEach(async () => {
  await owner.query(`SET session_replication_role = replica;
    TRUNCATE switch.obligation, switch.operation, switch.transaction, switch.event;
    SET session_replication_role = DEFAULT;
    INSERT INTO switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date, received_at,
        approvable_until, rrn, card_mask, amount_minor, currency, delivery, reversal, advice)
      VALUES ('${transaction}', 3, 'unknown', 'acq1', 'k', '', 'n', '2026-11-22', now(), now(), '632609000001',
        '888888******0001', 12500, 'KWD', 'none', 'parked', 'none');
    INSERT INTO switch.obligation (id, kind, key, transaction_id, destination, cause, state, card, lane, next_at, attempts,
        fence, stan, transmitted_at, response_code)
      VALUES ('${id}', 'reversal', 'reversal:1', '${transaction}', 'knet', 'timeout', 'parked', 1, 1, now(), 2, 7, '000123',
        '1122090000', '12')`)
})

const ask = { obligationId: id, act: 'resend', who: 'alice', why: 'the network has mended it' } as const

async function obligation(): Promise<Record<string, unknown>> {
  const { rows } = await owner.query<Record<string, unknown>>(
    'SELECT state, attempts, stan, fence, response_code FROM switch.obligation',
  )
  return rows[0]!
}

test('what is parked is listed with what it is about, the mask of its card, and what was asked', async () => {
  await askOperation(pool, ask)
  expect(await listWaiting(pool, 'parked', 10)).toMatchObject([
    {
      id,
      rrn: '632609000001',
      cardMask: '888888******0001',
      amountMinor: 12_500n,
      asked: [{ act: 'resend', who: 'alice' }],
    },
  ])
  expect(await listWaiting(pool, 'due', 10)).toEqual([])
  expect(await findWaiting(pool, id.slice(0, 12))).toMatchObject({ id })
  expect(await findWaiting(pool, "01890000' OR 1=1")).toBeUndefined()
})

test('F52: nothing happens until another person agrees, and asking twice is asking once', async () => {
  const first = await askOperation(pool, ask)
  expect(await askOperation(pool, { ...ask, who: 'carol' })).toEqual(first)
  expect(await obligation()).toMatchObject({ state: 'parked', fence: 7n })
  expect(await approveOperation(pool, { operation: first.operation!, who: 'Alice', why: 'me' })).toBe(
    'samePerson',
  )
  expect(await obligation()).toMatchObject({ state: 'parked', fence: 7n })
  expect(await approveOperation(pool, { operation: '999', who: 'bob', why: 'agreed' })).toBe('unknown')
})

test('F52: a resend that is approved is due again under its number, once, however often it is approved', async () => {
  const { operation } = await askOperation(pool, ask)
  const approve = () => approveOperation(pool, { operation: operation!, who: 'bob', why: 'agreed' })
  expect(await Promise.all([approve(), approve()])).toEqual(['done', 'done'])
  expect(await obligation()).toEqual({
    state: 'due',
    attempts: 2,
    stan: '000123',
    fence: 8n,
    response_code: null,
  })
  const { rows } = await owner.query('SELECT version, reversal FROM switch.transaction')
  expect(rows).toEqual([{ version: 4, reversal: 'owed' }])
  const events = await owner.query('SELECT sequence, kind, cause FROM switch.event')
  expect(events.rows).toEqual([
    { sequence: 4, kind: 'operator', cause: 'resend of the reversal asked by alice, approved by bob' },
  ])
  expect(await operationsOn(pool, id)).toMatchObject([
    { kind: 'asked', who: 'alice', why: ask.why, before: { state: 'parked', fence: 7 } },
    { kind: 'approved', who: 'bob', before: { state: 'parked' }, after: { state: 'due', fence: 8 } },
  ])
  expect(await askOperation(pool, ask)).toEqual({ outcome: 'notParked', operation: null })
})

test('a resend as an original has no number and no attempt yet', async () => {
  const { operation } = await askOperation(pool, { ...ask, act: 'resendAsOriginal' })
  await approveOperation(pool, { operation: operation!, who: 'bob', why: 'agreed' })
  expect(await obligation()).toMatchObject({ state: 'due', attempts: 0, stan: null })
})

test('F52: what was closed stays closed, and what was asked beside it is void', async () => {
  const close = await askOperation(pool, { ...ask, act: 'close', why: 'settled by file' })
  const resend = await askOperation(pool, ask)
  expect(await approveOperation(pool, { operation: close.operation!, who: 'bob', why: 'agreed' })).toBe(
    'done',
  )
  expect(await obligation()).toMatchObject({ state: 'closed' })
  expect(await approveOperation(pool, { operation: resend.operation!, who: 'bob', why: 'agreed' })).toBe(
    'movedOn',
  )
  expect(await approveOperation(pool, { operation: close.operation!, who: 'bob', why: 'agreed' })).toBe(
    'done',
  )
  expect(await obligation()).toMatchObject({ state: 'closed', fence: 8n })
})

test('the record can be added to and not changed, and takes no card number as a reason', async () => {
  await askOperation(pool, ask)
  await expect(owner.query(`UPDATE switch.operation SET who = 'mallory'`)).rejects.toThrow(/append-only/)
  await expect(owner.query('DELETE FROM switch.operation')).rejects.toThrow(/append-only/)
  await expect(
    askOperation(pool, { ...ask, act: 'close', why: 'card 8888 8800 0000 0001' }),
  ).rejects.toThrow()
  await expect(
    pool.query(`INSERT INTO switch.operation (obligation_id, kind, act, who, why, before, after)
    VALUES ('${id}', 'asked', 'close', 'eve', 'because', '{}', '{}')`),
  ).rejects.toThrow(/permission/)
})
