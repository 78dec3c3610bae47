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

export class WireError extends Error {
  override readonly name = 'WireError'
}

const headBytes = 8

// One place to build frames in: growing buffers would leave copies of what passes through all over the heap.
const scratch = ownBytes(frameBytesMax)

/** A frame of its own memory. Throws `WireError` when the record does not fit. */
export function packFrame(id: number, fields: Fields): Buffer {
  let end = headBytes
  try {
    end = putRecord(fields, headBytes)
    scratch.writeUInt32BE(end - 4, 0)
    scratch.writeUInt32BE(id, 4)
    const frame = ownBytes(end)
    scratch.copy(frame, 0, 0, end)
    return frame
  } catch (error) {
    end = frameBytesMax
    if (error instanceof RangeError) throw new WireError('the record is too long')
    throw error
  } finally {
    scratch.fill(0, 0, end)
  }
}

function putRecord(fields: Fields, from: number): number {
  const entries = Object.entries(fields).filter((entry) => entry[1] !== undefined)
  let at = scratch.writeUInt8(entries.length, from)
  for (const [name, value] of entries) {
    const bytes = scratch.write(name, at + 1, 'latin1')
    scratch.writeUInt8(bytes, at)
    at = putValue(value!, at + 1 + bytes)
  }
  return at
}

function putValue(value: Value, from: number): number {
  if (typeof value === 'string') return putText(value, from)
  if (typeof value === 'number') return scratch.writeDoubleBE(value, scratch.writeUInt8(3, from))
  if (typeof value === 'boolean') return scratch.writeUInt8(value ? 4 : 5, from)
  if (value instanceof Uint8Array) {
    if (from + 5 + value.length > frameBytesMax) throw new RangeError()
    scratch.writeUInt8(2, from)
    scratch.writeUInt32BE(value.length, from + 1)
    scratch.set(value, from + 5)
    return from + 5 + value.length
  }
  if (isList(value)) {
    scratch.writeUInt8(7, from)
    let at = scratch.writeUInt32BE(value.length, from + 1)
    for (const item of value) at = putValue(item, at)
    return at
  }
  return putRecord(value, scratch.writeUInt8(6, from))
}

function putText(value: string, from: number): number {
  const bytes = Buffer.byteLength(value)
  if (from + 5 + bytes > frameBytesMax) throw new RangeError()
  scratch.writeUInt8(1, from)
  scratch.writeUInt32BE(bytes, from + 1)
  return from + 5 + scratch.write(value, from + 5)
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
  #rest = ownBytes(0)

  /** The frames that are whole now. Throws `WireError` for a stream that is not ours. */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk)
    const frames: Frame[] = []
    let at = 0
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at)
      if (length < 5 || length > frameBytesMax) throw new WireError('a frame of no possible length')
      if (bytes.length - at < 4 + length) break
      frames.push(unpack(bytes.subarray(at + 4, at + 4 + length)))
      at += 4 + length
    }
    const rest = ownBytes(bytes.length - at)
    bytes.copy(rest, 0, at)
    this.#rest.fill(0)
    bytes.fill(0)
    chunk.fill(0)
    this.#rest = rest
    return frames
  }
}

function joined(first: Buffer, second: Buffer): Buffer {
  const both = ownBytes(first.length + second.length)
  first.copy(both)
  second.copy(both, first.length)
  return both
}

function unpack(body: Buffer): Frame {
  const cursor = { bytes: body, at: 4 }
  try {
    const fields = takeRecord(cursor, 0)
    if (cursor.at !== body.length) throw new WireError('bytes after the record')
    return { id: body.readUInt32BE(0), fields }
  } catch (error) {
    if (error instanceof RangeError) throw new WireError('the record ends too early')
    throw error
  }
}

interface Cursor {
  readonly bytes: Buffer
  at: number
}

const depthMax = 8

function takeRecord(cursor: Cursor, depth: number): Fields {
  if (depth > depthMax) throw new WireError('records too deep')
  const count = takeByte(cursor)
  const fields: Record<string, Value> = Object.create(null) as Record<string, Value>
  for (let index = 0; index < count; index++) {
    const name = takeSlice(cursor, takeByte(cursor)).toString('latin1')
    fields[name] = takeValue(cursor, depth)
  }
  return fields
}

function takeValue(cursor: Cursor, depth: number): Value {
  const type = takeByte(cursor)
  switch (type) {
    case 1:
      return takeSlice(cursor, takeLength(cursor)).toString('utf8')
    case 2: {
      const slice = takeSlice(cursor, takeLength(cursor))
      const own = ownBytes(slice.length)
      slice.copy(own)
      return own
    }
    case 3:
      return takeSlice(cursor, 8).readDoubleBE(0)
    case 4:
      return true
    case 5:
      return false
    case 6:
      return takeRecord(cursor, depth + 1)
    case 7: {
      const count = takeLength(cursor)
      if (count > cursor.bytes.length - cursor.at || depth > depthMax) throw new WireError('no such list')
      return Array.from({ length: count }, () => takeValue(cursor, depth + 1))
    }
    default:
      throw new WireError('a value of no known type')
  }
}

function takeByte(cursor: Cursor): number {
  if (cursor.at >= cursor.bytes.length) throw new WireError('the record ends too early')
  return cursor.bytes[cursor.at++]!
}

function takeLength(cursor: Cursor): number {
  return takeSlice(cursor, 4).readUInt32BE(0)
}

function takeSlice(cursor: Cursor, length: number): Buffer {
  const end = cursor.at + length
  if (end > cursor.bytes.length) throw new WireError('the record ends too early')
  const slice = cursor.bytes.subarray(cursor.at, end)
  cursor.at = end
  return slice
}
