/**
 * New keys for the vault's rows, while the vault is in use: a new data key under the active wrapping key, and every
 * row sealed again under it, with the active fingerprint key. It may be stopped and started again at any row.
 */
import type { DatabaseClient } from '../kernel/database.ts'
import { KeyTable } from './key-table.ts'
import type { LoadedKey } from './key-table.ts'
import { fingerprintKey, labelOf } from './key.ts'
import { fingerprintOf, ownMemory, sealCard, unsealCard, wrappingKey } from './sealing.ts'
import { readKeyStates } from './inventory.ts'
import type { Token, TokenObject } from './token.ts'

export interface RewrapProgress {
  readonly done: number
  /** Rows that are still under other keys. */
  readonly left: number
}

export interface Rewrap {
  readonly token: Token
  readonly database: DatabaseClient
  /** Rows for each transaction. */
  readonly batch?: number
  /** Finishes one that was stopped, under the data key that it made. */
  readonly resume?: boolean
  readonly progress?: (progress: RewrapProgress) => void
  /** Who does it, for the record in `vault.rewrap`. */
  readonly actor: string
}

/** Resolves when no row is left under another key. Throws `DatabaseError`s as they come: then call it again. */
export async function rewrapVault({
  token,
  database,
  batch = 200,
  resume,
  progress,
  actor,
}: Rewrap): Promise<number> {
  const states = await readKeyStates(database)
  const keys = new KeyTable(token.objects(), (key) => states.of(key))
  const vault: Vault = { token, database, keys, objects: new Map() }
  const dataKey = resume === true ? await activeDataKey(database) : await replaceDataKey(vault)
  const fingerprints = keys.active(fingerprintKey, ['M7'], ['C'])
  const record = recorder(vault, { actor, dataKey, fingerprints })
  let [done, left] = [0, await countLeft(database, dataKey, fingerprints)]
  await record(resume === true ? 'resumed' : 'begun', { done, left })
  try {
    do {
      done += await moveBatch(vault, { dataKey, fingerprints, batch })
      left = await countLeft(database, dataKey, fingerprints)
      progress?.({ done, left })
    } while (left > 0)
  } catch (error) {
    // The record is a courtesy here: what broke may have been the database.
    await record('stopped', { done, left }).catch(() => undefined)
    throw error
  }
  await inTransaction(database, async () => {
    await database.query(
      "UPDATE vault.data_key SET state = 'retired' WHERE id <> $1 AND state = 'previous'",
      [dataKey],
    )
    await record('ended', { done, left })
  })
  return done
}

type RewrapEvent = 'begun' | 'resumed' | 'ended' | 'stopped'

function recorder(
  { database }: Vault,
  { actor, dataKey, fingerprints }: { actor: string; dataKey: number; fingerprints: LoadedKey },
): (event: RewrapEvent, progress: RewrapProgress) => Promise<void> {
  return async (event, { done, left }) => {
    await database.query(
      `INSERT INTO vault.rewrap (actor, event, data_key, kek, fingerprint_key, cards_done, cards_left)
       SELECT $1, $2, id, kek, $4, $5, $6 FROM vault.data_key WHERE id = $3`,
      [actor, event, dataKey, label(fingerprints), done, left],
    )
  }
}

/** How many cards are under keys that are not the active ones: zero after a rewrap. By the key's label. */
export async function cardsUnderOldKeys(database: DatabaseClient): Promise<ReadonlyMap<string, number>> {
  const { rows } = await database.query<{ label: string; cards: bigint }>(
    `SELECT used.label, count(*) AS cards
       FROM (SELECT fingerprint_key AS label FROM vault.card
             UNION ALL
             SELECT data_key.kek FROM vault.card JOIN vault.data_key ON data_key.id = card.data_key) AS used
       JOIN vault.key ON used.label = key.ref || '.v' || lpad(key.version::text, 3, '0') AND key.state <> 'active'
      GROUP BY used.label ORDER BY used.label`,
  )
  return new Map(rows.map(({ label: old, cards }) => [old, Number(cards)]))
}

/** How many rows are under each data key and fingerprint key. */
export async function vaultRows(database: DatabaseClient): Promise<readonly VaultRows[]> {
  const { rows } = await database.query<VaultRows>(
    `SELECT data_key.id AS "dataKey", data_key.state, data_key.kek, count(card.token) AS cards
       FROM vault.data_key LEFT JOIN vault.card ON card.data_key = data_key.id
      GROUP BY data_key.id ORDER BY data_key.id`,
  )
  return rows
}

