import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { type Ledger, openLedger, type UnitOutcome } from '../../ledger/ledger.ts'
import { journalRows } from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool
let ledgers: Ledger[]

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 1 })
  const log = { warn: () => undefined, error: () => undefined }
  const open = () => openLedger({ databaseUrl: database.url, rowKinds: journalRows, log })
  ledgers = [await open(), await open()]
}, 60_000)

afterAll(async () => {
  await Promise.all(ledgers.map((ledger) => ledger.close()))
  await pool.end()
  await database.close()
})

interface Approval {
  readonly card?: string
  readonly rule?: string
  readonly ledger?: number
  readonly id?: string
  /** Its issuer has still to be told. */
  readonly owed?: boolean
}

/** At most 100, three approvals and 50 that the issuer has not heard of a card, 250 a range. */
async function approve(
  amountMinor: bigint,
  { card = randomUUID(), rule = 'r', ledger = 0, id = randomUUID(), owed = false }: Approval = {},
): Promise<string> {
  const values = [id, rule, card, 'KWD', amountMinor, 100n, 3, owed ? 50n : 250n, 250n]
  const advice = [
    ...[
      randomUUID(),
      'advice',
      `advice:${id}`,
      id,
      null,
      null,
      'knet',
      'standIn',
      null,
      null,
      '{}',
      1,
      1,
      60_000,
    ],
  ]
  const rows = [
    { kind: 'switch.exposure.new', values },
    ...(owed ? [{ kind: 'switch.obligation.new', values: advice }] : []),
  ]
  return told(await ledgers[ledger]!.commit({ key: randomUUID(), commands: [], rows, urgent: false }))
}

function told(outcome: UnitOutcome): string {
  return outcome.kind === 'refused' ? outcome.reason : outcome.kind
}

test('P3: a card may have so much and so often, and no more', async () => {
  const one = { card: 'one', rule: 'cards' }
  expect([await approve(60n, one), await approve(41n, one), await approve(40n, one)]).toEqual([
    'committed',
    'exposure',
    'committed',
  ])
  const often = { card: 'often', rule: 'often' }
  for (let index = 0; index < 3; index++) expect(await approve(1n, often)).toBe('committed')
  expect(await approve(1n, often)).toBe('exposure')
})

test('P3: however many come at once, through however many nodes, a range never has more than it may', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, index) => approve(20n, { rule: 'range', ledger: index % 2 })),
  )
  expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(12)
  expect(outcomes.filter((outcome) => outcome === 'exposure')).toHaveLength(28)
  const { rows } = await pool.query(
    `SELECT sum(amount_minor)::int AS sum FROM switch.exposure WHERE rule = 'range'`,
  )
  expect(rows).toEqual([{ sum: 240 }])
}, 60_000)

test('P3: what is reversed gives its room back, and what is a day old counts no more', async () => {
  const card = { card: 'back', rule: 'back' }
  const id = randomUUID()
  expect(await approve(100n, { ...card, id })).toBe('committed')
  expect(await approve(30n, card)).toBe('exposure')
  const rows = [{ kind: 'switch.exposure.change', values: [id, 70n] }]
  expect(told(await ledgers[0]!.commit({ key: randomUUID(), commands: [], rows, urgent: false }))).toBe(
    'committed',
  )
  expect(await approve(30n, card)).toBe('committed')
  expect(await approve(30n, card)).toBe('exposure')
  await pool.query(`UPDATE switch.exposure SET at = at - interval '25 hours' WHERE rule = 'back'`)
  expect(await approve(100n, card)).toBe('committed')
})

test('P3: in one episode, until the issuer has heard of what was approved in its place, a card may have so much', async () => {
  const card = { card: 'episode', rule: 'episode', owed: true }
  expect(await approve(30n, card)).toBe('committed')
  expect(await approve(30n, card)).toBe('exposure')
  expect(await approve(20n, card)).toBe('committed')
  await pool.query(`UPDATE switch.obligation SET state = 'parked' WHERE cause = 'standIn'`)
  // What it would not have is on our account still.
  expect(await approve(1n, card)).toBe('exposure')
  await pool.query(`UPDATE switch.obligation SET state = 'acknowledged' WHERE cause = 'standIn'`)
  expect(await approve(40n, card)).toBe('committed')
})
