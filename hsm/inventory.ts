/** The inventory of keys in the database: states for the HSM process, and the acts of those who keep the keys. */
import type { DatabaseClient, DatabasePool } from '../kernel/database.ts'
import type { KeyState } from './key-table.ts'
import type { KeyName } from './key.ts'
import { labelOf } from './key.ts'

export interface InventoryRow extends KeyName {
  readonly state: KeyState
  readonly exportability: 'E' | 'N' | 'S'
  readonly peer: string | null
  readonly madeBy: string
  readonly witnessedBy: string
  readonly createdAt: Date
  readonly graceUntil: Date | null
}

/** What decides which version of a key is used: a reference without rows has its newest version active. */
export class KeyStates {
  readonly #states = new Map<string, KeyState>()
  readonly #listed = new Set<string>()
  /** Differs when any state does. */
  readonly digest: string

  constructor(rows: readonly { ref: string; version: number; state: KeyState }[]) {
    for (const { ref, version, state } of rows) {
      this.#states.set(labelOf(ref, version), state)
      this.#listed.add(ref)
    }
    this.digest = [...this.#states].map(([label, state]) => `${label} ${state}`).join('\n')
  }

  of({ ref, version }: KeyName): KeyState {
    if (!this.#listed.has(ref)) return 'active'
    // A version that the inventory does not know is not used, whoever put it on the token.
    return this.#states.get(labelOf(ref, version)) ?? 'retired'
  }
}

/**
 * The states as of now: a previous version whose grace is over is retired. The vault's own keys are needed until its
 * rows are rewrapped, however long that takes. Throws what the driver throws.
 */
export async function readKeyStates(database: DatabasePool | DatabaseClient): Promise<KeyStates> {
  const { rows } = await database.query<{ ref: string; version: number; state: KeyState }>(
    `SELECT ref, version,
            CASE WHEN state = 'previous' AND grace_until < now() AND ref NOT LIKE '%.vault.both'
                 THEN 'retired' ELSE state END AS state
       FROM vault.key ORDER BY ref, version`,
  )
  return new KeyStates(rows)
}

export async function listKeys(database: DatabaseClient): Promise<InventoryRow[]> {
  const { rows } = await database.query<InventoryRow>(
    `SELECT ref, version, usage, mode, algorithm, kcv, state, exportability, peer, made_by AS "madeBy",
            witnessed_by AS "witnessedBy", created_at AS "createdAt", grace_until AS "graceUntil"
       FROM vault.key ORDER BY ref, version`,
  )
  return rows
}