export interface VaultRows {
  readonly dataKey: number
  readonly state: 'active' | 'previous' | 'retired'
  readonly kek: string
  readonly cards: bigint
}

interface Vault {
  readonly token: Token
  readonly database: DatabaseClient
  readonly keys: KeyTable
  readonly objects: Map<number, TokenObject>
}

async function replaceDataKey({ token, database, keys }: Vault): Promise<number> {
  const kek = keys.active(wrappingKey, ['K0'], ['B'])
  return inTransaction(database, async () => {
    await database.query("UPDATE vault.data_key SET state = 'previous' WHERE state = 'active'")
    const { rows } = await database.query<{ id: number }>(
      "INSERT INTO vault.data_key (wrapped, kek, state) VALUES ($1, $2, 'active') RETURNING id",
      [token.newDataKey(kek.object), label(kek)],
    )
    return rows[0]!.id
  })
}

async function activeDataKey(database: DatabaseClient): Promise<number> {
  const { rows } = await database.query<{ id: number }>(
    "SELECT id FROM vault.data_key WHERE state = 'active'",
  )
  return rows[0]!.id
}

interface Move {
  readonly dataKey: number
  readonly fingerprints: LoadedKey
  readonly batch: number
}

/** One transaction's rows. Readers see a row before or after, and both open. */
async function moveBatch(vault: Vault, { dataKey, fingerprints, batch }: Move): Promise<number> {
  const { token, database } = vault
  return inTransaction(database, async () => {
    const { rows } = await database.query<{ token: string; sealed: Buffer; data_key: number }>(
      `SELECT token, sealed, data_key FROM vault.card
        WHERE data_key <> $1 OR fingerprint_key <> $2 LIMIT $3 FOR UPDATE SKIP LOCKED`,
      [dataKey, label(fingerprints), batch],
    )
    const target = await dataKeyObject(vault, dataKey)
    for (const row of rows) {
      const object = await dataKeyObject(vault, row.data_key)
      const clear = unsealCard(token, { object, token: row.token, sealed: row.sealed })
      const pan = clear.toString('latin1')
      clear.fill(0)
      // Where two processes met a new card in the moment of a key's change it has two tokens: both open for ever, and it is
      // found by the one that is moved first.
      await database.query(
        `UPDATE vault.card SET sealed = $2, data_key = $3, fingerprint_key = $5,
                fingerprint = CASE WHEN EXISTS (SELECT FROM vault.card WHERE fingerprint = $4 AND token <> $1)
                                   THEN $6::bytea ELSE $4 END
          WHERE token = $1`,
        [
          ...[row.token, sealCard(token, { object: target, token: row.token, pan }), dataKey],
          ...[fingerprintOf(token, fingerprints, pan), label(fingerprints)],
          fingerprintOf(token, fingerprints, `${pan} ${row.token}`),
        ],
      )
    }
    return rows.length
  })
}

async function dataKeyObject({ token, database, keys, objects }: Vault, id: number): Promise<TokenObject> {
  const held = objects.get(id)
  if (held !== undefined) return held
  const { rows } = await database.query<{ wrapped: Buffer; kek: string }>(
    'SELECT wrapped, kek FROM vault.data_key WHERE id = $1',
    [id],
  )
  const kek = keys.labelled(rows[0]!.kek)
  if (kek === undefined) throw new Error(`the wrapping key ${rows[0]!.kek} is not on the token`)
  const object = token.unwrapDataKey(kek.object, ownMemory(rows[0]!.wrapped))
  objects.set(id, object)
  return object
}

async function countLeft(
  database: DatabaseClient,
  dataKey: number,
  fingerprints: LoadedKey,
): Promise<number> {
  const { rows } = await database.query<{ left: bigint }>(
    'SELECT count(*) AS left FROM vault.card WHERE data_key <> $1 OR fingerprint_key <> $2',
    [dataKey, label(fingerprints)],
  )
  return Number(rows[0]!.left)
}

async function inTransaction<Result>(database: DatabaseClient, work: () => Promise<Result>): Promise<Result> {
  await database.query('BEGIN')
  try {
    const result = await work()
    await database.query('COMMIT')
    return result
  } catch (error) {
    await database.query('ROLLBACK')
    throw error
  }
}

function label({ name }: LoadedKey): string {
  return labelOf(name.ref, name.version)
}
