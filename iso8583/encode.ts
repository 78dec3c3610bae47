import { words, writeBitmaps } from './bitmap.ts'
import type { MessageBody } from './message.ts'
import { elementsMax, type Table, type Writer } from './table.ts'
import { noRoom, RowWriter } from './writer.ts'

/**
 * Messages are written one behind the other into slabs of this size, as the engine does with small buffers: nothing is
 * copied, and who keeps one message keeps no more than this.
 */
const slabBytes = 16 * 1024
/** Less room than this is not tried; most messages are shorter. */
const roomBytesMin = 1024

/** Writes messages of one dialect. The bitmap follows from the elements. */
export class Encoder {
  readonly #table: Table
  #slab: RowWriter | undefined
  #busy = false

  constructor(table: Table) {
    this.#table = table
  }

  encode(body: MessageBody): Buffer {
    // A dialect's `refine` may encode in its turn; the slab is then in use.
    if (this.#busy) return new Encoder(this.#table).encode(body)
    let slab = this.#slab
    if (slab === undefined || slab.buffer.length - slab.at < roomBytesMin)
      this.#slab = slab = new RowWriter(this.#table, slabBytes, true)
    const start = slab.at
    this.#busy = true
    try {
      write(this.#table, slab, body)
      return slab.buffer.subarray(start, slab.at)
    } catch (error) {
      // Nothing of a message that failed stays behind for the next one to lie beside.
      slab.buffer.fill(0, start)
      slab.at = start
      if (error !== noRoom) throw error
      return writeAlone(this.#table, body)
    } finally {
      this.#busy = false
    }
  }
}

/** A message that the slab has no room for, or that no message of the dialect has room for. */
function writeAlone(table: Table, body: MessageBody): Buffer {
  const writer = new RowWriter(table, table.bytesMax, false)
  write(table, writer, body)
  return Buffer.from(writer.buffer.subarray(0, writer.at))
}

function write(table: Table, writer: RowWriter, body: MessageBody): void {
  // A body may come from outside, through `~standard` for one.
  const given = body as Partial<MessageBody> | undefined | null
  const mti = given?.mti
  const fields = given?.fields as MessageBody['fields'] | undefined | null
  if (typeof fields !== 'object' || fields === null) return writer.fail('VALUE_MISSING', 'fields')
  if (typeof mti !== 'string') return writer.fail('VALUE_MISSING', 'mti')
  const bitmaps = presentIn(table, writer, fields)
  writer.row(0, mti, 'mti')
  const bitmapAt = writer.at
  const size = bitmaps * (table.bitmap.hex ? 16 : 8)
  writer.need(size, 'bitmap')
  writer.at += size
  for (let word = 0; word < bitmaps * 2; word++) {
    let left = words[word]!
    while (left !== 0) {
      const lead = Math.clz32(left)
      left &= ~(0x80000000 >>> lead)
      const de = word * 32 + lead + 1
      writer.row(de, fields[de]!, paths[de]!)
    }
  }
  writeBitmaps(table, writer, bitmapAt, bitmaps)
}

const paths = Array.from({ length: elementsMax + 1 }, (_, de) => String(de))

/**
 * Fills `words` and answers how many bitmaps they need. Every number an element can have is tried, which costs a third
 * of asking the object for its keys; a key that is no such number is not looked at.
 */
function presentIn(table: Table, writer: Writer, fields: MessageBody['fields']): number {
  const { declared } = table
  for (let word = 0, de = 1; word < 6; word++) {
    let bits = 0
    for (let nibble = 0; nibble < 8; nibble++, de += 4) {
      bits <<= 4
      if (fields[de] !== undefined) bits |= 8
      if (fields[de + 1] !== undefined) bits |= 4
      if (fields[de + 2] !== undefined) bits |= 2
      if (fields[de + 3] !== undefined) bits |= 1
    }
    words[word] = bits
    const unknown = bits & ~declared[word]!
    if (unknown !== 0) writer.fail('FIELD_NOT_IN_SPEC', paths[word * 32 + Math.clz32(unknown) + 1]!)
  }
  return (words[4]! | words[5]!) !== 0 ? 3 : (words[2]! | words[3]!) !== 0 ? 2 : 1
}
