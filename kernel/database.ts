import type { Socket } from 'node:net'
import type { Pool } from 'pg'
import pg from 'pg'

/**
 * PostgreSQL for every room that has tables: connections whose `bigint` is a `BigInt`, numbered plain SQL
 * migrations, and one typed error. An error of the driver may quote the row it choked on, so none of them leaves
 * this file: what is passed on is a fault, an SQLSTATE and the names of things.
 */

export type DatabaseClient = pg.Client
export type DatabasePool = Pool

export interface DatabaseOptions {
  readonly databaseUrl: string
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string
  /** Sends queries without waiting for the answers of earlier ones; each is still answered in order. */
  readonly pipeline?: boolean
  readonly connectTimeoutMs?: number
  /** The socket to use, for a caller that must be able to cut it. */
  readonly socket?: Socket
}

/** Not connected yet. The caller listens for `error`: a client that loses its connection while idle emits it. */
export function databaseClient(options: DatabaseOptions): DatabaseClient {
  return new pg.Client(settings(options))
}

/** Opens a connection; throws `DatabaseError`. */
export async function openClient(options: DatabaseOptions): Promise<DatabaseClient> {
  const client = databaseClient(options)
  // Whatever is in flight is rejected with the same error; an idle loss shows at the next query.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw databaseError(error)
  }
  return client
}

export function openPool(options: DatabaseOptions & { readonly connectionsMax: number }): DatabasePool {
  const pool = new pg.Pool({ ...settings(options), max: options.connectionsMax })
  pool.on('error', () => undefined)
  return pool
}

function settings(options: DatabaseOptions): pg.ClientConfig {
  return {
    connectionString: options.databaseUrl,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    keepAlive: true,
    types: typeParsers,
    ...(options.pipeline === true ? { pipeline: true } : {}),
    ...(options.socket === undefined ? {} : { stream: () => options.socket! }),
  }
}

const int8 = 20
const int8Array = 1016

/** Money and ids are `bigint` in SQL and `BigInt` here; a driver's `Number` would lose the last digits. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') => {
  if (format !== 'binary' && oid === int8) return BigInt
  if (format !== 'binary' && oid === int8Array) return parseBigints
  return driverParser(oid, format)
}

/** For whoever reads rows past the driver. */
export const typeParsers: pg.CustomTypesConfig = { getTypeParser }

const driverParser = pg.types.getTypeParser as (oid: number, format?: string) => (value: string) => unknown

function parseBigints(text: string): bigint[] {
  return text === '{}' ? [] : text.slice(1, -1).split(',').map(BigInt)
}

/**
 * Runs the numbered `.sql` files of `folder` that have not run yet, in order, in one transaction, under an
 * advisory lock, and notes them in `schema.migration`. Throws `DatabaseError`.
 */
export async function migrate(options: {
  readonly databaseUrl: string
  readonly schema: string
  readonly folder: string
}): Promise<readonly string[]> {
  const { runner } = await import('node-pg-migrate')
  const client = await openClient({ databaseUrl: options.databaseUrl, applicationName: 'mafraq-migrate' })
  try {
    const done = await runner({
      dbClient: client,
      dir: options.folder,
      direction: 'up',
      migrationsTable: 'migration',
      migrationsSchema: options.schema,
      createMigrationsSchema: true,
      singleTransaction: true,
      advisoryLockMode: 'wait',
      log: () => undefined,
    })
    return done.map((migration) => migration.name)
  } catch (error) {
    const { fault } = databaseError(error)
    // A migration quotes no customer's row, and whoever wrote it needs the server's own words.
    throw new DatabaseError(fault, {
      message: error instanceof Error ? `migration: ${error.message}` : 'migration',
    })
  } finally {
    await client.end()
  }
}

/**
 * Refuses a server that may forget what it has acknowledged: an approval stands on the commit being on disk.
 * Checksums find rot rather than prevent loss, so their absence is told and not refused.
 */
