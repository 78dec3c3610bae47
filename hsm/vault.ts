/**
 * The vault: a random token for each card number, and the number under keys that the HSM holds. It lives in the
 * HSM process, so that what sees a card number at rest and what can use the keys is one process.
 */
import type { DatabasePool } from '../kernel/database.ts'
import { openPool } from '../kernel/database.ts'
import { HsmError } from './fault.ts'
import { readKeyStates } from './inventory.ts'
import type { KeyStates } from './inventory.ts'
import type { KeyTable, LoadedKey } from './key-table.ts'
import { fingerprintKey, labelOf } from './key.ts'
import { Lru } from './lru.ts'
import { classOf } from './refusal.ts'
import { fingerprintOf, ownMemory, sealCard, unsealCard, wrappingKey } from './sealing.ts'
import { TokenError } from './token.ts'
import type { Token, TokenObject } from './token.ts'
import { ownBytes } from './memory.ts'

export interface Vault {
  /**
   * At once for a known card. Throws, or rejects with, `HsmError`: `unavailable` when the database is away and the card
   * is not among the known ones.
   */
  tokenise(pan: string, expiry?: string): string | Promise<string>
  /** Throws `HsmError`: `refused` (`unknownToken`), or `unavailable`: nothing is given out that cannot be logged. */
  detokenise(token: string): Promise<string>
  /** Known cards, so that they need no database. */
  warm(): Promise<void>
  /** The inventory's word on which key versions are used. Throws when the database is away. */
  keyStates(): Promise<KeyStates>
  /** For the inventory's sake. Throws `HsmError` `unavailable`. */
  ask<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]>
  close(): Promise<void>
}

export interface VaultOptions {
  readonly databaseUrl: string
  readonly token: Token
  readonly keys: () => KeyTable
  /** Who is asking, for the access log. */
  readonly actor: string
  /** Told of what should not be. */
  readonly alarm: (message: string) => void
  readonly knownMax?: number
  /** How long the database may take before the answer is `unavailable`. */
  readonly waitMs?: number
}

export function openVault(options: VaultOptions): Vault {
  return new DatabaseVault(options)
}

interface DataKey {
  readonly id: number
  readonly object: TokenObject
}

/** A card as it is known here. */
interface Known {
  readonly token: string
  expiry: string | null
}

interface Card {
  readonly pan: string
  readonly expiry: string | undefined
  /** The fingerprint's. */
  readonly key: LoadedKey
}

class DatabaseVault implements Vault {
  readonly #pool: DatabasePool
  readonly #token: Token
  readonly #keys: () => KeyTable
  readonly #actor: string
  readonly #alarm: (message: string) => void
  readonly #waitMs: number
  /** By fingerprint. No card number stays here. */
  readonly #known: Lru<string, Known>
  readonly #coming = new Map<string, Promise<Known>>()
  readonly #dataKeys = new Map<number, DataKey>()
  #active: DataKey | undefined

