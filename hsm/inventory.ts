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

interface StateRow {
  readonly ref: string
  readonly version: number
  readonly kcv: string
  readonly state: KeyState
  readonly activeFrom: number | null
}

/** What decides which version of a key is used: a reference without rows has its newest version active. */
export class KeyStates {
  readonly #rows = new Map<string, StateRow>()
  readonly #listed = new Set<string>()
  /** Differs when any state does. */
  readonly digest: string

  constructor(rows: readonly StateRow[]) {
    for (const row of rows) {
      this.#rows.set(labelOf(row.ref, row.version), row)
      this.#listed.add(row.ref)
    }
    this.digest = [...this.#rows].map(([label, { state, kcv }]) => `${label} ${state} ${kcv}`).join('\n')
  }

  of({ ref, version, kcv }: KeyName): KeyState {
    if (!this.#listed.has(ref)) return 'active'
    const row = this.#rows.get(labelOf(ref, version))
    // A version that the inventory does not know, or knows as another key, is not used, whoever put it on the token.
    return row?.kcv === kcv ? row.state : 'retired'
  }

  lists(ref: string): boolean {
    return this.#listed.has(ref)
  }

  /** Seconds since the epoch; undefined where nobody wrote it down. */
  activeFrom({ ref, version }: KeyName): number | undefined {
    return this.#rows.get(labelOf(ref, version))?.activeFrom ?? undefined
  }
}

/**
 * The states as of now: a previous version whose grace is over is retired. The vault's own keys are needed until its
 * rows are rewrapped, however long that takes. Throws what the driver throws.
 */
export async function readKeyStates(database: DatabasePool | DatabaseClient): Promise<KeyStates> {
  const { rows } = await database.query<StateRow>(
    `SELECT ref, version, kcv, extract(epoch FROM active_from)::float8 AS "activeFrom",
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
