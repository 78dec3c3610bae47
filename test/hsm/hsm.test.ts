import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, text, world } from './world.ts'
import type { World } from './world.ts'

const pan = '5555555551234567'
// A published clear block for that PAN, under the published key.
const pinBlock = hex('230B4C43B8BA2C5C')

describe.skipIf(softhsmMissing() !== undefined).each(['pkcs11', 'twin'] as const)(
  'the %s driver',
  (driver) => {
    let rooms: World
    let hsm: Hsm
    beforeAll(async () => {
      rooms = await world()
      hsm = await rooms.open({ driver })
    })
    afterAll(async () => {
      await rooms[Symbol.asyncDispose]()
    })

    test('a PIN block moves from the terminal key to the zone key', async () => {
      const moved = await hsm.translatePin({ from: 'tpk.acq1.in', to: 'zpk.knet.out', pinBlock, pan })
      expect(text(moved)).toBe('A5948F55D854BBA4')
    })

    test.each([
      ['of another card', { pan: '5555555551234666' }],
      ['with a wrong control nibble', { pinBlock: hex('72C91D5D467C2603') }],
      ['with a wrong filler', { pinBlock: hex('B37A490DBBFE700F') }],
      ['with a digit that is none', { pinBlock: hex('252F7D56842A427D') }],
      ['of random bytes', { pinBlock: hex('0011223344556677') }],
      ['too short', { pinBlock: hex('00112233445566') }],
      ['too long', { pinBlock: hex('001122334455667788') }],
    ])('a PIN block %s gets the one answer for bad PIN blocks', async (_, change) => {
      const request = { from: 'tpk.acq1.in', to: 'zpk.knet.out', pinBlock, pan, ...change }
      expect(await faultOf(hsm.translatePin(request))).toEqual({ kind: 'pinBlock' })
    })

    test.each([
      ['a key that is not there', { from: 'tpk.acq9.in' }, 'unknownKey'],
      ['a MAC key for the PIN', { from: 'tak.acq1.both' }, 'wrongUsage'],
      ['the keys the other way round', { from: 'zpk.knet.out', to: 'tpk.acq1.in' }, 'wrongUsage'],
      ['a reference that is none', { from: '../../etc/passwd' }, 'badRequest'],
      ['a PAN with letters', { pan: '55555555512345AB' }, 'badRequest'],
      ['a PAN that is too long', { pan: '5'.repeat(20) }, 'badRequest'],
      ['an empty PIN block', { pinBlock: hex('') }, 'badRequest'],
    ])('translation with %s is refused', async (_, change, why) => {
      const request = { from: 'tpk.acq1.in', to: 'zpk.knet.out', pinBlock, pan, ...change }
      expect(await faultOf(hsm.translatePin(request))).toEqual({ kind: 'refused', why })
    })

    test('a DES2 key seals by the retail MAC of ISO 9797-1', async () => {
      const data = hex('4E6F77206973207468652074696D6520666F7220616C6C20')
      expect(text(await hsm.generateMac({ key: 'tak.acq1.both', data }))).toBe('A1C72E74EA3FA9B6')
    })

    test('an AES key seals by CMAC, cut to eight bytes', async () => {
      const data = hex('6BC1BEE22E409F96E93D7E117393172A')
      expect(text(await hsm.generateMac({ key: 'zak.knet.both', data }))).toBe('070A16B46B4D4144')
    })

    test.each(['tak.acq1.both', 'zak.knet.both'])('a MAC by %s fits its data and no other', async (key) => {
      const data = Buffer.from('0200 of some length')
      const mac = Buffer.from(await hsm.generateMac({ key, data }))
      expect(await hsm.verifyMac({ key, data, mac })).toBe(true)
      expect(await hsm.verifyMac({ key, data: Buffer.from('0200 of some lengtH'), mac })).toBe(false)
      mac[7]! ^= 1
      expect(await hsm.verifyMac({ key, data, mac })).toBe(false)
    })

    test('a MAC of two bytes is no MAC', async () => {
      const request = { key: 'zak.knet.both', data: hex('00'), mac: hex('0000') }
      expect(await faultOf(hsm.verifyMac(request))).toEqual({ kind: 'refused', why: 'badRequest' })
    })

    test('data of 64 KiB is sealed, and more is refused', async () => {
      const key = 'zak.knet.both'
      expect(await hsm.generateMac({ key, data: Buffer.alloc(65_536) })).toHaveLength(8)
      const refused = { kind: 'refused', why: 'badRequest' }
      expect(await faultOf(hsm.generateMac({ key, data: Buffer.alloc(65_537) }))).toEqual(refused)
      expect(await faultOf(hsm.generateMac({ key, data: Buffer.alloc(1_000_000) }))).toEqual(refused)
      expect(hsm.status()).toMatchObject({ state: 'up', restarts: 0, pending: 0 })
    })

    test('a hundred calls at once are each given their own answer', async () => {
      const key = 'zak.knet.both'
      const data = Array.from({ length: 100 }, (_, index) => Buffer.from(`message ${index}`))
      const macs = await Promise.all(data.map((one) => hsm.generateMac({ key, data: one })))
      expect(new Set(macs.map(text)).size).toBe(100)
      const verified = await Promise.all(
        data.map((one, index) => hsm.verifyMac({ key, data: one, mac: macs[index]! })),
      )
      expect(verified).toEqual(data.map(() => true))
    })
  },
)
