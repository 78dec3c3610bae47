import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HsmOptions } from '../../hsm/hsm.ts'
import { kcvOf } from '../../hsm/kcv.ts'
import { openClient } from '../../kernel/database.ts'
import { keyBlock } from '../../simulators/key-block.ts'
import { aesCmac, decryptPin, encryptPin, type TestKey } from '../../simulators/keys.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, testKeys, world } from './world.ts'
import type { World } from './world.ts'

const kbpkValue = '0F1E2D3C4B5A69788796A5B4C3D2E1F0'.repeat(2)
const kbpk: TestKey = { ref: 'kbpk.knet.both', algorithm: 'AES256', value: hex(kbpkValue) }
const refs = ['zpk.knet.out', 'zak.knet.both']
const seals = { usage: 'M6', mode: 'C' }
const data = Buffer.from('0210 sealed by the network')

describe.skipIf(softhsmMissing() !== undefined)('a key that a peer sends', () => {
  let rooms: World
  let hsm: Awaited<ReturnType<World['open']>>
  beforeAll(async () => {
    rooms = await world([...testKeys, { ref: 'kbpk.knet.both', algorithm: 'AES-256', value: kbpkValue }])
    hsm = await rooms.open()
  })
  afterAll(() => rooms[Symbol.asyncDispose]())

  const macKey = (byte: string): TestKey => ({
    ref: 'zak.knet.both',
    algorithm: 'AES128',
    value: hex(`0123456789ABCDEF01234567${byte.repeat(4)}`),
  })
  const kcv = (key: TestKey): string => kcvOf('AES-128', key.value)
  const sent = (key: TestKey, purpose = seals) => ({
    kbpk: 'kbpk.knet.both',
    block: keyBlock(kbpk, key, purpose),
    refs,
    peer: 'knet',
    kcv: kcv(key),
  })
  const verifies = (key: TestKey): Promise<boolean> =>
    hsm.verifyMac({ key: 'zak.knet.both', data, mac: aesCmac(key.value, data).subarray(0, 8) })
  const sealsWith = async (key: TestKey): Promise<boolean> => {
    const mac = await hsm.generateMac({ key: 'zak.knet.both', data })
    return Buffer.compare(mac, aesCmac(key.value, data).subarray(0, 8)) === 0
  }
  const first = { ...macKey('00'), value: hex('2B7E151628AED2A6ABF7158809CF4F3C') }

  test('is used by nobody until it arrives, then checks seals, and seals when it is active; the old one is honoured on', async () => {
    const second = macKey('11')
    const received = await hsm.receiveKey(sent(second))
    expect(received).toEqual({ ref: 'zak.knet.both', version: 2, kcv: kcv(second), state: 'pending' })
    expect([await verifies(second), await verifies(first), await sealsWith(first)]).toEqual([
      false,
      true,
      true,
    ])
    await hsm.advanceKey(received, 'arriving', 300)
    expect([await verifies(second), await verifies(first), await sealsWith(first)]).toEqual([
      true,
      true,
      true,
    ])
    await hsm.advanceKey(received, 'active', 300)
    expect([await verifies(second), await verifies(first), await sealsWith(second)]).toEqual([
      true,
      true,
      true,
    ])
    // Each step again changes nothing.
    expect(await hsm.receiveKey(sent(second))).toEqual({ ...received, state: 'active' })
    await hsm.advanceKey(received, 'arriving', 300)
    await hsm.advanceKey(received, 'active', 300)
    expect([await verifies(first), await sealsWith(second)]).toEqual([true, true])
  })

  test('is there after the process has died in the middle, and its predecessor ends with its grace', async () => {
    const third = macKey('22')
    const received = await hsm.receiveKey(sent(third))
    await hsm.advanceKey(received, 'arriving', 300)
    process.kill(hsm.status().pids![0]!, 'SIGKILL')
    await expect.poll(() => verifies(third).catch(() => false), { timeout: 20_000 }).toBe(true)
    expect(hsm.status().keys).toContainEqual(
      expect.objectContaining({ label: 'zak.knet.both.v003', state: 'arriving' }),
    )
    await hsm.advanceKey(received, 'active', 0)
    await expect.poll(() => verifies(macKey('11')), { timeout: 10_000 }).toBe(false)
    expect(await sealsWith(third)).toBe(true)
  })

  test('replaces the PIN key when the block says so', async () => {
    const pinKey: TestKey = {
      ref: 'zpk.knet.out',
      algorithm: 'DES2',
      value: hex('3B3B3B3B3B3B3B3BC8C8C8C8C8C8C8C8'),
    }
    const block = keyBlock(kbpk, pinKey, { usage: 'P0', mode: 'B' })
    const received = await hsm.receiveKey({ kbpk: 'kbpk.knet.both', block, refs, peer: 'knet' })
    expect(received).toMatchObject({ ref: 'zpk.knet.out', version: 2 })
    await hsm.advanceKey(received, 'active', 300)
    const pan = '5555555551234567'
    const tpk: TestKey = { ref: 'tpk', algorithm: 'DES2', value: hex('0123456789ABCDEFFEDCBA9876543210') }
    const moved = await hsm.translatePin({
      from: 'tpk.acq1.in',
      to: 'zpk.knet.out',
      pinBlock: encryptPin(tpk, { pin: '1234', pan }),
      pan,
    })
    expect(decryptPin(pinKey, { block: moved, pan })).toBe('1234')
  })

  test.each([
    ['another check value', (good: ReturnType<typeof sent>) => ({ ...good, kcv: 'ABCDEF' }), 'kcvDiffers'],
    [
      'a block that was changed',
      (good: ReturnType<typeof sent>) => ({
        ...good,
        block: `${good.block.slice(0, -2)}${good.block.endsWith('00') ? 'FF' : '00'}`,
      }),
      'badRequest',
    ],
    ['a block for something else', () => sent(macKey('44'), { usage: 'D0', mode: 'B' }), 'wrongUsage'],
    [
      'another protection key',
      (good: ReturnType<typeof sent>) => ({ ...good, kbpk: 'kbpk.visa.both' }),
      'unknownKey',
    ],
    ['a key that was in use before', () => sent(macKey('11')), 'oldKey'],
    [
      'a key of one byte again and again',
      () => sent({ ...macKey('44'), value: Buffer.alloc(16, 0x5a) }),
      'weakKey',
    ],
  ])('is refused with %s, and the old one goes on', async (_, spoil, why) => {
    const states = (): string[] => hsm.status().keys!.map(({ label, state }) => `${label} ${state}`)
    const before = states()
    expect(await faultOf(hsm.receiveKey(spoil(sent(macKey('44')))))).toEqual({ kind: 'refused', why })
    expect(states()).toEqual(before)
  })

  test('is put on a token once, however many processes have that token', async () => {
    const several = await rooms.open({ processes: 3 })
    while (several.status().up !== 3) await wait(20)
    const received = await several.receiveKey(sent(macKey('77')))
    const label = `${received.ref}.v${String(received.version).padStart(3, '0')}`

    expect(labelsOn(rooms).filter((one) => one === label)).toHaveLength(1)
    await several.close()
  })

  test('is the only thing that the process may write into the inventory', async () => {
    const client = await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' })
    try {
      await client.query('SET ROLE mafraq_vault')
      const write = (text: string) =>
        client.query(text).then(
          () => 'done',
          () => 'refused',
        )
      expect(await write("UPDATE vault.key SET state = 'active'")).toBe('refused')
      expect(
        await write(
          "SELECT vault.receive_key('kek.vault.both', 9, 'K0', 'B', 'AES-256', 'ABCDEF', 'knet', 'x', '[]')",
        ),
      ).toBe('refused')
    } finally {
      await client.end()
    }
  })
})

