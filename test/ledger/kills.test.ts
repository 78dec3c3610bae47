import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres } from '../../bin/environment/postgres.ts'
import type { Postgres } from '../../bin/environment/postgres.ts'
import { sleep, systemClock } from '../../kernel/clock.ts'
import { openClient } from '../../kernel/database.ts'
import { migrateLedger, openLedger, verifyLedger } from '../../ledger/ledger.ts'
import type { Ledger, Unit } from '../../ledger/ledger.ts'
import { enterableFolder } from '../support/server.ts'
import { saleUnit } from './sales-process.ts'

const kills = Number(process.env['LEDGER_KILLS'] ?? 2)
const given = process.env['DATABASE_URL'] !== undefined

let folder: string
let postgres: Postgres

beforeAll(async () => {
  if (given) return
  folder = enterableFolder()
  postgres = await startPostgres({ folder: join(folder, 'pg'), logFile: join(folder, 'postgres.log') })
  await migrateLedger(postgres.url)
})

afterAll(async () => {
  if (given) return
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
})

function open(): Promise<Ledger> {
  const log = { warn: () => undefined, error: () => undefined }
  return openLedger({ databaseUrl: postgres.url, rowKinds: [], log, outcomeDeadlineMs: 20_000 })
}

async function recorded(): Promise<{
  readonly units: number
  readonly owned: bigint
  readonly keys: Set<string>
}> {
  const client = await openClient({ databaseUrl: postgres.url, applicationName: 'test' })
  const units = await client.query<{ key: string }>('SELECT key FROM ledger.unit')
  const balance = await client.query<{ owned: bigint }>(
    `SELECT credits - debits AS owned FROM ledger.balance JOIN ledger.account ON id = account_id WHERE path = 'shop'`,
  )
  await client.end()
  return {
    units: units.rows.length,
    owned: balance.rows[0]!.owned,
    keys: new Set(units.rows.map(({ key }) => key)),
  }
}

test.skipIf(given)(
  `of what was acknowledged before PostgreSQL was killed ${kills} times nothing is lost or doubled`,
  async () => {
    const ledger = await open()
    await ledger.openAccounts([
      { path: 'till', currency: 'KWD', normalSide: 'debit', limit: 'none' },
      { path: 'shop', currency: 'KWD', normalSide: 'credit', limit: 'none' },
    ])
    const acknowledged = new Set<string>()
    let sent = 0
    let selling = true
    const sellers = Array.from({ length: 50 }, async () => {
      while (selling) {
        const sale: Unit = saleUnit(`killed-${sent++}`)
        const outcome = await ledger.commit(sale)
        // What is not known is asked again by its key, until it is.
        if (outcome.kind === 'committed' || (await ledger.commit(sale)).kind === 'committed')
          acknowledged.add(sale.key)
      }
    })
    for (let kill = 0; kill < kills; kill++) {
      const target = acknowledged.size + 200
      while (acknowledged.size < target) await sleep(systemClock, 5)
      await sleep(systemClock, (kill * 37) % 90)
      await postgres.kill()
      await postgres.start()
    }
    selling = false
    await Promise.all(sellers)
    await ledger.close()
    const { keys, owned } = await recorded()
    expect([...acknowledged].filter((key) => !keys.has(key))).toEqual([])
    expect(owned).toBe(BigInt(keys.size))
    expect((await verifyLedger(postgres.url)).bad).toBeUndefined()
  },
  600_000,
)

test.skipIf(given)(
  `of what a writer acknowledged before it was killed ${kills} times nothing is lost or doubled`,
  async () => {
    const before = await recorded()
    const journal = join(folder, 'journal')
    appendFileSync(journal, '')
    for (let kill = 0; kill < kills; kill++) {
      const process_ = spawn(
        process.execPath,
        [fileURLToPath(new URL('sales-process.ts', import.meta.url)), postgres.url, journal, `life-${kill}`],
        {
          stdio: [
            'ignore',
            openSync(join(folder, 'sales.log'), 'a'),
            openSync(join(folder, 'sales.log'), 'a'),
          ],
        },
      )
      const exited = once(process_, 'exit')
      const lines = (): number =>
        readFileSync(journal, 'utf8')
          .split('\n')
          .filter((line) => line.endsWith(' done')).length
      const target = lines() + 150
      while (lines() < target && process_.exitCode === null) await sleep(systemClock, 10)
      process_.kill('SIGKILL')
      await exited
    }
    expect(existsSync(journal)).toBe(true)
    const written = readFileSync(journal, 'utf8').split('\n')
    const intended = new Set(
      written.filter((line) => line.endsWith(' intent')).map((line) => line.split(' ')[0]!),
    )
    const done = written.filter((line) => line.endsWith(' done')).map((line) => line.split(' ')[0]!)
    const after = await recorded()
    expect(done.filter((key) => !after.keys.has(key))).toEqual([])
    expect(after.owned - before.owned).toBe(BigInt(after.units - before.units))

    // Whatever it had meant to do is asked for again: what had happened is answered from the record.
    const ledger = await open()
    const outcomes = await Promise.all([...intended].map((key) => ledger.commit(saleUnit(key))))
    await ledger.close()
    expect(outcomes.every(({ kind }) => kind === 'committed')).toBe(true)
    const resolved = await recorded()
    expect(resolved.owned - before.owned).toBe(BigInt(intended.size))
    expect((await verifyLedger(postgres.url)).bad).toBeUndefined()
  },
  600_000,
)