export async function checkDurability(
  client: pg.ClientBase | Pool,
): Promise<{ readonly dataChecksums: boolean }> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_settings
      WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums')`,
  )
  const setting = new Map(rows.map((row) => [row.name, row.setting]))
  const allowed: Readonly<Record<string, readonly string[]>> = {
    fsync: ['on'],
    full_page_writes: ['on'],
    synchronous_commit: ['on', 'remote_apply'],
  }
  const wrong = Object.entries(allowed).filter(([name, values]) => !values.includes(setting.get(name) ?? ''))
  if (wrong.length > 0) {
    const what = wrong.map(([name, values]) => `${name} must be ${values.join(' or ')}`).join(', ')
    throw new DatabaseError('notDurable', { message: `the database is not durable: ${what}` })
  }
  return { dataChecksums: setting.get('data_checksums') === 'on' }
}

export type DatabaseFault =
  /** The connection is gone, or never came; whether the last statement took effect is not known. */
  | 'lost'
  /** The server is up and turns us away for now. */
  | 'unavailable'
  /** Cancelled by a timeout or an operator. */
  | 'cancelled'
  /** Another transaction was in the way; the same again may work. */
  | 'conflict'
  | 'duplicate'
  | 'reference'
  | 'check'
  | 'badValue'
  | 'denied'
  /** A trigger of ours refused it. */
  | 'refused'
  | 'badStatement'
  | 'full'
  | 'notDurable'
  | 'other'

/** What our own SQL raises; a class of SQLSTATEs that the standard leaves to implementations. */
const refusedState = 'MF001'
const movedState = 'MF002'

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly fault: DatabaseFault
  readonly sqlState: string | undefined
  readonly table: string | undefined
  readonly constraint: string | undefined

  constructor(
    fault: DatabaseFault,
    facts: { sqlState?: string; table?: string; constraint?: string; message?: string } = {},
  ) {
    const where = [facts.sqlState, facts.table, facts.constraint].filter((name) => name !== undefined)
    super(facts.message ?? ['database', fault, ...where].join(' '))
    this.fault = fault
    this.sqlState = facts.sqlState
    this.table = facts.table
    this.constraint = facts.constraint
  }
}

/** What an SQLSTATE means to us: the whole code first, then its class (PostgreSQL manual, appendix A). */
const faults: Readonly<Record<string, DatabaseFault>> = {
  '08': 'lost',
  '22': 'badValue',
  '23505': 'duplicate',
  '23503': 'reference',
  '23': 'check',
  '25006': 'unavailable', // a standby
  '28': 'denied',
  '3D000': 'unavailable', // the database does not exist
  '40': 'conflict',
  '42501': 'denied',
  '42': 'badStatement',
  '53': 'full',
  '53300': 'unavailable', // too many connections
  '55P03': 'conflict', // lock timeout
  '57014': 'cancelled',
  '57': 'lost', // terminated, shut down, crashed
  '57P03': 'unavailable', // starting up
  [refusedState]: 'refused',
  [movedState]: 'conflict', // a statement did not touch the rows it was meant to
}

/** Anything thrown around the driver, as a `DatabaseError`. */
export function databaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const fault = faults[error.code] ?? faults[error.code.slice(0, 2)] ?? 'other'
    return new DatabaseError(fault, {
      sqlState: error.code,
      ...(error.table === undefined ? {} : { table: error.table }),
      ...(error.constraint === undefined ? {} : { constraint: error.constraint }),
    })
  }
  if (error instanceof TypeError || error instanceof RangeError) {
    return new DatabaseError('other', { message: `database: ${error.message}` })
  }
  // The driver's own errors and those of the socket have no SQLSTATE: for us each means a connection that is gone.
  return new DatabaseError('lost', {
    message: error instanceof Error ? `database lost: ${error.message}` : 'database lost',
  })
}
