/**
 * What travels between the switch and the HSM process: frames of a length, an id and a packed record.
 *
 *   frame  = length:u32 id:u32 record        length counts what follows it
 *   record = count:u8 (nameLength:u8 name value)*
 *   value  = 1 length:u32 utf8 | 2 length:u32 bytes | 3 double | 4 (true) | 5 (false) | 6 record
 *          | 7 count:u32 value*
 *
 * Both ends are ours, yet nothing is believed: a frame that does not parse ends the connection.
 */
import { ownBytes } from './memory.ts'

export type Value = string | number | boolean | Uint8Array | Fields | readonly Value[]
export interface Fields {
  readonly [name: string]: Value | undefined
}

/** No request or answer is longer; data to be sealed may have 64 KiB. */
const frameBytesMax = 128 * 1024
/** What a process says unasked may be: which keys it holds, of some ten thousands. */
export const listBytesMax = 4 * 1024 * 1024

export class WireError extends Error {
  override readonly name = 'WireError'
}

const headBytes = 8

/** Where a frame is being written. */
interface Pen {
  readonly bytes: Buffer
  at: number
}

/** A frame of its own memory. Throws `WireError` when the record does not fit. */
export function packFrame(id: number, fields: Fields): Buffer {
  // One place to build frames in: growing buffers would leave copies of what passes through all over the heap.
  const pen = { bytes: scratch, at: 0 }
  try {
    if (!putFrame(pen, id, fields)) throw new WireError('the record is too long')
    const frame = ownBytes(pen.at)
    scratch.copy(frame, 0, 0, pen.at)
    return frame
  } finally {
    scratch.fill(0, 0, pen.at)
  }
}

const scratch = ownBytes(frameBytesMax)

/**
 * Frames on their way out: built side by side in one place, and handed over together. `write` is given what leaves, and
 * calls back when it is gone; then it is wiped, and the place used again.
 */
export class FrameWriter {
  readonly #write: (bytes: Buffer, gone: () => void) => void
  readonly #spare: Buffer[] = []
  #pen: Pen = { bytes: ownBytes(frameBytesMax), at: 0 }

  constructor(write: (bytes: Buffer, gone: () => void) => void) {
    this.#write = write
  }

