import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask } from '../../bin/environment/control.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { type Asked, responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { openSwitchWorld, type SwitchWorld } from '../switch/world.ts'

let world: SwitchWorld
beforeAll(async () => {
  world = await openSwitchWorld()
}, 120_000)
afterAll(() => world.close())

interface Status {
  readonly hsm: { readonly pid?: number; readonly backends: readonly { readonly breaker: string }[] }
  readonly destinations: readonly { readonly breaker: string }[]
}

const status = async (): Promise<Status> => {
  const { host, port } = world.system.endpoints.switch.http
  return (await (await fetch(`http://${host}:${port}/status`)).json()) as Status
}
const asked = async (): Promise<number> => {
  const { control } = world.system.endpoints.networks['knet']!
  return (await ask<{ requests: number }>(control, 'GET', '/status', 30_000)).requests
}

/** How many messages the switch would say nothing about, since nobody could seal or check them. */
const unsealable = async (): Promise<number> => {
  const { host, port } = world.system.endpoints.switch.http
  const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text()
  return Number(/^switch_refused_total\{source="acq1",why="unsealable"\} (\d+)$/m.exec(metrics)?.[1] ?? 0)
}

test('F09: while the HSM’s breaker is open purchases are refused at once and nothing is sent, nor the network’s breaker troubled; a repeat after that is approved', async () => {
  const terminal = await world.terminal()
  const order = { card: cardNamed('knet'), amountMinor: 2_500n }
  expect(responseCodeOf((await terminal.purchase(order)).answer)).toBe('00')
  // Lost again and again: five times within ten seconds opens it, however fresh the next process is.
  const killed = new Set<number>()
  const breaker = async () => (await status()).hsm.backends[0]!.breaker
  while ((await breaker()) === 'closed') {
    const { pid } = (await status()).hsm
    if (pid !== undefined && !killed.has(pid)) {
      killed.add(pid)
      process.kill(pid, 'SIGKILL')
    }
    await sleep(10)
  }
  const before = { asked: await asked(), unsealable: await unsealable() }
  const tookMs: number[] = []
  const refused: Asked[] = []
  while ((await breaker()) === 'open' && refused.length < 20) {
    const startedMs = performance.now()
    refused.push(terminal.begin({ ...order, timeoutMs: 1_000 }))
    while ((await unsealable()) < before.unsealable + refused.length && (await breaker()) === 'open')
      await sleep(1)
    tookMs.push(performance.now() - startedMs)
  }
  // Not the 500 ms that a call to the HSM may take. Whose seal nobody can check, or make, is told nothing.
  expect(refused.length).toBeGreaterThan(3)
  expect(Math.min(...tookMs)).toBeLessThan(250)
  const replies = await Promise.all(refused.slice(0, -1).map(({ reply }) => reply))
  expect(new Set(replies.map(({ kind }) => kind))).toEqual(new Set(['noAnswer']))
  const sent = await asked()
  // The last may have been asked when it had closed.
  expect(sent - before.asked).toBeLessThan((await breaker()) === 'open' ? 1 : 2)
  expect((await status()).destinations[0]!.breaker).toBe('closed')
  while ((await breaker()) !== 'closed') await sleep(20)
  // A busy machine may be too late for the deadline of a call to the HSM once more; then there is silence once more.
  let code: string | undefined
  while (code === undefined) code = responseCodeOf(await terminal.repeat(refused[0]!, { timeoutMs: 5_000 }))
  expect(code).toBe('00')
  expect((await asked()) - sent).toBe(1)
  expect(await world.system.settle(30_000)).toBe(true)
}, 120_000)
