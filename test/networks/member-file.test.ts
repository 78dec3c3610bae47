import { createHash } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf, type Terminal } from '../../simulators/terminals/terminal.ts'
import { openSwitchWorld, type SwitchWorld } from '../switch/world.ts'

let world: SwitchWorld
let terminal: Terminal
beforeAll(async () => {
  const timeouts = { networkMs: 2_500, sourceMs: 7_000, terminalMs: 20_000 }
  const breaker = { openMs: 500, openMsMax: 1_000, rampStepMs: 500 }
  world = await openSwitchWorld({ timeouts: { ...timeouts, breaker } })
  terminal = await world.terminal()
}, 120_000)
afterAll(() => world.close(), 60_000)

const inFolder = (...path: string[]) => join(world.system.stateFolder, ...path)
const buy = async () => {
  const { answer } = await terminal.purchase({ card: cardNamed('knet'), amountMinor: 2_500n })
  return responseCodeOf(answer)
}

interface Destination {
  readonly session: string
  readonly dialect: string
}

async function destination(): Promise<Destination> {
  const { host, port } = world.system.endpoints.switch.http
  const status = (await (await fetch(`http://${host}:${port}/status`)).json()) as {
    destinations: Destination[]
  }
  return status.destinations[0]!
}

/** Writes a member's file, states it in the configuration, and has the switch read both. */
async function speak(json: object): Promise<void> {
  const [file, config] = [inFolder('member.json'), inFolder('config', 'switch.json')]
  const text = JSON.stringify({ extends: 'knet', ...json })
  writeFileSync(file, text)
  chmodSync(file, 0o644)
  const sha256 = createHash('sha256').update(text).digest('hex')
  const stated = JSON.parse(readFileSync(config, 'utf8')) as { destinations: object[] }
  Object.assign(stated.destinations[0]!, { member: { file, sha256 } })
  writeFileSync(config, JSON.stringify(stated))
  process.kill((await world.system.pid('switch'))!, 'SIGHUP')
}

const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 60_000, interval: 50 })
const spoken = (dialect: string) => until(async () => expect(await destination()).toMatchObject({ dialect }))

test('a member’s file is taken at SIGHUP: the session that is up goes on, the next one speaks by it', async () => {
  expect(await buy()).toBe('00')
  // Signed on with a code that this network does not know: who speaks so gets no session.
  await speak({ dialect: { name: 'member-one' }, session: { codes: { signOn: '071' } } })
  await spoken('member-one')
  expect(await destination()).toMatchObject({ session: 'online' })
  expect(await buy()).toBe('00')

  await world.network({ disconnect: true })
  const log = () => readFileSync(inFolder('logs', 'switch.log'), 'utf8')
  await until(() => Promise.resolve(expect(log()).toContain('"ended":"refused"')))
  expect(await buy()).toBe('91')

  await speak({ dialect: { name: 'member-two' } })
  await spoken('member-two')
  await until(async () => expect(await buy()).toBe('00'))
  expect(await destination()).toMatchObject({ session: 'online' })
}, 180_000)

test('one that is wrong, or wants more than new sessions, is refused with file, path and reason, and nothing is changed', async () => {
  const log = () => readFileSync(inFolder('logs', 'switch.log'), 'utf8')
  await speak({ dialect: { name: 'member-three' }, correlation: { key: [11] } })
  await until(() =>
    Promise.resolve(expect(log()).toMatch(/member\.json is refused:.*correlation\.key: DE11 alone/)),
  )
  await speak({ dialect: { name: 'member-four' }, inFlightMax: 7 })
  await until(() => Promise.resolve(expect(log()).toMatch(/dialectRefused.*inFlightMax: is otherwise/)))
  expect(await destination()).toMatchObject({ dialect: 'member-two', session: 'online' })
  expect(await buy()).toBe('00')
}, 120_000)
