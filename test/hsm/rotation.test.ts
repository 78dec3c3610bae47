import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adoptKeys, generateKey, importComponents, retireKey, rotateKey } from '../../hsm/ceremony.ts'
import type { Keeper } from '../../hsm/ceremony.ts'
import type { Hsm } from '../../hsm/hsm.ts'
import { kcvOf } from '../../hsm/kcv.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { cardsUnderOldKeys, rewrapVault } from '../../hsm/rewrap.ts'
import { encipher } from '../../hsm/soft.ts'
import { openClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { hex, untilKey, world } from './world.ts'
import type { World } from './world.ts'

const people = { by: 'first keeper', witness: 'second keeper' }
const pan = '5555555551234567'
const panOf = (index: number): string => `411111${(index % 300).toString().padStart(9, '0')}1`
// The clear block of PIN 1234 for that card, and the terminals' next key.
const clearBlock = hex('041261AAAAEDCBA9')
const nextTerminalKey = hex('3B3B3B3B3B3B3B3BC8C8C8C8C8C8C8C8')

describe.skipIf(softhsmMissing() !== undefined)('a hundred purchases a second', () => {
  let rooms: World
  let keeper: Keeper
  let hsm: Hsm
  beforeAll(async () => {
    rooms = await world()
    hsm = await rooms.open()
    process.env['SOFTHSM2_CONF'] = rooms.token.softhsmConf
    keeper = {
      token: await openPkcs11Token(rooms.token),
      database: await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' }),
    }
    await adoptKeys(keeper, people)
  })
  afterAll(async () => {
    await keeper.database.end()
    keeper.token.close()
    await rooms[Symbol.asyncDispose]()
  })

  /** What the terminals encipher PINs with, and how the switch names it: both change when they are told. */
  let terminal = { from: 'tpk.acq1.in.v001', pinBlock: hex('230B4C43B8BA2C5C') }

  /** What the switch asks of the HSM for one purchase; whether every answer was as it must be. */
  async function purchase(index: number): Promise<boolean> {
    const data = Buffer.from(`0200 number ${index}`)
    const mac = await hsm.generateMac({ key: 'tak.acq1.both', data })
    const toldAt = { ...terminal }
    await wait(20)
    const arrival = await hsm.verifyThenTokenise({ key: 'tak.acq1.both', data, mac, pan: panOf(index) })
    const pin = await hsm.translatePin({
      ...toldAt,
      to: 'zpk.knet.out',
      pan,
      source: `terminal-${index % 50}`,
    })
    const seal = await hsm.generateMac({ key: 'zak.knet.both', data })
    const answered = await hsm.verifyMac({ key: 'zak.knet.both', data, mac: seal })
    const number = arrival.verified && arrival.token !== undefined ? await hsm.detokenise(arrival.token) : ''
    return arrival.verified && pin.length === 8 && answered && number === panOf(index)
  }

  async function rotate(ref: string, algorithm: 'DES2' | 'AES-128' | 'AES-256' | 'HMAC'): Promise<void> {
    await generateKey(keeper, { ref, algorithm, ...people })
    await rotateKey(keeper, { ref, graceSeconds: 600, ...people })
    await untilKey(hsm, `${ref}.v002`, 'active')
  }

  async function rotateTerminalKey(): Promise<void> {
    const ref = 'tpk.acq1.in'
    const algorithm = 'DES2'
    const one = hex('00112233445566778899AABBCCDDEEFF')
    const other = Buffer.from(one.map((byte, index) => byte ^ nextTerminalKey[index]!))
    const components = [one, other].map((value) => ({ value, kcv: kcvOf(algorithm, value) }))
    const kcv = kcvOf(algorithm, nextTerminalKey)
    await importComponents(keeper, { ref, algorithm, components, kcv, ...people })
    await rotateKey(keeper, { ref, graceSeconds: 600, ...people })
    await untilKey(hsm, `${ref}.v002`, 'active')
    const cipher = { cipher: 'des3', chaining: 'ecb', key: nextTerminalKey } as const
    terminal = { from: `${ref}.v002`, pinBlock: encipher({ ...cipher, input: clearBlock }) }
  }

  test('with every key rotated and the vault rewrapped meanwhile, none fails', {
    timeout: 60_000,
  }, async () => {
    const stop = new AbortController()
    const underWay = new Set<Promise<void>>()
    const failed = new Set<string>()
    let made = 0
    const traffic = (async () => {
      const startedAt = performance.now()
      for (let index = 0; !stop.signal.aborted; index++) {
        // A machine that is too busy for the rate is not what is tried here: the HSM would rightly shed what is too much.
        while (underWay.size >= 16) await Promise.race(underWay)
        const one = purchase(index)
          .then(
            (good) => void (good || failed.add('a wrong answer')),
            (error: unknown) => void failed.add(String(error)),
          )
          .finally(() => underWay.delete(one))
        underWay.add(one)
        made++
        await wait(Math.max(0, startedAt + index * 10 - performance.now()))
      }
    })()
    await wait(500)
    await rotate('tak.acq1.both', 'DES2')
    await rotate('zak.knet.both', 'AES-128')
    await rotate('zpk.knet.out', 'DES2')
    await rotateTerminalKey()
    await rotate('fpk.vault.both', 'HMAC')
    await rotate('kek.vault.both', 'AES-256')
    await rewrapVault({ ...keeper, actor: 'first keeper', batch: 50 })
    await retireKey(keeper, { ref: 'kek.vault.both', version: 1, destroy: true, ...people })
    await wait(500)
    stop.abort()
    await traffic
    await Promise.all(underWay)
    expect([...failed]).toEqual([])
    expect(made).toBeGreaterThan(100)
    expect(await cardsUnderOldKeys(keeper.database)).toEqual(new Map())
    expect(hsm.status().restarts).toBe(0)
  })
})
