import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, world } from './world.ts'
import type { World } from './world.ts'

const key = 'tak.acq1.both'
const data = Buffer.from('a message that carries a card number')
const pan = '4111111111111111'

describe.skipIf(softhsmMissing() !== undefined).each(['pkcs11', 'twin'] as const)(
  'a seal and a card number in one call, through the %s driver',
  (driver) => {
    let rooms: World
    let hsm: Hsm
    let database: DatabaseClient
    let mac: Uint8Array
    beforeAll(async () => {
      rooms = await world()
      hsm = await rooms.open({ driver })
      database = await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' })
      mac = await hsm.generateMac({ key, data })
    })
    afterAll(async () => {
      await database.end()
      await rooms[Symbol.asyncDispose]()
    })

    const cards = async (): Promise<unknown[]> =>
      (await database.query<{ token: string }>('SELECT token, expiry FROM vault.card')).rows

    test('a wrong seal puts nothing into the vault', async () => {
      const wrong = { key, data, mac: hex('0011223344556677'), pan }
      expect(await hsm.verifyThenTokenise(wrong)).toEqual({ verified: false })
      expect(await cards()).toEqual([])
    })

    test('a right one gives the token that tokenise gives, and keeps when the card expires', async () => {
      const answer = await hsm.verifyThenTokenise({ key, data, mac, pan, expiry: '2911' })
      expect(answer).toEqual({ verified: true, token: await hsm.tokenise(pan) })
      expect(await cards()).toEqual([{ token: answer.verified && answer.token, expiry: '2911' }])
    })

    test('a later expiry replaces the one before, an earlier one does not', async () => {
      const token = await hsm.tokenise(pan, '2806')
      await hsm.tokenise(pan, '3112')
      while (JSON.stringify(await cards()).includes('2911')) await hsm.tokenise(pan, '3005')
      expect(await cards()).toEqual([{ token, expiry: '3112' }])
    })

    test('what is wrong with the key is refused as it is by verifyMac', async () => {
      const request = { key, data, mac, pan }
      const why = async (change: object): Promise<unknown> =>
        faultOf(hsm.verifyThenTokenise({ ...request, ...change }))
      expect(await why({ key: 'tak.acq9.both' })).toEqual({ kind: 'refused', why: 'unknownKey' })
      expect(await why({ key: 'tpk.acq1.in' })).toEqual({ kind: 'refused', why: 'wrongUsage' })
      expect(await why({ mac: hex('00') })).toEqual({ kind: 'refused', why: 'badRequest' })
    })

    test('what is wrong with the card number leaves the verdict about the seal', async () => {
      const fault = { kind: 'refused', why: 'badRequest' }
      for (const change of [{ pan: '4111 1111' }, { pan, expiry: '2913' }]) {
        expect(await hsm.verifyThenTokenise({ key, data, mac, ...change })).toEqual({ verified: true, fault })
      }
    })

    test('while the vault’s database is away the verdict stands, and a new card has no token', async () => {
      await database.query('ALTER TABLE vault.card RENAME TO card_away')
      try {
        expect(await hsm.verifyThenTokenise({ key, data, mac, pan: '5555555555554444' })).toEqual({
          verified: true,
          fault: { kind: 'unavailable' },
        })
        expect(await hsm.verifyThenTokenise({ key, data, mac, pan })).toMatchObject({ verified: true })
      } finally {
        await database.query('ALTER TABLE vault.card_away RENAME TO card')
      }
    })
  },
)
