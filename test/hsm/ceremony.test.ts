import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  adoptKeys,
  checkInventory,
  generateKey,
  importBlock,
  importComponents,
  retireKey,
  rotateKey,
} from '../../hsm/ceremony.ts'
import type { Keeper } from '../../hsm/ceremony.ts'
import { sealKeyBlock } from '../../hsm/commands/tr31.ts'
import { listKeys } from '../../hsm/inventory.ts'
import { readActs } from '../../hsm/key-acts.ts'
import { KeyTable } from '../../hsm/key-table.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { openClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, testKeys, text, untilKey, world } from './world.ts'
import type { World } from './world.ts'

const people = { by: 'first keeper', witness: 'second keeper' }
// X9.143:2021 8.1: an AES PIN key, sealed under the published protection key.
const kbpk = '88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6'
const block =
  'D0144P0AE00E00002C77FA3F4A553BED6E88AE5C172A4166E3D4ACA8E2AC71C158A476FAC12C13C3829DE55D3AB54C48F4C4FEF7AC75E90FC47F1B77E7B19A73ED46E64410082557'

describe.skipIf(softhsmMissing() !== undefined)('the life of keys', () => {
  let rooms: World
  let keeper: Keeper
  beforeAll(async () => {
    rooms = await world([
      ...testKeys,
      { ref: 'kbpk.knet.both', algorithm: 'AES-256', value: kbpk },
      { ref: 'kbpk.old.both', algorithm: 'DES2', value: '0123456789ABCDEFFEDCBA9876543210' },
    ])
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

  const stateOf = async (ref: string): Promise<string[]> =>
    (await listKeys(keeper.database)).filter((key) => key.ref === ref).map((key) => key.state)

  test('keys that came without a ceremony are adopted, once, and then agree with the token', async () => {
    expect(await adoptKeys(keeper, people)).toBe(0)
    expect(await stateOf('zpk.knet.out')).toEqual(['active'])
    expect(await checkInventory(keeper)).toEqual([])
  })

  test('of two versions that were made and not used, a rotation takes the newer, and the older never comes into use', async () => {
    const ref = 'mac3.twice.both'
    const make = () => generateKey(keeper, { ref, algorithm: 'DES2', ...people })
    for (let version = 1; version <= 3; version++) await make()
    expect(await stateOf(ref)).toEqual(['active', 'pending', 'pending'])
    expect(await rotateKey(keeper, { ref, graceSeconds: 600, ...people })).toBe(3)
    expect(await stateOf(ref)).toEqual(['previous', 'retired', 'active'])
    await expect(rotateKey(keeper, { ref, graceSeconds: 600, ...people })).rejects.toThrow('wrongState')
  })

  test('a key is not sent, nor taken, under one that is weaker than itself', async () => {
    const asked = { ref: 'zpk.weak.out', kbpk: 'kbpk.old.both', ...people }
    for (const algorithm of ['AES-128', 'DES3'] as const) {
      await expect(generateKey(keeper, { ...asked, algorithm })).rejects.toThrow('weakProtection')
    }
    expect(await stateOf(asked.ref)).toEqual([])
    const { block: sent } = await generateKey(keeper, { ...asked, algorithm: 'DES2' })
    expect(sent).toMatch(/^B/)
    const context = {
      token: keeper.token,
      keys: new KeyTable(keeper.token.objects()),
      random: () => undefined,
    }
    const aes = {
      usage: 'P0',
      algorithm: 'AES-128',
      mode: 'D',
      keyVersion: '00',
      exportability: 'N',
    } as const
    const weak = sealKeyBlock(context, {
      ...aes,
      kbpk: asked.kbpk,
      key: hex('00112233445566778899AABBCCDDEEFF'),
    })
    const taken = importBlock(keeper, { ref: 'zpk.weak.in', kbpk: asked.kbpk, block: weak, ...people })
    await expect(taken).rejects.toThrow('weakProtection')
  })

  test('a key that was put in the place of another, under its name, is not taken for it', () => {
    const label = 'mac3.swapped.both.v001'
    const rights = { grants: ['encrypt'], mechanisms: ['des3-cbc'] } as const
    keeper.token.create({ ...rights, label, id: 'M3C:111111', kind: 'DES2', value: Buffer.alloc(16, 0x5a) })
    const [object] = keeper.token.objects().filter((one) => one.label === label)
    const name = JSON.stringify({ label, id: 'M3C:ABCDEF' })
    execFileSync(
      process.execPath,
      [
        ...['--input-type=module', '-e'],
        `import { openPkcs11Token } from ${JSON.stringify(join(import.meta.dirname, '../../hsm/pkcs11/token.ts'))}
         const token = await openPkcs11Token(${JSON.stringify(rooms.token)})
         token.destroy(${JSON.stringify(label)})
         token.create({ ...${name}, kind: 'DES2', value: Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex'), grants: ['encrypt'], mechanisms: ['des3-cbc'] })`,
      ],
      { env: { ...process.env, SOFTHSM2_CONF: rooms.token.softhsmConf } },
    )
    const enciphering = {
      object: object!,
      mechanism: 'des3-cbc',
      input: Buffer.alloc(8),
      output: Buffer.alloc(8),
    } as const
    expect(() => keeper.token.encrypt(enciphering)).toThrow('0x82')
    keeper.token.destroy(label)
  })

  test('every act is signed by a key of the token, and none is changed or taken away', async () => {
    const { token, database } = keeper
    const { acts, fault, last } = await readActs(token, database)
    expect(fault).toBeUndefined()
    expect(acts.length).toBeGreaterThan(5)
    expect(acts.map(({ number }) => number)).toEqual(acts.map((_, index) => index + 1))
    expect(acts[0]).toMatchObject({ act: 'adopt', ...people })
    expect(last).toMatch(new RegExp(`^${acts.length}:[0-9a-f]{64}$`))
    for (const statement of [
      `UPDATE vault.key_act SET record = replace(record, 'first', 'other')`,
      'DELETE FROM vault.key_act',
      'TRUNCATE vault.key_act',
    ]) {
      await expect(database.query(statement)).rejects.toThrow('what is written stays')
    }
  })

  test('acts that were changed, taken away, swapped, put between or cut off past the walls are found', async () => {
    const { token, database } = keeper
    const { last } = await readActs(token, database)
    const after = async (tampering: string): Promise<string | undefined> => {
      await database.query('BEGIN')
      try {
        await database.query('ALTER TABLE vault.key_act DISABLE TRIGGER ALL')
        await database.query(tampering)
        return (await readActs(token, database, last)).fault
      } finally {
        await database.query('ROLLBACK')
      }
    }
    const third = '(SELECT id FROM vault.key_act ORDER BY id OFFSET 2 LIMIT 1)'
    expect(
      await after(`UPDATE vault.key_act SET record = replace(record, 'first', 'other') WHERE id = ${third}`),
    ).toBe('act 3 is not as it was signed')
    expect(await after(`UPDATE vault.key_act SET record = 'nothing' WHERE id = ${third}`)).toBe(
      'act 3 is not as it was signed',
    )
    const broken = 'act 3 does not follow the one before it: something was taken away or put between'
    expect(await after(`DELETE FROM vault.key_act WHERE id = ${third}`)).toBe(broken)
    expect(
      await after(`UPDATE vault.key_act a SET record = b.record, signature = b.signature FROM vault.key_act b
        WHERE a.id = ${third} AND b.id = (SELECT id FROM vault.key_act ORDER BY id OFFSET 3 LIMIT 1)`),
    ).toBe(broken)
    expect(await after('DELETE FROM vault.key_act WHERE id = (SELECT max(id) FROM vault.key_act)')).toBe(
      `there is no act ${last}: the last ones were taken away, or all made anew`,
    )
    expect(await after('SELECT 1')).toBeUndefined()
  })

  test('a rotation during traffic fails no call, and ends with the new key', async () => {
    const hsm = await rooms.open()
    const key = 'zak.knet.both'
    const data = Buffer.from('0200')
    const old = await hsm.generateMac({ key, data })
    const results: boolean[] = []
    const stop = new AbortController()
    const traffic = (async () => {
      while (!stop.signal.aborted) {
        const mac = await hsm.generateMac({ key, data })
        await wait(5)
        results.push(await hsm.verifyMac({ key, data, mac }))
      }
    })()
    const { key: next } = await generateKey(keeper, { ref: key, algorithm: 'AES-128', ...people })
    expect(next.version).toBe(2)
    expect(await stateOf(key)).toEqual(['active', 'pending'])
    await rotateKey(keeper, { ref: key, graceSeconds: 600, ...people })
    await untilKey(hsm, `${key}.v002`, 'active')
    expect(text(await hsm.generateMac({ key, data }))).not.toBe(text(old))
    // A peer that is behind still seals with the old key, and is believed for as long as the grace lasts.
    expect(await hsm.verifyMac({ key, data, mac: old })).toBe(true)
    await keeper.database.query('UPDATE vault.key SET grace_until = now() WHERE ref = $1 AND version = 1', [
      key,
    ])
    await untilKey(hsm, `${key}.v001`, undefined)
    expect(await hsm.verifyMac({ key, data, mac: old })).toBe(false)
    while (results.length <= 20) await wait(20)
    stop.abort()
    await traffic
    expect(new Set(results)).toEqual(new Set([true]))
    await hsm.close()
  })

  test('a PIN under the previous key is opened during the grace for who names that version, and never by trial', async () => {
    const hsm = await rooms.open()
    const ref = 'tpk.acq1.in'
    await generateKey(keeper, { ref, algorithm: 'DES2', ...people })
    await rotateKey(keeper, { ref, graceSeconds: 600, ...people })
    await untilKey(hsm, `${ref}.v002`, 'active')
    const request = { to: 'zpk.knet.out', pinBlock: hex('230B4C43B8BA2C5C'), pan: '5555555551234567' }
    const previous = { ...request, from: `${ref}.v001` }
    expect(text(await hsm.translatePin(previous))).toBe('A5948F55D854BBA4')
    expect(await faultOf(hsm.translatePin({ ...request, from: ref }))).toEqual({ kind: 'pinBlock' })
    expect(await faultOf(hsm.translatePin({ ...request, from: `${ref}.v002` }))).toEqual({ kind: 'pinBlock' })
    const unknown = { kind: 'refused', why: 'unknownKey' }
    expect(await faultOf(hsm.translatePin({ ...request, from: `${ref}.v003` }))).toEqual(unknown)
    await retireKey(keeper, { ref, version: 1, destroy: true, ...people })
    await untilKey(hsm, `${ref}.v001`, undefined)
    expect(await faultOf(hsm.translatePin(previous))).toEqual(unknown)
    expect(await stateOf(ref)).toEqual(['destroyed', 'active'])
    await hsm.close()
  })

  test('nothing is sealed under a previous version, whoever names it', async () => {
    const hsm = await rooms.open()
    const ref = 'zpk.other.out'
    await generateKey(keeper, { ref, algorithm: 'DES2', ...people })
    await generateKey(keeper, { ref, algorithm: 'DES2', ...people })
    await rotateKey(keeper, { ref, graceSeconds: 600, ...people })
    await untilKey(hsm, `${ref}.v001`, 'previous')
    const pin = { from: 'tpk.acq1.in', pinBlock: hex('230B4C43B8BA2C5C'), pan: '5555555551234567' }
    const refused = { kind: 'refused', why: 'badRequest' }
    expect(await faultOf(hsm.translatePin({ ...pin, to: `${ref}.v001` }))).toEqual(refused)
    const data = hex('00')
    expect(await faultOf(hsm.generateMac({ key: 'zak.knet.both.v002', data }))).toEqual(refused)
    await hsm.close()
  })

  test('without the database a fresh process uses no key of which there are two', async () => {
    const ref = 'zak.two.both'
    await generateKey(keeper, { ref, algorithm: 'AES-128', ...people })
    await generateKey(keeper, { ref, algorithm: 'AES-128', ...people })
    const url = 'postgres://nobody@127.0.0.1:1/none'
    const apart = await rooms.open({ vaultDatabaseUrl: url })
    const data = Buffer.from('0200')
    expect(await faultOf(apart.generateMac({ key: ref, data }))).toEqual({ kind: 'unavailable' })
    expect(await apart.random(4)).toHaveLength(4)
    await apart.close()
    // With it, the pending version is on the token and is not used.
    const hsm = await rooms.open()
    const mac = await hsm.generateMac({ key: ref, data })
    await rotateKey(keeper, { ref, graceSeconds: 60, ...people })
    while (text(await hsm.generateMac({ key: ref, data })) === text(mac)) await wait(50)
    await hsm.close()
  })

  test('components make the key that their check values say', async () => {
    const components = [
      { value: hex('0123456789ABCDEFFEDCBA9876543210'), kcv: '08D7B4' },
      { value: hex('00112233445566778899AABBCCDDEEFF'), kcv: '' },
    ]
    const { kcvOf } = await import('../../hsm/kcv.ts')
    components[1]!.kcv = kcvOf('DES2', components[1]!.value)
    const whole = Buffer.alloc(16)
    for (let index = 0; index < 16; index++)
      whole[index] = components[0]!.value[index]! ^ components[1]!.value[index]!
    const kcv = kcvOf('DES2', whole)
    const request = { ref: 'zpk.peer.out', algorithm: 'DES2', ...people } as const
    const copies = () => components.map((one) => ({ ...one, value: Buffer.from(one.value) }))
    const wrong = importComponents(keeper, { ...request, components: copies(), kcv: '000000' })
    await expect(wrong).rejects.toMatchObject({ code: 'kcvDiffers' })
    const typo = copies()
    typo[0]!.value[3]! ^= 0x10
    await expect(importComponents(keeper, { ...request, components: typo, kcv })).rejects.toMatchObject({
      code: 'kcvDiffers',
    })
    const key = await importComponents(keeper, { ...request, components: copies(), kcv })
    expect(key).toMatchObject({ version: 1, usage: 'P0', mode: 'E', kcv })
  })

  test('a key block is imported for the use it names, and for no other', async () => {
    const request = { kbpk: 'kbpk.knet.both', block, ...people }
    const key = await importBlock(keeper, { ...request, ref: 'zpk.net4.out', kcv: '08793E' })
    expect(key).toMatchObject({ usage: 'P0', mode: 'E', algorithm: 'AES-128' })
    const refusals = [
      importBlock(keeper, { ...request, ref: 'zpk.net4.in' }),
      importBlock(keeper, { ...request, ref: 'zak.net4.both' }),
    ]
    for (const refusal of refusals) await expect(refusal).rejects.toMatchObject({ code: 'wrongUsage' })
    const tampered = importBlock(keeper, {
      ...request,
      block: block.replace('P0AE', 'P0AD'),
      ref: 'zpk.net5.in',
    })
    expect(await faultOf(tampered)).toEqual({ kind: 'refused', why: 'badRequest' })
    expect(
      await faultOf(importBlock(keeper, { ...request, block: 'D0144P0', ref: 'zpk.net5.in' })),
    ).toMatchObject({
      kind: 'refused',
    })
  })

  test('what is generated for a peer comes out as a key block that the peer can open', async () => {
    const made = await generateKey(keeper, {
      ...{ ref: 'zpk.peer2.out', algorithm: 'AES-128', kbpk: 'kbpk.knet.both', peer: 'peer2' },
      ...people,
    })
    expect(made.block).toMatch(/^D\d{4}P0AD/)
    const theirs = await importBlock(keeper, {
      ...{ ref: 'zpk.mirror.in', kbpk: 'kbpk.knet.both', block: made.block!, kcv: made.key.kcv },
      ...people,
    })
    expect(theirs.kcv).toBe(made.key.kcv)
  })

  test.each([
    ['one person twice', { by: 'first keeper', witness: ' First Keeper' }, 'samePerson'],
    ['a role there is not', { ref: 'xyz.knet.out' }, 'badReference'],
    ['a PIN key for both ways', { ref: 'zpk.knet.both' }, 'badReference'],
    ['an algorithm the role does not have', { algorithm: 'HMAC' }, 'badReference'],
  ] as const)('%s is refused', async (_, change, code) => {
    const request = { ref: 'zpk.knet.out', algorithm: 'DES2', ...people, ...change } as const
    await expect(generateKey(keeper, request)).rejects.toMatchObject({ code })
  })

  test.each([
    ['equal halves', '0123456789ABCDEF0123456789ABCDEF', '00'.repeat(16)],
    ['a weak half', '0101010101010101FEDCBA9876543210', '00'.repeat(16)],
  ])('a DES key with %s is refused', async (_, one, other) => {
    const { kcvOf } = await import('../../hsm/kcv.ts')
    const components = [one, other].map((value) => ({ value: hex(value), kcv: kcvOf('DES2', hex(value)) }))
    const kcv = kcvOf('DES2', hex(one))
    const request = { ref: 'zpk.weak.out', algorithm: 'DES2', components, kcv, ...people } as const
    await expect(importComponents(keeper, request)).rejects.toMatchObject({ code: 'weakKey' })
  })

  test('an active key cannot be retired, nor one that is not there', async () => {
    const active = retireKey(keeper, { ref: 'zpk.knet.out', version: 1, destroy: true, ...people })
    await expect(active).rejects.toMatchObject({ code: 'wrongState' })
    const missing = retireKey(keeper, { ref: 'zpk.knet.out', version: 9, destroy: true, ...people })
    await expect(missing).rejects.toMatchObject({ code: 'noSuchKey' })
    await expect(
      rotateKey(keeper, { ref: 'zpk.knet.out', graceSeconds: 1, ...people }),
    ).rejects.toMatchObject({
      code: 'wrongState',
    })
  })

  test('the check finds an unknown object, an extractable key and a missing one', async () => {
    const { token, database } = keeper
    const value = hex('00112233445566778899AABBCCDDEEFF')
    const rights = { kind: 'AES', value, grants: ['encrypt'], mechanisms: ['aes-ecb'] } as const
    token.create({ ...rights, label: 'stray', id: 'stray' })
    token.create({ ...rights, label: 'zpk.stray.out.v001', id: 'P0E:000000', extractable: true })
    await database.query("UPDATE vault.key SET version = 77 WHERE ref = 'zpk.mirror.in'")
    const found = await checkInventory(keeper)
    expect(found).toContain('stray: an object of nobody’s')
    expect(found).toContain('zpk.stray.out.v001: not in the inventory')
    expect(found).toContain('zpk.stray.out.v001: extractable')
    expect(found).toContain('zpk.mirror.in.v077: missing from the token')
    token.destroy('stray')
    const twice = {
      label: 'zpk.stray.out.v001',
      id: 'P0E:222222',
      kind: 'DES2',
      value: Buffer.alloc(16, 0x5a),
    } as const
    for (let time = 0; time < 2; time++)
      token.create({ ...twice, grants: ['encrypt'], mechanisms: ['des3-cbc'] })
    expect(await checkInventory(keeper)).toContain('zpk.stray.out.v001: twice on the token')
    token.destroy('zpk.stray.out.v001')
    await database.query("UPDATE vault.key SET version = 1 WHERE ref = 'zpk.mirror.in'")
    expect(await checkInventory(keeper)).toEqual([])
  })
})
