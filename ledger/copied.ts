import type pg from 'pg'
import type { DatabaseClient } from '../kernel/database.ts'
import { bad } from './finding.ts'

/**
 * Rows as `COPY ... TO STDOUT (FORMAT binary)` sends them (PostgreSQL manual, COPY, "Binary Format"), one behind the
 * other in one buffer: a row is its number of fields (int16), and each field its length (int32, -1 for null) and its
 * bytes. Reading whole books this way costs a tenth of what objects with a text for every field cost.
 */
export class CopiedRows {
  buffer = Buffer.allocUnsafe(65_536)
  view = viewOf(this.buffer)
  /** Where the next field begins. */
  at = 0
  #length = 0
  /** For what is said of a row that cannot be read. */
  readonly #table: string

  constructor(table: string) {
    this.#table = table
  }

  append(chunk: Buffer): void {
    // The signature, the flags and an empty extension come before the first row, in the same message.
    const from = this.#length === 0 ? headerBytes : 0
    const needed = this.#length + chunk.length - from
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.buffer.length, needed))
      this.buffer.copy(larger, 0, 0, this.#length)
      this.buffer = larger
      this.view = viewOf(larger)
    }
    chunk.copy(this.buffer, this.#length, from)
    this.#length = needed
  }

  get length(): number {
    return this.#length
  }

  /** Whether a row begins here; the end has a row of -1 fields. */
  get more(): boolean {
    return this.view.getInt16(this.at) !== -1
  }

  next(): void {
    this.at += 2
  }

  /** Steps over a field of this many bytes, and says where they are. */
  fixed(bytes: number): number {
    const at = this.at + 4
    if (this.view.getInt32(this.at) !== bytes) throw this.#unreadable()
    this.at = at + bytes
    return at
  }

  /** The same for one that may be null: -1 then. */
  nullable(bytes: number): number {
    if (this.view.getInt32(this.at) !== -1) return this.fixed(bytes)
    this.at += 4
    return -1
  }

  /** Steps over a field of any length, and says where its length is, with its bytes behind. */
  lengthy(): number {
    const at = this.at
    const bytes = this.view.getInt32(at)
    if (bytes < 0) throw this.#unreadable()
    this.at = at + 4 + bytes
    return at
  }

  text(): string {
    const at = this.lengthy()
    return this.buffer.toString('utf8', at + 4, this.at)
  }

  optionalText(): string | undefined {
    if (this.view.getInt32(this.at) !== -1) return this.text()
    this.at += 4
    return undefined
  }

  bytes(): Buffer {
    const at = this.lengthy()
    return this.buffer.subarray(at + 4, this.at)
  }

  int2(): number {
    return this.view.getInt16(this.fixed(2))
  }

  int4(): number {
    return this.view.getInt32(this.fixed(4))
  }

  int8(): number {
    return numberAt(this.view, this.fixed(8))
  }

  /** A timestamp as wall clock ms. */
  ms(): number {
    return msAt(this.view, this.fixed(8))
  }

  bool(): boolean {
    return this.buffer[this.fixed(1)] !== 0
  }

  #unreadable(): Error {
    return bad('altered', this.#table, 'a row', 'lacks a value, or has one of another type')
  }
}

const headerBytes = 19

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
}

/**
 * 64 bits as a number. Above 2^53 it is not exact, but never becomes one below: enough for ids and counts, which are
 * compared with exact small ones.
 */
export function numberAt(view: DataView, at: number): number {
  return view.getInt32(at) * 4_294_967_296 + view.getUint32(at + 4)
}

const epochMs = 946_684_800_000 // 2000-01-01, where PostgreSQL counts microseconds from

/** A timestamp as wall clock ms, with a fraction where it is finer than that. */
export function msAt(view: DataView, at: number): number {
  const us = numberAt(view, at)
  if (Number.isSafeInteger(us)) return us / 1_000 + epochMs
  const exact = view.getBigInt64(at)
  return exact % 1_000n === 0n ? Number(exact / 1_000n) + epochMs : Number.NaN
}

export interface Wanted {
  readonly table: string
  /** A SELECT without parameters. */
  readonly text: string
}

/** Runs the statements in one round trip, and answers with the rows of each. Rejects with the driver's error. */
export function copyOut(client: DatabaseClient, wanted: readonly Wanted[]): Promise<CopiedRows[]> {
  const copies = new Copies(wanted)
  client.query(copies)
  return copies.done
}

/** What the driver calls for one query (`Submittable`), as far as COPY needs it. */
class Copies {
  readonly done: Promise<CopiedRows[]>
  readonly #settle = Promise.withResolvers<CopiedRows[]>()
  readonly #text: string
  readonly #rows: readonly CopiedRows[]
  #current = 0

  constructor(wanted: readonly Wanted[]) {
    this.done = this.#settle.promise
    this.#text = wanted.map(({ text }) => `COPY (${text}) TO STDOUT (FORMAT binary)`).join(';')
    this.#rows = wanted.map(({ table }) => new CopiedRows(table))
  }

  submit(connection: pg.Connection): null {
    ;(connection as unknown as { query(text: string): void }).query(this.#text)
    return null
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.#rows[this.#current]!.append(chunk)
  }

  handleCommandComplete(): void {
    this.#current++
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }

  handleReadyForQuery(): void {
    this.#settle.resolve([...this.#rows])
  }
}
