import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { reconciliationItems } from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'
import type { SimulatedDatabase } from './database.ts'
import { runHistory } from './history.ts'
import { itemsOf } from './totals.ts'

let database: TestDatabase
let pool: DatabasePool

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 1 })
}, 60_000)

afterAll(async () => {
  await pool.end()
  await database.close()
})

/** Histories are of other moments: only that one thing was before another counts. */
const epochMs = Date.UTC(2026, 10, 22)

/** The rows of a history that totals are made of. */
async function keep({ days, legs, obligations, transactions }: SimulatedDatabase): Promise<void> {
  await pool.query(`SET session_replication_role = replica; SET TIME ZONE 'UTC';
    TRUNCATE switch.obligation, switch.leg, switch.transaction, switch.business_day`)
  const insert = (table: string, columns: string, rows: readonly object[]): Promise<unknown> =>
    pool.query(
      `INSERT INTO switch.${table} (${columns}) SELECT ${columns} FROM jsonb_populate_recordset(NULL::switch.${table}, $1)`,
      [
        JSON.stringify(rows, (_name, value: unknown) =>
          typeof value === 'bigint' ? value.toString() : value,
        ),
      ],
    )
  const at = (ms: number | undefined): string | null =>
    ms === undefined ? null : new Date(epochMs + ms).toISOString()
  const numberOf = new Map<string, number>()
  await insert(
    'business_day',
    'destination, number, date, began_at, cause, who, described',
    days.all.map(({ beganAt, cause, date, destination }) => {
      numberOf.set(destination, (numberOf.get(destination) ?? 0) + 1)
      const number = numberOf.get(destination)
      return { destination, number, date, began_at: at(beganAt), cause, who: '', described: '' }
    }),
  )
  const all = [...transactions.values()].map(({ transaction }) => transaction)
  await insert(
    'transaction',
    `id, version, state, source, source_key, fingerprint, node, business_date, received_at, approvable_until, rrn, kind,
     amount_minor, currency, request, response_code, approved_minor, actual_minor, completed_minor, delivery, reversal, advice`,
    all.map((one) => ({
      ...{
        id: one.id,
        version: one.version,
        state: one.state,
        source: one.source,
        source_key: one.sourceKey,
      },
      ...{
        fingerprint: '',
        node: '',
        business_date: one.businessDate,
        received_at: at(0),
        approvable_until: at(0),
      },
      ...{ rrn: one.request?.rrn, kind: one.request?.kind, amount_minor: one.request?.amountMinor },
      ...{ currency: one.request?.currency, request: one.request === undefined ? null : {} },
      ...{ response_code: one.answer?.responseCode, approved_minor: one.approvedMinor },
      ...{ actual_minor: one.actualMinor, completed_minor: one.completedMinor },
      ...{ delivery: one.delivery, reversal: one.reversal, advice: one.advice },
    })),
  )
  const owners = new Map(all.flatMap(({ id, leg }) => (leg === undefined ? [] : [[leg.id, id] as const])))
  await insert(
    'leg',
    'id, transaction_id, destination, acquirer_id, stan, transmitted_at, state, response_code',
    [...legs.values()].flatMap((leg) => {
      const owner = owners.get(leg.id)
      if (owner === undefined) return []
      const { acquirerId, destination, id, responseCode, stan, state, transmittedAt } = leg
      const named = { acquirer_id: acquirerId, stan, transmitted_at: transmittedAt }
      return [{ id, transaction_id: owner, destination, ...named, state, response_code: responseCode }]
    }),
  )
  await insert(
    'obligation',
    `id, kind, key, transaction_id, leg_id, advice_id, destination, cause, actual_minor, undone_minor, advice, state, card,
     lane, next_at, attempts, fence, refusals, due_at, alarmed, position, response_code, closed_at`,
    [...obligations.values()].flatMap((one, index) => {
      if (one.kind === 'reconciliation') return []
      const { actualMinor, adviceId, id, key, kind, legId, transactionId, undoneMinor } = one
      return {
        ...{ id, kind, key, transaction_id: transactionId, leg_id: legId, advice_id: adviceId },
        ...{
          destination: one.destination,
          cause: one.cause,
          actual_minor: actualMinor,
          undone_minor: undoneMinor,
        },
        ...{ advice: one.advice, state: one.state, card: 0, lane: 0, next_at: at(0), attempts: 1, fence: 1 },
        ...{ refusals: 0, due_at: at(0), alarmed: 0, position: index, response_code: one.responseCode },
        closed_at: at(one.closedAt),
      }
    }),
  )
}

test('the totals of the simulation are those of the journal: in thirty histories, item by item', async () => {
  const seed = Number(process.env['SIMULATION_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`totals of simulation seed ${seed}`)
  let items = 0
  for (let index = 0; index < 30; index++) {
    const { scene } = await runHistory({ seed: seed + index })
    const { database } = scene
    await keep(database)
    for (const { name } of scene.networks) {
      const ours = itemsOf(database, name)
      const told = ours.map(({ date, isReversal, minor, total, transaction }) =>
        [date, total, isReversal, minor, transaction.request!.rrn].join(' '),
      )
      const counted: string[] = []
      for (const date of new Set(ours.map((item) => item.date))) {
        const approvals = ['00', '10', '400']
        for (const item of await reconciliationItems(pool, { destination: name, date, approvals }))
          counted.push([date, item.total, item.isReversal, item.minor, item.rrn].join(' '))
      }
      expect(told.sort(), `seed ${seed + index}`).toEqual(counted.sort())
      items += counted.length
    }
  }
  expect(items).toBeGreaterThan(50)
}, 120_000)
