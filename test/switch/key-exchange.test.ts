import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openClient } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { keyExchangeHistory } from '../../switch/switch.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { openSwitchWorld, reconciled, type SwitchWorld } from './world.ts'

const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))

describe.skipIf(softhsmMissing() !== undefined)('keys that the network sends', () => {
  let world: SwitchWorld
  let terminal: Awaited<ReturnType<SwitchWorld['terminal']>>
  beforeAll(async () => {
    world = await openSwitchWorld()
    terminal = await world.terminal()
  }, 120_000)
  afterAll(() => world.close())

  interface NetworkKeys {
    readonly responseCode: string | null
    readonly keysRefused: number
    readonly badSeals: number
    readonly pinBlockErrors: number
    readonly keys: {
      readonly exchanged: number
      readonly kcvs: { readonly pin: string; readonly mac: string }
    }
  }
  const control = async (path: string, body?: object): Promise<NetworkKeys> => {
    const { host, port } = world.system.endpoints.networks['knet']!.control
    const asked = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    return (await (await fetch(`http://${host}:${port}${path}`, asked)).json()) as NetworkKeys
  }
  const networkKeys = (): Promise<NetworkKeys> => control('/status')
  const send = (part: 'pin' | 'mac', more: object = {}) => control('/keys', { send: part, ...more })
  const buy = async (): Promise<string | undefined> =>
    responseCodeOf((await terminal.purchase({ card: cardNamed('knet'), amountMinor: 7_000n })).answer)
  const activeKey = async (ref: string): Promise<string | undefined> => {
    const { host, port } = world.system.endpoints.switch.http
    const status = (await (await fetch(`http://${host}:${port}/status`)).json()) as {
      hsm: { keys: { label: string; state: string; id: string }[] }
    }
    return status.hsm.keys.find(({ label, state }) => label.startsWith(`${ref}.v`) && state === 'active')?.id
  }
  const events = async (): Promise<string[]> =>
    (await keyExchangeHistory(world.pool, 100)).map(({ event }) => event)
  const mafraq = async (...args: string[]): Promise<string> => {
    const where = ['--state', world.system.stateFolder]
    return (await promisify(execFile)(process.execPath, [program, ...args, ...where])).stdout
  }

  test('are taken, answered, and then used, for seals and for PINs; both ends have the same ones', async () => {
    expect(await buy()).toBe('00')
    for (const part of ['mac', 'pin'] as const) expect((await send(part)).responseCode).toBe('00')
    const { keys } = await networkKeys()
    await expect.poll(() => activeKey('zak.knet.both')).toContain(keys.kcvs.mac)
    await expect.poll(() => activeKey('zpk.knet.out')).toContain(keys.kcvs.pin)
    expect(await buy()).toBe('00')
    const { badSeals, pinBlockErrors } = await networkKeys()
    expect([badSeals, pinBlockErrors]).toEqual([0, 0])
    await expect
      .poll(async () => (await events()).toSorted())
      .toEqual(['activated', 'activated', 'taken', 'taken'])
  }, 60_000)

  test('F40: with another check value they are refused with 63, and the key before goes on', async () => {
    const before = await activeKey('zak.knet.both')
    expect((await send('mac', { wrongKcv: true })).responseCode).toBe('63')
    expect(await activeKey('zak.knet.both')).toBe(before)
    expect(await buy()).toBe('00')
    expect((await events()).at(-1)).toBe('refused')
  }, 60_000)

  test('F40: a message under the key before is honoured while its grace lasts', async () => {
    // The network takes the new key into use when it has our answer; what it sealed before is on its way.
    const buying = Promise.all([buy(), buy(), buy(), send('mac'), buy(), buy()])
    expect((await buying).map((one) => (typeof one === 'object' ? one.responseCode : one))).toEqual(
      Array(6).fill('00'),
    )
  }, 60_000)

  test('X3: three wrong seals in a row, and nothing is sent until the network has sent new keys, which it is asked for', async () => {
    const { keys } = await control('/keys', { lose: 'mac' })
    const told = await Promise.all([buy(), buy(), buy()])
    expect(told.every((code) => code !== '00')).toBe(true)
    await expect.poll(buy, { timeout: 90_000, interval: 500 }).toBe('00')
    const renewed = await networkKeys()
    expect(renewed.keys.exchanged).toBeGreaterThan(keys.exchanged)
    expect(await events()).toEqual(expect.arrayContaining(['asked']))
  }, 120_000)

  test('K6: a network is asked once a minute at most, by people too; who asked and why is on record', async () => {
    const asked = async (): Promise<number> => (await events()).filter((event) => event === 'asked').length
    const before = await asked()
    expect(await mafraq('keys', 'ask', 'knet', '--by', 'keeper', '--why', 'half a year is over')).toBe(
      'knet will be asked for new keys\n',
    )
    // Less than a minute after the last time.
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect(await asked()).toBe(before)
    // As if the minute were over.
    const admin = await openClient({
      databaseUrl: world.system.endpoints.database.url,
      applicationName: 'test',
    })
    await admin.query(
      `INSERT INTO switch.key_exchange (at, destination, event, why, who)
       VALUES (now() - interval '61 s', 'knet', 'asked', 'test', 'test')`,
    )
    await admin.end()
    const { exchanged } = (await networkKeys()).keys
    await mafraq('keys', 'ask', 'knet', '--by', 'keeper', '--why', 'half a year is over')
    await expect.poll(asked, { timeout: 20_000 }).toBe(before + 2)
    await expect
      .poll(async () => (await networkKeys()).keys.exchanged, { timeout: 30_000 })
      .toBe(exchanged + 2)
    const told = await mafraq('keys', 'exchanges')
    expect(told).toContain('half a year is over')
    expect(told).toMatch(/activated +zpk\.knet\.out\.v\d{3} kcv [0-9A-F]{6}/)
    await expect(mafraq('keys', 'ask', 'nobody', '--by', 'k', '--why', 'x')).rejects.toThrow()
  }, 120_000)

  test('F40: a switch that dies in the middle finds out which key the network has', async () => {
    const sending = send('mac')
    await expect
      .poll(async () => (await keyExchangeHistory(world.pool, 1))[0]?.event, { interval: 20 })
      .toBe('taken')
    await world.system.kill('switch')
    expect((await sending).responseCode).toBe(null)
    await world.system.start('switch')
    terminal = await world.terminal()
    const { keys } = await networkKeys()
    await expect.poll(() => activeKey('zak.knet.both'), { timeout: 30_000 }).toContain(keys.kcvs.mac)
    await expect.poll(buy, { timeout: 30_000 }).toBe('00')
    const { ok, lines } = await reconciled(world)
    expect(ok, lines.join('\n')).toBe(true)
  }, 120_000)
})