  constructor(options: VaultOptions) {
    this.#pool = openPool({
      databaseUrl: asVaultRole(options.databaseUrl),
      applicationName: 'mafraq-hsm',
      connectionsMax: 4,
      connectTimeoutMs: options.waitMs ?? 450,
    })
    this.#token = options.token
    this.#keys = options.keys
    this.#actor = options.actor
    this.#alarm = options.alarm
    this.#waitMs = options.waitMs ?? 450
    this.#known = new Lru(options.knownMax ?? 100_000)
  }

  tokenise(pan: string, expiry?: string): string | Promise<string> {
    const [key, ...previous] = this.#keys().accepted(fingerprintKey, ['M7'], ['C'])
    const fingerprint = fingerprintOf(this.#token, key!, pan)
    const name = fingerprint.toString('base64')
    const known = this.#known.get(name)
    if (known !== undefined) return this.#tokenOf(known, expiry)
    const older = previous.map((one) => fingerprintOf(this.#token, one, pan))
    const finding =
      this.#coming.get(name) ?? this.#findOnce(name, { pan, expiry, key: key! }, [fingerprint, ...older])
    return finding.then((found) => this.#tokenOf(found, expiry))
  }

  /** A card that was renewed keeps its number. Nobody waits for this to be written, and it is tried again if it fails. */
  #tokenOf(known: Known, expiry: string | undefined): string {
    if (expiry !== undefined && expiry > (known.expiry ?? '')) void this.#renew(known, expiry)
    return known.token
  }

  /** Who asks for the same card meanwhile waits for the same answer. */
  async #findOnce(name: string, card: Card, fingerprints: readonly Buffer[]): Promise<Known> {
    const finding = this.#inTime(this.#findOrAdd(card, fingerprints))
    this.#coming.set(name, finding)
    try {
      const found = await finding
      this.#known.set(name, found)
      return found
    } finally {
      this.#coming.delete(name)
    }
  }

  async detokenise(token: string): Promise<string> {
    const { rows } = await this.#inTime(
      this.#pool.query<{ sealed: Buffer; data_key: number }>(
        `WITH card AS (SELECT sealed, data_key FROM vault.card WHERE token = $1),
              logged AS (INSERT INTO vault.access (token, actor, found)
                         VALUES ($1, $2, EXISTS (SELECT FROM card)))
         SELECT sealed, data_key FROM card`,
        [token, this.#actor],
      ),
    )
    const row = rows[0]
    if (row === undefined) throw new HsmError({ kind: 'refused', why: 'unknownToken' })
    const { object } = await this.#inTime(this.#dataKey(row.data_key))
    const clear = this.#unseal(object, token, row.sealed)
    const pan = clear.toString('latin1')
    clear.fill(0)
    return pan
  }

  async warm(): Promise<void> {
    const key = this.#keys().active(fingerprintKey, ['M7'], ['C'])
    const { rows } = await this.#pool.query<{ fingerprint: Buffer } & Known>(
      `SELECT fingerprint, token, expiry FROM vault.card WHERE fingerprint_key = $1
        ORDER BY created_at DESC LIMIT $2`,
      [label(key), this.#known.max],
    )
    for (const { fingerprint, token, expiry } of rows.reverse()) {
      this.#known.set(fingerprint.toString('base64'), { token, expiry })
    }
    await this.#activeDataKey()
  }

  keyStates(): Promise<KeyStates> {
    return this.#inTime(readKeyStates(this.#pool))
  }

  async ask<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return (await this.#inTime(this.#pool.query(text, [...values]), this.#waitMs * keyLifePatience))
      .rows as Row[]
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #renew(known: Known, expiry: string): Promise<void> {
    const before = known.expiry
    known.expiry = expiry
    try {
      await this.#pool.query(
        'UPDATE vault.card SET expiry = $2 WHERE token = $1 AND (expiry IS NULL OR expiry < $2)',
        [known.token, expiry],
      )
    } catch {
      known.expiry = before
    }
  }

  async #findOrAdd(card: Card, fingerprints: readonly Buffer[]): Promise<Known> {
    const there = await this.#find(fingerprints)
    if (there !== undefined) return there
    const known = { token: this.#newToken(), expiry: card.expiry ?? null }
    if (await this.#add(card, { fingerprint: fingerprints[0]!, token: known.token })) return known
    // Another process added the same card a moment ago, and its token is the card's; or the data key was replaced.
    const theirs = await this.#find(fingerprints)
    if (theirs !== undefined) return theirs
    this.#active = undefined
    if (await this.#add(card, { fingerprint: fingerprints[0]!, token: known.token })) return known
    throw new HsmError({ kind: 'unavailable' })
  }

  /** The data key is held against a rewrap for as long as the row is written, so no row comes late under an old one. */
  async #add(
    { pan, expiry, key }: Card,
    { fingerprint, token }: { fingerprint: Buffer; token: string },
  ): Promise<boolean> {
    const dataKey = await this.#activeDataKey()
    const { rowCount } = await this.#pool.query(
      `WITH held AS (SELECT id FROM vault.data_key WHERE id = $5 AND state = 'active' FOR SHARE)
       INSERT INTO vault.card (token, fingerprint, fingerprint_key, sealed, data_key, mask, bin, expiry)
       SELECT $1, $2, $3, $4, held.id, $6, $7, $8 FROM held ON CONFLICT (fingerprint) DO NOTHING`,
      [
        ...[token, fingerprint, label(key), sealCard(this.#token, { object: dataKey.object, token, pan })],
        ...[dataKey.id, maskOf(pan), binOf(pan), expiry ?? null],
      ],
    )
    return rowCount === 1
  }

  async #find(fingerprints: readonly Buffer[]): Promise<Known | undefined> {
    const { rows } = await this.#pool.query<Known>(
      'SELECT token, expiry FROM vault.card WHERE fingerprint = ANY ($1::bytea[]) LIMIT 1',
      [fingerprints],
    )
    return rows[0]
  }

  #unseal(object: TokenObject, token: string, sealed: Buffer): Buffer {
    try {
      return unsealCard(this.#token, { object, token, sealed })
    } catch (error) {
      if (!(error instanceof TokenError) || classOf(error.code) !== 'data') throw error
      this.#alarm('a row of the vault was changed, or belongs to another token')
      throw new HsmError({ kind: 'refused', why: 'unknownToken' })
    }
  }

  #newToken(): string {
    const bytes = ownBytes(17)
    for (;;) {
      this.#token.random(bytes)
      const text = base32(bytes).slice(0, 26)
      // All digits would pass for a number somewhere; it happens once in 10^18.
      if (/[a-z]/.test(text)) return `tok_${text}`
    }
  }

  async #activeDataKey(): Promise<DataKey> {
    if (this.#active !== undefined) return this.#active
    const find = "SELECT id FROM vault.data_key WHERE state = 'active'"
    let { rows } = await this.#pool.query<{ id: number }>(find)
    if (rows.length === 0) {
      const kek = this.#keys().active(wrappingKey, ['K0'], ['B'])
      await this.#pool.query(
        "INSERT INTO vault.data_key (wrapped, kek, state) VALUES ($1, $2, 'active') ON CONFLICT DO NOTHING",
        [this.#token.newDataKey(kek.object), label(kek)],
      )
      rows = (await this.#pool.query<{ id: number }>(find)).rows
    }
    this.#active = await this.#dataKey(rows[0]!.id)
    return this.#active
  }

  async #dataKey(id: number): Promise<DataKey> {
    const held = this.#dataKeys.get(id)
    if (held !== undefined) return held
    const { rows } = await this.#pool.query<{ wrapped: Buffer; kek: string }>(
      'SELECT wrapped, kek FROM vault.data_key WHERE id = $1',
      [id],
    )
    const row = rows[0]
    const kek = row === undefined ? undefined : this.#keys().labelled(row.kek)
    if (row === undefined || kek === undefined) throw new HsmError({ kind: 'unavailable' })
    const dataKey = { id, object: this.#token.unwrapDataKey(kek.object, ownMemory(row.wrapped)) }
    this.#dataKeys.set(id, dataKey)
    return dataKey
  }

  /** The database's part, with a clock; its errors become `unavailable`. */
  async #inTime<Result>(work: Promise<Result>, waitMs = this.#waitMs): Promise<Result> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new HsmError({ kind: 'unavailable' })), waitMs)
    })
    try {
      return await Promise.race([work, late])
    } catch (error) {
      if (error instanceof HsmError || error instanceof TokenError) throw error
      throw new HsmError({ kind: 'unavailable' })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** No payment waits for the inventory. */
const keyLifePatience = 6

/** Whoever logs in works with the vault's own role, which reaches this schema and nothing else. */
function asVaultRole(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  url.searchParams.set('options', '-c role=mafraq_vault -c search_path=vault')
  return url.toString()
}

function label(key: LoadedKey): string {
  return labelOf(key.name.ref, key.name.version)
}

/** First six and last four, the most that may be shown (PCI DSS 3.4.1). */
function maskOf(pan: string): string {
  return pan.slice(0, 6) + '*'.repeat(pan.length - 10) + pan.slice(-4)
}

/** Beside the last four, eight digits may be shown of 16 or more, and six of fewer (PCI DSS, truncation of PANs). */
function binOf(pan: string): string {
  return pan.slice(0, pan.length < 16 ? 6 : 8)
}

/** RFC 4648 section 6, in lower case. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  let text = ''
  let value = 0
  let bits = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(value >> bits) & 31]!
    }
  }
  return text
}