test.skipIf(softhsmMissing() !== undefined)(
  'a driver that keeps no keys takes none in: after its next start it would not have them',
  async () => {
    await using rooms = await world([
      ...testKeys,
      { ref: 'kbpk.knet.both', algorithm: 'AES-256', value: kbpkValue },
    ])
    const options: Partial<HsmOptions> = { driver: 'twin' }
    const hsm = await rooms.open(options)
    const block = keyBlock(
      kbpk,
      { ref: 'zak.knet.both', algorithm: 'AES128', value: Buffer.alloc(16, 7) },
      seals,
    )
    expect(await faultOf(hsm.receiveKey({ kbpk: 'kbpk.knet.both', block, refs, peer: 'knet' }))).toEqual({
      kind: 'refused',
      why: 'unsupported',
    })
  },
)

/** As a process of its own finds them. */
function labelsOn({ token }: World): string[] {
  const { module, pinFile, softhsmConf, tokenLabel } = token
  const tool = join(import.meta.dirname, '../../bin/hsm-keys.ts')
  const address = ['--module', module, '--token-label', tokenLabel, '--pin-file', pinFile]
  const told = execFileSync(process.execPath, [tool, 'inspect', ...address], {
    env: { ...process.env, SOFTHSM2_CONF: softhsmConf },
    encoding: 'utf8',
  })
  return (JSON.parse(told) as { label: string }[]).map(({ label }) => label)
}
