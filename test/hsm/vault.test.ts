import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { KeyTable } from '../../hsm/key-table.ts'
import type { KeyState } from '../../hsm/key-table.ts'
import type { KeyName } from '../../hsm/key.ts'
import { clearKey } from '../../hsm/keys.ts'
import { objectsOf } from '../../hsm/objects.ts'
import { rewrapVault } from '../../hsm/rewrap.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { openVault } from '../../hsm/vault.ts'
import type { Vault } from '../../hsm/vault.ts'
import { migrate, openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { openTestDatabase } from '../support/postgres.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, world } from './world.ts'
import type { World } from './world.ts'

const visa = '4111111111111111'

/** The vault's tables in a database of their own. */
async function freshVault(): Promise<AsyncDisposable & { readonly url: string }> {
  const database = await openTestDatabase()
  const folder = join(import.meta.dirname, '../../hsm/migrations')
  await migrate({ databaseUrl: database.url, schema: 'vault', folder })
  return { url: database.url, [Symbol.asyncDispose]: () => database.close() }
}

describe.skipIf(softhsmMissing() !== undefined)('the vault', () => {
  let rooms: World
  let hsm: Hsm
  let database: DatabaseClient
  beforeAll(async () => {
    rooms = await world()
    hsm = await rooms.open()
    database = await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' })
  })
  afterAll(async () => {
    await database.end()
    await rooms[Symbol.asyncDispose]()
  })

  test('a card has one token, which says nothing of it, and comes back from it', async () => {
    const token = await hsm.tokenise(visa)
    expect(token).toMatch(/^tok_[a-z2-7]{26}$/)
    expect(token).not.toMatch(/^tok_[0-9]+$/)
    expect(await hsm.tokenise(visa)).toBe(token)
    expect(await hsm.tokenise('5555555555554444')).not.toBe(token)
    expect(await hsm.detokenise(token)).toBe(visa)
  })

  test('two processes that meet a new card at one moment give it one token', async () => {
    const other = await rooms.open()
    const pans = Array.from({ length: 20 }, (_, index) => `400000000000${(1000 + index).toString()}`)
    const tokens = await Promise.all(
      pans.map((pan) => Promise.all([hsm, other, hsm, other].map((one) => one.tokenise(pan)))),
    )
    for (const four of tokens) expect(new Set(four).size).toBe(1)
    expect(new Set(tokens.flat()).size).toBe(20)
    await other.close()
  })

  test('a card that is new while the fingerprint key changes has one token, whoever hears of the change first', async () => {
    const key = (version: number) =>
      clearKey({ ref: 'fpk.vault.both', version, algorithm: 'HMAC', value: Buffer.alloc(32, version) })
    const kek = clearKey({
      ref: 'kek.vault.both',
      version: 1,
      algorithm: 'AES-256',
      value: Buffer.alloc(32, 7),
    })
    const token = openTwin([key(1), key(2), kek].flatMap(objectsOf))
    const vaultOf = (first: KeyState, second: KeyState): Vault => {
      const stateOf = ({ ref, version }: KeyName) =>
        ref === kek.ref ? 'active' : version === 1 ? first : second
      const keys = new KeyTable(token.objects(), stateOf)
      return openVault({
        token,
        keys: () => keys,
        databaseUrl: fresh.url,
        actor: 'test',
        alarm: () => undefined,
        waitMs: 5_000,
      })
    }
    await using fresh = await freshVault()
    const [early, late] = [vaultOf('previous', 'active'), vaultOf('active', 'pending')]
    const [one, other] = ['4000000000002503', '4000000000002511']
    expect(await late.tokenise(one)).toBe(await early.tokenise(one))
    const first = await early.tokenise(other)
    expect(await late.tokenise(other)).toBe(first)
    // One that is further behind than that makes a second token, which stops no rewrap and opens after it.
    const behind = vaultOf('active', 'retired')
    const both = [first, await behind.tokenise(other)]
    expect(new Set(both).size).toBe(2)
    const client = await openClient({ databaseUrl: fresh.url, applicationName: 'test' })
    try {
      expect(await rewrapVault({ token, database: client, actor: 'test' })).toBe(3)
    } finally {
      await client.end()
    }
    for (const name of both) expect(await early.detokenise(name)).toBe(other)
    const after = vaultOf('previous', 'active')
    expect(both).toContain(await after.tokenise(other))
    await Promise.all([early, late, behind, after].map((vault) => vault.close()))
    token.close()
  })

  test('the tables hold no card number, only its first six and last four', async () => {
    const pan = '4012888888881881'
    const token = await hsm.tokenise(pan)
    const { rows } = await database.query<{ card: string; mask: string }>(
      'SELECT card::text, mask FROM vault.card AS card WHERE token = $1',
      [token],
    )
    expect(rows[0]!.mask).toBe('401288******1881')
    expect(rows[0]!.card).not.toContain(pan)
    expect(rows[0]!.card).not.toContain(Buffer.from(pan).toString('hex'))
  })

  test('every look-up is in the access log, found or not', async () => {
    const token = await hsm.tokenise('378282246310005')
    await hsm.detokenise(token)
    const unknown = `tok_${'a'.repeat(26)}`
    expect(await faultOf(hsm.detokenise(unknown))).toEqual({ kind: 'refused', why: 'unknownToken' })
    const { rows } = await database.query('SELECT actor, found FROM vault.access WHERE token = ANY ($1)', [
      [token, unknown],
    ])
    expect(rows).toEqual([
      { actor: 'switch', found: true },
      { actor: 'switch', found: false },
    ])
  })

  test.each(['1234', 'not a number', '', '4111 1111 1111 1111', '4'.repeat(20)])(
    '%j is not a card number',
    async (pan) => {
      expect(await faultOf(hsm.tokenise(pan))).toEqual({ kind: 'refused', why: 'badRequest' })
    },
  )

  test.each(['4111111111111111', 'tok_1', `tok_${'A'.repeat(26)}`])('%j is not a token', async (token) => {
    expect(await faultOf(hsm.detokenise(token))).toEqual({ kind: 'refused', why: 'badRequest' })
  })

  test('a ciphertext moved to another card’s row does not open', async () => {
    const [one, other] = [await hsm.tokenise('6011111111111117'), await hsm.tokenise('3530111333300000')]
    await database.query(
      'UPDATE vault.card SET sealed = (SELECT sealed FROM vault.card WHERE token = $1) WHERE token = $2',
      [one, other],
    )
    expect(await faultOf(hsm.detokenise(other))).toEqual({ kind: 'refused', why: 'unknownToken' })
    expect(await hsm.detokenise(one)).toBe('6011111111111117')
    expect(rooms.log.join('\n')).toContain('a row of the vault was changed')
    expect(hsm.status().restarts).toBe(0)
  })

  test('the vault’s role reaches its own tables and no others', async () => {
    await database.query('CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.secret (x int)')
    await database.query('SET ROLE mafraq_vault')
    await expect(database.query('SELECT * FROM elsewhere.secret')).rejects.toThrow('permission denied')
    await expect(database.query('DELETE FROM vault.access')).rejects.toThrow('permission denied')
    await expect(database.query('DELETE FROM vault.card')).rejects.toThrow('permission denied')
    await database.query('RESET ROLE')
  })

  test('while the database is away, known cards are served and others are unavailable', async () => {
    const known = await hsm.tokenise(visa)
    await database.query('ALTER TABLE vault.card RENAME TO card_away')
    try {
      expect(await hsm.tokenise(visa)).toBe(known)
      expect(await faultOf(hsm.tokenise('5105105105105100'))).toEqual({ kind: 'unavailable' })
      expect(await faultOf(hsm.detokenise(known))).toEqual({ kind: 'unavailable' })
    } finally {
      await database.query('ALTER TABLE vault.card_away RENAME TO card')
    }
    expect(await hsm.tokenise('5105105105105100')).toMatch(/^tok_/)
  })

  test('a database that does not answer makes new cards unavailable, and delays nobody else', async () => {
    const known = await hsm.tokenise(visa)
    await database.query('BEGIN; LOCK TABLE vault.card IN ACCESS EXCLUSIVE MODE')
    try {
      const stuck = faultOf(hsm.tokenise('30569309025904'))
      expect(await hsm.tokenise(visa)).toBe(known)
      expect(await stuck).toEqual({ kind: 'unavailable' })
    } finally {
      await database.query('ROLLBACK')
    }
  })

  test('a process that starts knows the cards of before without asking again', async () => {
    const known = await hsm.tokenise(visa)
    const fresh = await rooms.open()
    // The newest cards are fetched beside the start; a first call waits for nothing else.
    expect(await fresh.tokenise(visa)).toBe(known)
    await database.query('ALTER TABLE vault.card RENAME TO card_away')
    try {
      expect(await fresh.tokenise(visa)).toBe(known)
    } finally {
      await database.query('ALTER TABLE vault.card_away RENAME TO card')
    }
    await fresh.close()
  })
})