  /** Throws `WireError` when the record is too long for any frame; those before it are not harmed. */
  put(id: number, fields: Fields): void {
    if (putFrame(this.#pen, id, fields)) return
    this.flush()
    if (!putFrame(this.#pen, id, fields)) throw new WireError('the record is too long')
  }

  /** A list that no frame of the usual length may hold, and no secret; it leaves at once, behind what was put before it. */
  putList(id: number, fields: Fields): void {
    this.flush()
    const pen = { bytes: ownBytes(listBytesMax), at: 0 }
    if (!putFrame(pen, id, fields)) throw new WireError('the record is too long')
    this.#write(pen.bytes.subarray(0, pen.at), () => undefined)
  }

  flush(): void {
    const { bytes, at } = this.#pen
    if (at === 0) return
    this.#pen = { bytes: this.#spare.pop() ?? ownBytes(frameBytesMax), at: 0 }
    this.#write(bytes.subarray(0, at), () => {
      bytes.fill(0, 0, at)
      if (this.#spare.length < spareMax) this.#spare.push(bytes)
    })
  }
}

/** In one turn there may be a dozen writes, and places made anew each time would be memory to collect. */
const spareMax = 32

/** False, and nothing written, when there is not enough room. */
function putFrame(pen: Pen, id: number, fields: Fields): boolean {
  const { bytes, at: start } = pen
  try {
    pen.at = start + headBytes
    putRecord(pen, fields)
    bytes.writeUInt32BE(pen.at - start - 4, start)
    bytes.writeUInt32BE(id, start + 4)
    return true
  } catch (error) {
    // How far it came is not known, but all behind it is empty.
    bytes.fill(0, start)
    pen.at = start
    if (error instanceof RangeError) return false
    throw error
  }
}

function putRecord(pen: Pen, fields: Fields): void {
  const countAt = pen.at
  let count = 0
  pen.at = pen.bytes.writeUInt8(0, countAt)
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (value === undefined) continue
    count++
    const bytes = pen.bytes.write(name, pen.at + 1, 'latin1')
    pen.at = pen.bytes.writeUInt8(bytes, pen.at) + bytes
    putValue(pen, value)
  }
  pen.bytes.writeUInt8(count, countAt)
}

function putValue(pen: Pen, value: Value): void {
  const { bytes } = pen
  if (typeof value === 'string') {
    putText(pen, value)
  } else if (typeof value === 'number') {
    pen.at = bytes.writeDoubleBE(value, bytes.writeUInt8(3, pen.at))
  } else if (typeof value === 'boolean') {
    pen.at = bytes.writeUInt8(value ? 4 : 5, pen.at)
  } else if (value instanceof Uint8Array) {
    pen.at = bytes.writeUInt32BE(value.length, bytes.writeUInt8(2, pen.at))
    // Throws a `RangeError` when it does not fit.
    bytes.set(value, pen.at)
    pen.at += value.length
  } else if (isList(value)) {
    pen.at = bytes.writeUInt32BE(value.length, bytes.writeUInt8(7, pen.at))
    for (const item of value) putValue(pen, item)
  } else {
    pen.at = bytes.writeUInt8(6, pen.at)
    putRecord(pen, value)
  }
}

function putText(pen: Pen, value: string): void {
  const start = pen.bytes.writeUInt8(1, pen.at) + 4
  // What does not fit would be cut off silently. No character has more than three bytes a unit, so mostly this is enough.
  const fits =
    start + value.length * 3 <= pen.bytes.length || start + Buffer.byteLength(value) <= pen.bytes.length
  if (!fits) throw new RangeError()
  const written = pen.bytes.write(value, start)
  pen.bytes.writeUInt32BE(written, start - 4)
  pen.at = start + written
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

export interface Frame {
  readonly id: number
  readonly fields: Fields
}

/** Cuts a byte stream into frames, and wipes the bytes it was given once they are read. */
export class FrameReader {
  readonly #bytesMax: number
  #rest = empty

  constructor(bytesMax = frameBytesMax) {
    this.#bytesMax = bytesMax
  }

  /** The frames that are whole now. Throws `WireError` for a stream that is not ours. */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk)
    const frames: Frame[] = []
    // What is bytes in the records is kept in one piece of memory for all of them.
    const cursor = { bytes, at: 0, end: 0, own: ownBytes(bytes.length), kept: 0 }
    while (bytes.length - cursor.at >= 4) {
      const length = bytes.readUInt32BE(cursor.at)
      if (length < 5 || length > this.#bytesMax) throw new WireError('a frame of no possible length')
      if (bytes.length - cursor.at < 4 + length) break
      cursor.end = cursor.at + 4 + length
      frames.push(takeFrame(cursor))
    }
    const rest = cursor.at === bytes.length ? empty : ownBytes(bytes.length - cursor.at)
    bytes.copy(rest, 0, cursor.at)
    if (bytes !== chunk) bytes.fill(0)
    this.#rest.fill(0)
    chunk.fill(0)
    this.#rest = rest
    return frames
  }
}

const empty = ownBytes(0)

function joined(first: Buffer, second: Buffer): Buffer {
  const both = ownBytes(first.length + second.length)
  first.copy(both)
  second.copy(both, first.length)
  return both
}

interface Cursor {
  readonly bytes: Buffer
  at: number
  /** Of the frame. */
  end: number
  readonly own: Buffer
  /** How much of `own` is used. */
  kept: number
}

function takeFrame(cursor: Cursor): Frame {
  const id = cursor.bytes.readUInt32BE(cursor.at + 4)
  cursor.at += headBytes
  const fields = takeRecord(cursor, 0)
  if (cursor.at !== cursor.end) throw new WireError('bytes after the record')
  return { id, fields }
}

const depthMax = 8

function takeRecord(cursor: Cursor, depth: number): Fields {
  if (depth > depthMax) throw new WireError('records too deep')
  let count = takeByte(cursor)
  const fields: Record<string, Value> = Object.create(null) as Record<string, Value>
  for (; count > 0; count--) {
    const length = takeByte(cursor)
    const from = skip(cursor, length)
    const name = cursor.bytes.toString('latin1', from, from + length)
    fields[name] = takeValue(cursor, depth)
  }
  return fields
}

function takeValue(cursor: Cursor, depth: number): Value {
  const type = takeByte(cursor)
  switch (type) {
    case 1: {
      const length = takeLength(cursor)
      const from = skip(cursor, length)
      return cursor.bytes.toString('utf8', from, from + length)
    }
    case 2: {
      const length = takeLength(cursor)
      const from = skip(cursor, length)
      const own = cursor.own.subarray(cursor.kept, cursor.kept + length)
      cursor.bytes.copy(own, 0, from, from + length)
      cursor.kept += length
      return own
    }
    case 3:
      return cursor.bytes.readDoubleBE(skip(cursor, 8))
    case 4:
      return true
    case 5:
      return false
    case 6:
      return takeRecord(cursor, depth + 1)
    case 7: {
      const count = takeLength(cursor)
      if (count > cursor.end - cursor.at || depth > depthMax) throw new WireError('no such list')
      return Array.from({ length: count }, () => takeValue(cursor, depth + 1))
    }
    default:
      throw new WireError('a value of no known type')
  }
}

function takeByte(cursor: Cursor): number {
  return cursor.bytes[skip(cursor, 1)]!
}

function takeLength(cursor: Cursor): number {
  return cursor.bytes.readUInt32BE(skip(cursor, 4))
}

/** Where the next `length` bytes of the frame begin; the cursor is behind them then. */
function skip(cursor: Cursor, length: number): number {
  const from = cursor.at
  if (length > cursor.end - from) throw new WireError('the record ends too early')
  cursor.at = from + length
  return from
}
