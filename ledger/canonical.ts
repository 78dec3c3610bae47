import { hash } from 'node:crypto'
import type { Command, Condition, Leg, SqlValue, Unit } from './contract.ts'

/**
 * Bytes that are hashed: fixed widths, big-endian; texts and lists behind their length; a version first. Nothing is
 * hashed as JSON, whose spaces and order of names no standard fixes.
 */
export class Bytes {
  #buffer = Buffer.alloc(1_024)
  #view = new DataView(this.#buffer.buffer)
  #length = 0

  u8(value: number): this {
    this.#room(1)
    this.#view.setUint8(this.#length, value)
    this.#length += 1
    return this
  }

  u16(value: number): this {
    this.#room(2)
    this.#view.setUint16(this.#length, value)
    this.#length += 2
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.#view.setUint32(this.#length, value)
    this.#length += 4
    return this
  }

  i64(value: bigint | number): this {
    this.#room(8)
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      this.#view.setInt32(this.#length, Math.floor(value / 4_294_967_296))
      this.#view.setUint32(this.#length + 4, value)
    } else {
      this.#view.setBigInt64(this.#length, BigInt(value))
    }
    this.#length += 8
    return this
  }

  text(value: string): this {
    const bytes = Buffer.byteLength(value)
    this.u32(bytes)
    this.#room(bytes)
    this.#length += this.#buffer.write(value, this.#length)
    return this
  }

  blob(value: Uint8Array): this {
    return this.u32(value.byteLength).blobOf(value)
  }

  /** Without its length. */
  blobOf(value: Uint8Array): this {
    this.#room(value.byteLength)
    this.#buffer.set(value, this.#length)
    this.#length += value.byteLength
    return this
  }

  /** A zero where there is nothing, else a one and what `write` adds. */
  optional<T>(value: T | undefined, write: (value: T) => void): this {
    this.u8(value === undefined ? 0 : 1)
    if (value !== undefined) write(value)
    return this
  }

  list<T>(values: readonly T[], write: (value: T) => void): this {
    this.u32(values.length)
    for (const value of values) write(value)
    return this
  }

  /** Bytes that already are as they are to be hashed, from where they were read. */
  copy(source: DataView, from: number, bytes: number): this {
    this.#room(bytes)
    let at = 0
    // Most are a few words long, and a call into native code for each would take longer than this.
    for (; at + 4 <= bytes; at += 4) this.#view.setInt32(this.#length + at, source.getInt32(from + at))
    for (; at < bytes; at++) this.#view.setUint8(this.#length + at, source.getUint8(from + at))
    this.#length += bytes
    return this
  }

  /** The bytes as the text of their hexadecimal digits. */
  hex(source: DataView, from: number, bytes: number): this {
    this.u32(2 * bytes)
    this.#room(2 * bytes)
    for (let at = 0; at < bytes; at++) {
      this.#view.setUint16(this.#length + 2 * at, hexDigits[source.getUint8(from + at)]!)
    }
    this.#length += 2 * bytes
    return this
  }

  get length(): number {
    return this.#length
  }

  /** For a number that is known only when what it counts has been written. */
  replaceU32(at: number, value: number): void {
    this.#view.setUint32(at, value)
  }

  replaceI64(at: number, value: number): this {
    this.#view.setBigInt64(at, BigInt(value))
    return this
  }

  clear(): this {
    this.#length = 0
    return this
  }

  /** All that was written, not copied: what is written from here on may change it. */
  all(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  sha256(): Buffer {
    return hash('sha256', this.all(), 'buffer')
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(Math.max(this.#buffer.length * 4, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
    this.#view = new DataView(larger.buffer)
  }
}

const hexDigits = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16BE(),
)

export function metaBytes(bytes: Bytes, meta: Readonly<Record<string, string>>): void {
  const names = Object.keys(meta).sort()
  bytes.list(names, (name) => bytes.text(name).text(meta[name]!))
}

const bodyVersion = 1

/** The same for the same body of a unit, and for no other: SHA-256, in hexadecimal. */
export function fingerprintOf(unit: Unit): string {
  const bytes = new Bytes().u8(bodyVersion)
  bytes.list(unit.commands, (command) => commandBytes(bytes, command))
  bytes.list(unit.rows, (row) => {
    bytes.text(row.kind)
    bytes.list(row.values, (value) => valueBytes(bytes, value))
  })
  return bytes.sha256().toString('hex')
}

function commandBytes(bytes: Bytes, command: Command): void {
  bytes.text(command.kind).text(command.id).text(String(command.effectiveAt))
  switch (command.kind) {
    case 'post':
    case 'authorize':
      if (command.kind === 'authorize') bytes.text(String(command.expiresAt))
      bytes.list(command.legs, (leg) => legBytes(bytes, leg))
      bytes.optional(command.meta, (meta) => metaBytes(bytes, meta))
      bytes.list(command.conditions ?? [], (condition) => conditionBytes(bytes, condition))
      return
    case 'increment':
      bytes.text(command.holdId)
      bytes.optional(command.expiresAt, (expiresAt) => bytes.text(String(expiresAt)))
      bytes.list(command.legs, (leg) => legBytes(bytes, leg))
      return
    case 'capture':
      bytes.text(command.holdId).text(String(command.amountMinor))
      bytes.u8(command.final ? 1 : 0)
      return
    case 'release':
      bytes.text(command.holdId).text(String(command.amountMinor))
      return
    case 'void':
    case 'expire':
      bytes.text(command.holdId)
      return
    case 'reverse':
      bytes.text(command.reverses)
      return
    case 'close':
      bytes.text(command.account)
      return
    case 'closePeriod':
      bytes.text(command.scope).text(command.through)
      if (command.decided !== undefined) bytes.text(command.decided.by).text(command.decided.why)
  }
}

// Amounts are written as text here: a unit that is refused for its amount has a body too.
function legBytes(bytes: Bytes, leg: Leg): void {
  bytes.text(leg.account).text(leg.side).text(String(leg.amountMinor)).text(leg.currency)
}

function conditionBytes(bytes: Bytes, condition: Condition): void {
  bytes.text(condition.account)
  bytes.optional(condition.availableMinor, (amount) => bytes.text(String(amount)))
  bytes.optional(condition.version, (version) => bytes.text(String(version)))
}

function valueBytes(bytes: Bytes, value: SqlValue): void {
  if (value === null) bytes.text('null')
  else if (value instanceof Uint8Array) bytes.text('bytes').blob(value)
  else bytes.text(typeof value).text(String(value))
}
