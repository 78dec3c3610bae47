import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { openPackTerminal, packFiles, packRules, tryPack } from '../support/packs.ts'
import { enterableFolder } from '../support/server.ts'

/** Four networks at once, each in its dialect, under TLS, as are the terminals; one of them connects to us. */
const stateFolder = enterableFolder()
const networks = ['knet', 'visa', 'mastercard', 'issuer-host']
let system: System

beforeAll(async () => {
  const timeouts = {
    ...{ networkMs: 2_500, sourceMs: 7_000, terminalMs: 20_000 },
    breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
  }
  system = await startSystem({
    stateFolder,
    networks,
    timeouts,
    // A machine that is busy with the other tests is slower than any HSM may be; no pack is of that.
    hsmDeadlineMs: 2_000,
    tls: true,
    serves: ['visa'],
    rules: packRules(networks),
  })
}, 180_000)
afterAll(async () => {
  await system.close()
  rmSync(stateFolder, { recursive: true, force: true })
}, 60_000)

interface NetworkStatus {
  readonly approved: number
  readonly badSeals: number
  readonly pinBlockErrors: number
}

test('each network gets its own cards, and the books agree', async () => {
  await system.startTerminals({ rate: 20, seconds: 4 })
  await new Promise((resolve) => setTimeout(resolve, 4_500))
  const stopped = await system.stopTerminals(60_000)
  expect(stopped.result).toBe('settled')
  expect(await system.settle(60_000)).toBe(true)
  const { lines } = await runReconcile({ stateFolder, final: true, settleMs: 10_000 })
  expect(lines.at(-1), lines.join('\n')).toBe('RESULT ok')
  for (const name of networks) {
    const { control } = system.endpoints.networks[name]!
    const status = await ask<NetworkStatus>(control, 'GET', '/status', 30_000)
    expect(status, name).toMatchObject({ badSeals: 0, pinBlockErrors: 0 })
    expect(status.approved, name).toBeGreaterThan(5)
  }
}, 240_000)

// Each network's packs one after the other, the networks beside each other.
test.concurrent.each(networks)(
  'the packs of %s pass, and whatever a step expects is missed where it is answered otherwise',
  async (name) => {
    const terminal = await openPackTerminal(system, networks.indexOf(name) + 1)
    try {
      for (const file of packFiles(name)) {
        const { failures, missed, spoiled, altered } = await tryPack(file, terminal, system)
        expect(failures, file).toEqual([])
        expect(missed, file).toEqual([])
        expect(spoiled, file).toBeGreaterThan(3)
        expect(altered, file).toBeGreaterThan(40)
      }
    } finally {
      terminal.close()
    }
  },
  400_000,
)

test('an acquirer that is not the one of the certificate is refused, nothing is done, and people hear of it', async () => {
  const terminal = await openPackTerminal(system)
  const buy = async (acquirer: string | undefined) => {
    const fields = acquirer === undefined ? {} : { 32: acquirer }
    return terminal.purchase({ card: cardNamed('knet'), amountMinor: 6_100n, fields })
  }
  try {
    expect(responseCodeOf((await buy(undefined)).answer)).toBe('00')
    expect(responseCodeOf((await buy('41400099')).answer)).toBe('00')
    const wrong = await buy('41400098')
    expect(responseCodeOf(wrong.answer)).toBe('63')
    const { host, port } = system.endpoints.switch.http
    const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text()
    expect(metrics).toContain('switch_refused_total{source="acq1",why="acquirer"} 1')
    expect(metrics).toContain('switch_alarm_total{what="an acquirer id that is not the peer’s"} 1')
  } finally {
    terminal.close()
  }
}, 120_000)
