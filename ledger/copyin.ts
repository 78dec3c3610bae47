import { Bytes } from './canonical.ts'

/**
 * Rows as `COPY ... FROM STDIN (FORMAT binary)` takes them (PostgreSQL manual, COPY, "Binary Format"): nothing is quoted
 * or parsed, and the server adds the rows of a batch a page at a time instead of one by one.
 */
export class CopyRows {
  readonly #bytes = new Bytes().blobOf(signature).u32(0).u32(0)
  readonly #columns: number

  constructor(columns: number) {
    this.#columns = columns
  }

  /** Begins a row; as many values follow as there are columns. */
  row(): this {
    this.#bytes.u16(this.#columns)
    return this
  }

  int2(value: number): this {
    this.#bytes.u32(2).u16(value)
    return this
  }

  int4(value: number): this {
    this.#bytes.u32(4).u32(value)
    return this
  }

  int8(value: bigint | number | undefined): this {
    if (value === undefined) return this.#none()
    this.#bytes.u32(8).i64(value)
    return this
  }

  text(value: string | undefined): this {
    if (value === undefined) return this.#none()
    this.#bytes.text(value)
    return this
  }

  bytea(value: Uint8Array): this {
    this.#bytes.blob(value)
    return this
  }

  /** JSONB: a version, and the text. */
  jsonb(value: object | undefined): this {
    if (value === undefined) return this.#none()
    const text = Buffer.from(JSON.stringify(value))
    this.#bytes
      .u32(1 + text.length)
      .u8(1)
      .blobOf(text)
    return this
  }

  /** Wall clock ms. */
  timestamp(ms: number | undefined): this {
    if (ms === undefined) return this.#none()
    this.#bytes.u32(8).i64(microseconds(ms))
    return this
  }

  /** Room for a time that is said later: where it is. */
  later(): number {
    const at = this.#bytes.u32(8).length
    this.#bytes.i64(0)
    return at
  }

  say(at: number, ms: number): void {
    this.#bytes.replaceI64(at, microseconds(ms))
  }

  /** All of it; nothing may be added any more. */
  done(): Buffer {
    return this.#bytes.u16(0xff_ff).all()
  }

  #none(): this {
    this.#bytes.u32(0xff_ff_ff_ff)
    return this
  }
}

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const epoch2000 = 946_684_800_000

/** Since the year 2000, as the server counts. */
function microseconds(ms: number): number {
  return (ms - epoch2000) * 1_000
}
