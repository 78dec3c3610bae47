import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { adoptKeys, checkInventory, generateKey, retireKey, rotateKey } from '../../hsm/ceremony.ts'
import type { Keeper } from '../../hsm/ceremony.ts'
import { otherToken } from '../../hsm/other-token.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { openClient } from '../../kernel/database.ts'
import { scratchToken, softhsmMissing } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'
import { hex, loadKeys, text, untilKey, world } from './world.ts'
import type { World } from './world.ts'

const people = { by: 'first keeper', witness: 'second keeper' }
const toolFile = join(import.meta.dirname, '../../bin/hsm-keys.ts')

describe.skipIf(softhsmMissing() !== undefined)('keys on two tokens', () => {
  let rooms: World
  let spare: ScratchToken
  let keeper: Keeper
  beforeAll(async () => {
    rooms = await world()
    spare = scratchToken()
    loadKeys(spare, rooms.keyFile)
    process.env['SOFTHSM2_CONF'] = rooms.token.softhsmConf
    keeper = {
      token: await openPkcs11Token(rooms.token),
      database: await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' }),
      others: [otherToken(spare, toolFile)],
    }
    await adoptKeys(keeper, people)
  })
  afterAll(async () => {
    await keeper.database.end()
    keeper.token.close()
    await rooms[Symbol.asyncDispose]()
    spare.remove()
  })

  const key = 'zak.knet.both'
  const data = hex('00')

  test('a new key is put on both, and after its rotation each seals alike without the other', async () => {
    const hsm = await rooms.open({ others: [spare] })
    await generateKey(keeper, { ref: key, algorithm: 'AES-128', ...people })
    expect(await checkInventory(keeper)).toEqual([])
    await rotateKey(keeper, { ref: key, graceSeconds: 600, ...people })
    await untilKey(hsm, `${key}.v002`, 'active')
    while (hsm.status().up !== 2) await hsm.generateMac({ key, data })
    // Each process follows the inventory by its own clock: one of them may know the new key a second earlier.
    await vi.waitFor(
      () => expect(hsm.status().backends!.flatMap(({ differing }) => differing)).not.toContain(key),
      { timeout: 10_000 },
    )
    await hsm.close()
    const seals: string[] = []
    for (const { module, tokenLabel, pinFile, softhsmConf } of [rooms.token, spare]) {
      const one = await rooms.open({ module, tokenLabel, pinFile, softhsmConf })
      await untilKey(one, `${key}.v002`, 'active')
      seals.push(text(await one.generateMac({ key, data })))
      await one.close()
    }
    expect(seals[0]).toBe(seals[1])
  })

  test('a key that is destroyed leaves both', async () => {
    await retireKey(keeper, { ref: key, version: 1, destroy: true, ...people })
    const labels = async (): Promise<string[]> =>
      [...(await keeper.others![0]!.inspect()), ...keeper.token.objects()].map(({ label }) => label)
    expect(await labels()).not.toContain(`${key}.v001`)
    expect(await labels()).toContain(`${key}.v002`)
    expect(await checkInventory(keeper)).toEqual([])
  })

  test('the check names the token that lacks a key', async () => {
    await keeper.others![0]!.destroy('zpk.knet.out.v001')
    expect(await checkInventory(keeper)).toEqual(['token scratch: zpk.knet.out.v001: missing from the token'])
    loadKeys(spare, rooms.keyFile)
  })

  test('while a token is away no key is made, on neither', async () => {
    const away = otherToken({ ...spare, tokenLabel: 'away' }, toolFile)
    const making = generateKey(
      { ...keeper, others: [away] },
      { ref: 'zak.new.both', algorithm: 'AES-128', ...people },
    )
    await expect(making).rejects.toThrow('the token away: the HSM process does not start: noToken')
    expect(keeper.token.objects().map(({ label }) => label)).not.toContain('zak.new.both.v001')
    expect(await checkInventory(keeper)).toContain(
      'token scratch: zak.knet.both.v001: destroyed, and still on the token',
    )
  })
})
