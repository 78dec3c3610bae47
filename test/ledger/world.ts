import { DatabaseError, openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import { migrateLedger, openLedger } from '../../ledger/ledger.ts'
import type { AccountSpec, Command, Ledger, LedgerOptions, RowKind, Unit } from '../../ledger/ledger.ts'
import { openTestDatabase } from '../support/postgres.ts'

/** A ledger on a database of its own, with the accounts of a small town. */
export interface World {
  readonly url: string
  readonly ledger: Ledger
  /** The database's owner, who may look at everything. */
  readonly admin: DatabaseClient
  readonly logged: { readonly facts: object; readonly message: string }[]
  /** Another ledger on the same books, closed with the world. */
  open(options?: Partial<LedgerOptions>): Promise<Ledger>
  close(): Promise<void>
}

const townAccounts: readonly AccountSpec[] = [
  { path: 'wallet:amal', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' },
  { path: 'wallet:badr', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' },
  { path: 'merchant:1', currency: 'KWD', normalSide: 'credit', limit: 'none' },
  { path: 'fees:mdr', currency: 'KWD', normalSide: 'credit', limit: 'none' },
  { path: 'bank', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  { path: 'cash', currency: 'KWD', normalSide: 'debit', limit: 'noOverdraft' },
  { path: 'bank:yen', currency: 'JPY', normalSide: 'debit', limit: 'none' },
  { path: 'wallet:yen', currency: 'JPY', normalSide: 'credit', limit: 'noOverdraft' },
]

export async function openWorld(
  options: Partial<LedgerOptions> & { readonly schema?: string; readonly rowKinds?: readonly RowKind[] } = {},
): Promise<World> {
  const database = await openTestDatabase()
  await migrateLedger(database.url)
  const admin = await openClient({ databaseUrl: database.url, applicationName: 'test' })
  if (options.schema !== undefined) await admin.query(options.schema)
  const logged: World['logged'] = []
  const note = (facts: object, message: string): void => void logged.push({ facts, message })
  const ledgers: Ledger[] = []
  const open = async (own: Partial<LedgerOptions> = {}): Promise<Ledger> => {
    const ledger = await openLedger({
      databaseUrl: database.url,
      rowKinds: [],
      log: { warn: note, error: note },
      ...options,
      ...own,
    })
    ledgers.push(ledger)
    return ledger
  }
  const ledger = await open()
  await ledger.openAccounts(townAccounts)
  return {
    url: database.url,
    ledger,
    admin,
    logged,
    open,
    async close() {
      await Promise.all(ledgers.map((opened) => opened.close()))
      await admin.end()
      await database.close()
    },
  }
}

export const noon = Date.UTC(2026, 10, 22, 9, 0, 0)

let unitsMade = 0

/** A unit of one or more commands, with a key of its own unless it gets one. */
export function unit(commands: Command | readonly Command[], more: Partial<Unit> = {}): Unit {
  unitsMade++
  return { key: `unit-${unitsMade}`, commands: 'kind' in commands ? [commands] : commands, rows: [], ...more }
}

/** Moves fils from one account to another. */
export function transfer(
  from: string,
  to: string,
  amountMinor: bigint,
  more: Partial<Command & { kind: 'post' }> = {},
): Command & { kind: 'post' } {
  unitsMade++
  return {
    kind: 'post',
    id: `transfer-${unitsMade}`,
    legs: [
      { account: from, side: 'debit', amountMinor, currency: 'KWD' },
      { account: to, side: 'credit', amountMinor, currency: 'KWD' },
    ],
    effectiveAt: noon,
    ...more,
  }
}

/** Sets fils aside, for an hour. */
export function authorize(
  from: string,
  to: string,
  amountMinor: bigint,
  more: Partial<Command & { kind: 'authorize' }> = {},
): Command & { kind: 'authorize' } {
  const { id, legs } = transfer(from, to, amountMinor)
  return {
    kind: 'authorize',
    id: `hold-${id}`,
    legs,
    effectiveAt: noon,
    expiresAt: noon + 3_600_000,
    ...more,
  }
}

export interface Balance {
  readonly debits: bigint
  readonly credits: bigint
  readonly debitsPending: bigint
  readonly creditsPending: bigint
}

export async function balanceOf(world: World, path: string): Promise<Balance> {
  const { rows } = await world.admin.query<Balance>(
    `SELECT debits, credits, debits_pending AS "debitsPending", credits_pending AS "creditsPending"
       FROM ledger.balance b JOIN ledger.account a ON a.id = b.account_id WHERE a.path = $1`,
    [path],
  )
  return rows[0]!
}

/** Credits minus debits. */
export async function ownedBy(world: World, path: string): Promise<bigint> {
  const { debits, credits } = await balanceOf(world, path)
  return credits - debits
}

export async function countOf(world: World, table: string): Promise<number> {
  const { rows } = await world.admin.query<{ count: bigint }>(`SELECT count(*) FROM ${table}`)
  return Number(rows[0]!.count)
}

export function faultOf(error: unknown): string {
  return error instanceof DatabaseError ? error.fault : 'not a DatabaseError'
}
