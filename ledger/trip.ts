import { createRequire } from 'node:module'
import pg from 'pg'
import type { QueryResult } from 'pg'
import { serialize } from 'pg-protocol'

/** One statement of a trip, prepared under its name the first time. */
export interface Statement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
  /** What a COPY ... FROM STDIN reads. */
  readonly data?: Uint8Array
}

export type TripResult = QueryResult<Record<string, unknown>>

/** What a connection has been told once and need not be told again. */
export class Prepared {
  readonly parsed = new Set<string>()
  /** Columns by statement: a statement that is known is not described again. */
  readonly columns = new Map<string, readonly Column[]>()
}

/**
 * Several statements and one Sync (PostgreSQL protocol, "Pipelining"): the server answers all of them in one piece, and
 * after the first that fails it skips the rest. The driver's own pipelining sends a Sync with each statement, which
 * costs a flush on the server and a wake-up here for every one of them.
 */
export class Trip {
  readonly results: TripResult[] = []
  readonly done: Promise<TripResult[]>
  readonly #statements: readonly Statement[]
  readonly #prepared: Prepared
  readonly #types: pg.CustomTypesConfig
  /** Names in the order in which their parsing will be acknowledged. */
  readonly #parsing: string[] = []
  readonly #settle: PromiseWithResolvers<TripResult[]>
  #current: RowReader | undefined

  constructor(statements: readonly Statement[], prepared: Prepared, types: pg.CustomTypesConfig) {
    this.#statements = statements
    this.#prepared = prepared
    this.#types = types
    this.#settle = Promise.withResolvers()
    this.done = this.#settle.promise
  }

  /** The driver calls it when the connection is free. */
  submit(connection: pg.Connection): null {
    const wire = connection as unknown as Wire
    const onParsed = (): void => {
      const name = this.#parsing.shift()
      if (name !== undefined) this.#prepared.parsed.add(name)
    }
    wire.on('parseComplete', onParsed)
    const stop = (): void => wire.off('parseComplete', onParsed)
    this.done.then(stop, stop)
    const asked = new Set<string>()
    const messages: Uint8Array[] = []
    for (const { name, text, values, data } of this.#statements) {
      if (!this.#prepared.parsed.has(name) && !asked.has(name)) {
        asked.add(name)
        this.#parsing.push(name)
        messages.push(serialize.parse({ name, text }))
      }
      messages.push(
        serialize.bind({ statement: name, values: values as unknown[], valueMapper: prepareValue }),
      )
      if (!this.#prepared.columns.has(name)) messages.push(serialize.describe({ type: 'P', name: '' }))
      messages.push(serialize.execute({ rows: 0 }))
      // The server is not waited for to say that it reads: after a failure it throws away what it is sent.
      if (data !== undefined) messages.push(serialize.copyData(data as Buffer), serialize.copyDone())
    }
    messages.push(serialize.sync())
    // In one piece: handing the system two dozen small ones takes longer than copying them, and the server begins sooner.
    if (wire.stream.writable) wire.stream.write(Buffer.concat(messages))
    return null
  }

  handleRowDescription({ fields }: { fields: readonly Column[] }): void {
    this.#prepared.columns.set(this.#nameNow(), fields)
  }

  /** The rows are on their way. */
  handleCopyInResponse(): void {
    this.#prepared.columns.set(this.#nameNow(), [])
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    this.#reader().addRow(this.#reader().parseRow(fields))
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const reader = this.#reader()
    reader.addCommandComplete(message)
    // A statement without rows has no columns, and that is known now too.
    if (!this.#prepared.columns.has(this.#nameNow())) this.#prepared.columns.set(this.#nameNow(), [])
    this.results.push(reader as unknown as TripResult)
    this.#current = undefined
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }

  handleReadyForQuery(): void {
    this.#settle.resolve(this.results)
  }

  #nameNow(): string {
    return this.#statements[this.results.length]!.name
  }

  #reader(): RowReader {
    if (this.#current === undefined) {
      this.#current = new Result(undefined, this.#types)
      this.#current.addFields(this.#prepared.columns.get(this.#nameNow()) ?? [])
    }
    return this.#current
  }
}

interface Column {
  readonly name: string
  readonly dataTypeID: number
}

/** The parts of the driver's connection that its declared types leave out. */
interface Wire {
  readonly stream: { readonly writable: boolean; write(bytes: Uint8Array): boolean }
  on(event: 'parseComplete', listener: () => void): void
  off(event: 'parseComplete', listener: () => void): void
}

interface RowReader {
  addFields(columns: readonly Column[]): void
  parseRow(fields: readonly (string | null)[]): Record<string, unknown>
  addRow(row: Record<string, unknown>): void
  addCommandComplete(message: { readonly text: string }): void
}

const Result = (pg as unknown as { Result: new (mode: undefined, types: pg.CustomTypesConfig) => RowReader })
  .Result
const { prepareValue } = createRequire(import.meta.url)('pg/lib/utils') as {
  prepareValue: (value: unknown) => unknown
}
