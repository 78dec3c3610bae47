import { Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import { DatabaseError, checkDurability, databaseError, openClient, typeParsers } from '../kernel/database.ts'
import type { DatabaseClient } from '../kernel/database.ts'
import { Prepared, Trip } from './trip.ts'
import type { Statement, TripResult } from './trip.ts'

export interface SessionOptions {
  readonly databaseUrl: string
  readonly clock: Clock
  readonly statementDeadlineMs: number
}

/**
 * The writer's connection: statements go out together and are answered together (a *trip*), each trip has a
 * deadline, and a connection that misses it is cut, since what it was doing is no longer known.
 */
export class Session {
  readonly #client: DatabaseClient
  readonly #socket: Socket
  readonly #options: SessionOptions
  readonly #prepared = new Prepared()
  #lost = false
  /** Called when the connection is gone, also while nothing is asked of it. */
  onLost: (() => void) | undefined

  private constructor(client: DatabaseClient, socket: Socket, options: SessionOptions) {
    this.#client = client
    this.#socket = socket
    this.#options = options
    socket.once('close', () => {
      this.#lost = true
      this.onLost?.()
    })
  }

  /** Throws `DatabaseError`; `notDurable` when the server may forget a commit. */
  static async open(options: SessionOptions): Promise<Session> {
    const socket = new Socket()
    const client = await openClient({
      databaseUrl: options.databaseUrl,
      applicationName: 'mafraq-ledger',
      connectTimeoutMs: options.statementDeadlineMs,
      socket,
    })
    const session = new Session(client, socket, options)
    try {
      await checkDurability(client)
      await client.query(settings(options.statementDeadlineMs))
      // Books that were never migrated are found out about now, and not by the first unit.
      await client.query('SELECT FROM ledger.shard LIMIT 1')
    } catch (error) {
      session.cut()
      throw databaseError(error)
    }
    return session
  }

  get lost(): boolean {
    return this.#lost
  }

  /** Throws the error of the first statement that fails; those after it were not run. */
  async trip(statements: readonly (Statement | string)[]): Promise<TripResult[]> {
    if (this.#lost) throw new DatabaseError('lost')
    // The server cancels a slow statement at the deadline; whoever has not even said so by now is not there.
    const deadline = this.#options.clock.after(1.5 * this.#options.statementDeadlineMs, () => this.cut())
    const trip = new Trip(statements.map(asStatement), this.#prepared, typeParsers)
    this.#client.query(trip)
    try {
      return await trip.done
    } catch (error) {
      if (this.lost) throw new DatabaseError('lost')
      throw databaseError(error)
    } finally {
      deadline.cancel()
    }
  }

  cut(): void {
    this.#lost = true
    this.#socket.destroy()
  }

  async close(): Promise<void> {
    if (!this.#lost) await this.#client.end().catch(() => undefined)
  }
}

/** A statement without values is named by its own text: `BEGIN`, `COMMIT`, `ROLLBACK`. */
function asStatement(statement: Statement | string): Statement {
  return typeof statement === 'string' ? { name: statement, text: statement, values: [] } : statement
}

/**
 * Generic plans are kept for the life of a connection, and on an empty table they would be sequential scans that
 * grow with the books: so scans, and the joins that read a whole index, are off, and every statement of the writer
 * must find its rows by index. The server ends what
 * outlives our own deadline, so that a connection we lost does not keep its locks.
 */
export function settings(statementDeadlineMs: number): string {
  return [
    'SET ROLE ledger_writer',
    'SET enable_seqscan = off',
    'SET enable_hashjoin = off',
    'SET enable_mergejoin = off',
    'SET enable_memoize = off',
    'SET plan_cache_mode = force_generic_plan',
    'SET jit = off',
    `SET statement_timeout = ${statementDeadlineMs}`,
    `SET idle_in_transaction_session_timeout = ${2 * statementDeadlineMs}`,
    `SET client_connection_check_interval = ${statementDeadlineMs}`,
  ].join('; ')
}
