import { compileTable } from './compile.ts'
import { decode } from './decode.ts'
import { DecodedMessage } from './decoded.ts'
import { describe } from './describe.ts'
import type { Dialect, FieldsOf, FieldTable } from './dialect.ts'
import { Encoder } from './encode.ts'
import { IsoCodecError } from './error.ts'
import type { AnyFields, Message, MessageBody } from './message.ts'
import type { Table } from './table.ts'

export interface Codec<Fields = AnyFields> {
  /** The dialect's. */
  readonly name: string
  readonly dialect: Dialect
  /**
   * Throws `IsoCodecError` and nothing else, whatever the bytes. The message keeps `bytes` and reads values from
   * them when asked: they must not be written to again.
   */
  decode(bytes: Uint8Array): Message<Fields>
  /** `decode` for where bad input is nothing special. */
  tryDecode(bytes: Uint8Array): Decoded<Fields>
  /** Throws `IsoCodecError`; the error never carries a value. */
  encode(body: MessageBody<Fields>): Buffer
  /** One masked line for people and journals. Fails closed. */
  describe(message: Message | MessageBody): string
  /** Validates bodies for any tool that takes Standard Schema: a body is valid when it can be encoded. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: 'mafraq'
    readonly validate: (value: unknown) => Validated<Fields>
  }
}

export type Validated<Fields = AnyFields> =
  | { readonly value: MessageBody<Fields>; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path: readonly string[] }[] }

export type Decoded<Fields = AnyFields> =
  | { readonly ok: true; readonly message: Message<Fields> }
  | { readonly ok: false; readonly error: IsoCodecError }

/** Makes a codec of a dialect, or throws one `BAD_DIALECT` with every mistake of the declaration. */
export function compile<Table extends FieldTable>(dialect: Dialect<Table>): Codec<FieldsOf<Table>> {
  return new DialectCodec(dialect) as Codec<unknown> as Codec<FieldsOf<Table>>
}

class DialectCodec implements Codec {
  readonly name: string
  readonly dialect: Dialect
  readonly #table: Table
  readonly #encoder: Encoder

  constructor(dialect: Dialect) {
    this.name = dialect.name
    this.dialect = dialect
    this.#table = compileTable(dialect)
    this.#encoder = new Encoder(this.#table)
    tables.set(this, this.#table)
  }

  decode(bytes: Uint8Array): Message {
    const result = decode(this.#table, asBuffer(bytes))
    if (result instanceof DecodedMessage) return result
    throw result
  }

  tryDecode(bytes: Uint8Array): Decoded {
    const result = decode(this.#table, asBuffer(bytes))
    return result instanceof DecodedMessage ? { ok: true, message: result } : { ok: false, error: result }
  }

  encode(body: MessageBody): Buffer {
    return this.#encoder.encode(body)
  }

  describe(message: Message | MessageBody): string {
    return describe(this.#table, message)
  }

  get '~standard'(): Codec['~standard'] {
    return { version: 1, vendor: 'mafraq', validate: (value) => this.#validate(value) }
  }

  #validate(value: unknown): Validated {
    try {
      this.encode(value as MessageBody)
      return { value: value as MessageBody }
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      const isElement = /^\d/.test(error.path)
      const path = isElement ? ['fields', ...error.path.split('.')] : [error.path]
      return { issues: [{ message: error.message, path }] }
    }
  }
}

const tables = new WeakMap<Codec, Table>()

/** The columns behind a codec. For the room's own use. */
export function tableOf(codec: Codec): Table {
  const table = tables.get(codec)
  if (table === undefined)
    throw new IsoCodecError({
      code: 'BAD_DIALECT',
      path: '',
      dialect: codec.name,
      mistakes: ['not compiled here'],
    })
  return table
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
