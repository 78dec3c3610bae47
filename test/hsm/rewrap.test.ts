import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adoptKeys, generateKey, retireKey, rotateKey } from '../../hsm/ceremony.ts'
import type { Keeper } from '../../hsm/ceremony.ts'
import type { Hsm } from '../../hsm/hsm.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { cardsUnderOldKeys, rewrapVault, vaultRows } from '../../hsm/rewrap.ts'
import { openClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, untilKey, world } from './world.ts'
import type { World } from './world.ts'

const people = { by: 'first keeper', witness: 'second keeper' }
const panOf = (index: number): string => `411111${index.toString().padStart(9, '0')}1`

describe.skipIf(softhsmMissing() !== undefined)('rewrapping the vault', () => {
  let rooms: World
  let keeper: Keeper
  let hsm: Hsm
  beforeAll(async () => {
    rooms = await world()
    hsm = await rooms.open({ deadlineMs: 10_000 })
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

  const recorded = async (): Promise<{ actor: string; event: string }[]> =>
    (
      await keeper.database.query<{ actor: string; event: string; kek: string; key: string }>(
        'SELECT actor, event, kek, fingerprint_key AS key FROM vault.rewrap ORDER BY id',
      )
    ).rows

  test('with all its keys rotated during traffic, no call fails, no row is left behind and no token changes', async () => {
    const first = await Promise.all(Array.from({ length: 200 }, (_, index) => hsm.tokenise(panOf(index))))
    for (const [ref, algorithm] of [
      ['kek.vault.both', 'AES-256'],
      ['fpk.vault.both', 'HMAC'],
    ] as const) {
      await generateKey(keeper, { ref, algorithm, ...people })
      await rotateKey(keeper, { ref, graceSeconds: 0, ...people })
      const early = retireKey(keeper, { ref, version: 1, destroy: true, ...people })
      await expect(early).rejects.toMatchObject({ code: 'stillNeeded' })
    }
    expect((await cardsUnderOldKeys(keeper.database)).get('kek.vault.both.v001')).toBe(200)
    const stop = new AbortController()
    const wrong: unknown[] = []
    let calls = 0
    const traffic = (async () => {
      for (let index = 0; !stop.signal.aborted; index++) {
        const known = index % 200
        const [token, pan] = await Promise.all([hsm.tokenise(panOf(known)), hsm.detokenise(first[known]!)])
        if (token !== first[known] || pan !== panOf(known)) wrong.push(known)
        await hsm.tokenise(panOf(1_000 + index))
        calls += 3
        await wait(10)
      }
    })().catch((error: unknown) => wrong.push(error))
    // The process that runs follows the rotation by itself.
    await untilKey(hsm, 'kek.vault.both.v002', 'active')
    const progress: number[] = []
    await rewrapVault({
      ...keeper,
      actor: 'first keeper',
      batch: 20,
      progress: ({ left }) => progress.push(left),
    })
    while (calls <= 100) await wait(20)
    stop.abort()
    await traffic
    expect(wrong).toEqual([])
    expect(progress.length).toBeGreaterThan(5)
    // What the running process added meanwhile is under the new keys as well.
    const rows = await vaultRows(keeper.database)
    expect(rows.map(({ state }) => state)).toEqual(['retired', 'active'])
    expect(rows[0]!.cards).toBe(0n)
    expect(await cardsUnderOldKeys(keeper.database)).toEqual(new Map())
    expect(await recorded()).toEqual([
      { actor: 'first keeper', event: 'begun', kek: 'kek.vault.both.v002', key: 'fpk.vault.both.v002' },
      { actor: 'first keeper', event: 'ended', kek: 'kek.vault.both.v002', key: 'fpk.vault.both.v002' },
    ])
    await retireKey(keeper, { ref: 'kek.vault.both', version: 1, destroy: true, ...people })
    const fresh = await rooms.open({ deadlineMs: 10_000 })
    await untilKey(fresh, 'fpk.vault.both.v002', 'active')
    expect(await fresh.tokenise(panOf(7))).toBe(first[7])
    expect(await fresh.detokenise(first[8]!)).toBe(panOf(8))
    await fresh.close()
  })

  test('one that was stopped is finished under the data key that it made', async () => {
    const stopped = rewrapVault({
      ...keeper,
      actor: 'first keeper',
      batch: 50,
      progress: () => {
        throw new Error('stopped')
      },
    })
    await expect(stopped).rejects.toThrow('stopped')
    const before = await vaultRows(keeper.database)
    expect(before.filter(({ cards }) => cards > 0n)).toHaveLength(2)
    await rewrapVault({ ...keeper, actor: 'second keeper', resume: true })
    const after = await vaultRows(keeper.database)
    expect(after).toHaveLength(before.length)
    expect(after.filter(({ cards }) => cards > 0n).map(({ state }) => state)).toEqual(['active'])
    expect((await recorded()).slice(-4).map(({ actor, event }) => `${event} by ${actor}`)).toEqual([
      ...['begun by first keeper', 'stopped by first keeper'],
      ...['resumed by second keeper', 'ended by second keeper'],
    ])
  })

  test('the fingerprint key of the vault is no MAC key', async () => {
    const refused = { kind: 'refused', why: 'wrongUsage' }
    const data = Buffer.from(panOf(1))
    expect(await faultOf(hsm.generateMac({ key: 'fpk.vault.both', data }))).toEqual(refused)
  })
})
