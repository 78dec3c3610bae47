import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { responseCodeOf, Terminal } from '../../simulators/terminals/terminal.ts'
import { enterableFolder } from '../support/server.ts'
import { harmTwoNodes } from '../support/two-nodes.ts'

/** Two switch processes on one database, a network to which each has a session, and one that allows a single one. */
const stateFolder = enterableFolder()
/** Shorter than in production and in the same order, with room for a machine that does something else for a while. */
const leases = { renewMs: 1_000, expiryMs: 5_000, fenceMs: 3_500, graceMs: 500 }
const timeouts = { networkMs: 1_000, sourceMs: 2_500, terminalMs: 3_500, terminalReversesAgainMs: 1_500 }
let system: System
let pool: DatabasePool

beforeAll(async () => {
  system = await startSystem({
    stateFolder,
    ...{ nodes: 2, networks: ['knet', 'visa'], singleSession: ['visa'], leases, timeouts },
  })
  const { readerUrl: databaseUrl } = system.endpoints.database
  pool = openPool({ databaseUrl, applicationName: 'test', connectionsMax: 1 })
}, 180_000)
afterAll(async () => {
  await pool.end()
  await system.close()
  rmSync(stateFolder, { recursive: true, force: true })
}, 90_000)

test('a network that allows one session is reached through either node, whichever has it', async () => {
  const keyFile = await readKeyFile(system.endpoints.keyFile)
  const keys = { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') }
  const { nodes, switch: first } = system.endpoints
  for (const [index, { iso8583 }] of [first, nodes!['node-2']!].entries()) {
    const names = { terminalId: `RELAY00${index}`, merchantId: '000000000000905' }
    const terminal = await Terminal.open({ ...iso8583, ...names, keys })
    try {
      const order = { card: cardNamed('visa-approved'), amountMinor: 4_300n }
      await expect
        .poll(async () => responseCodeOf((await terminal.purchase(order)).answer), { timeout: 20_000 })
        .toBe('00')
    } finally {
      terminal.close()
    }
  }
  const { rows } = await pool.query(
    `SELECT DISTINCT node FROM switch.transaction WHERE state = 'approved' ORDER BY node`,
  )
  expect(rows).toEqual([{ node: 'node-1' }, { node: 'node-2' }])
}, 60_000)

test('of two nodes one is stopped and continued and one killed: the other follows, nothing is lost or doubled, and who was followed writes nothing', async () => {
  await system.startTerminals({ rate: 25 })
  const seen = await harmTwoNodes(system, pool, {
    singleSession: 'visa',
    say: () => undefined,
  })
  const stopped = await system.stopTerminals(100_000)
  expect(stopped.result).toBe('settled')
  expect(await system.settle(100_000)).toBe(true)
  const { lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
  expect(lines.at(-1), lines.join('\n')).toBe('RESULT ok')

  expect([...seen.served.keys()]).toEqual(['node-1', 'node-2'])
  expect(seen.approvedBesideStopped).toBeGreaterThan(0)
  expect(seen.writtenByFollowed).toBe(0)
  expect(seen.numbersDoubled).toBe(0)
}, 300_000)
