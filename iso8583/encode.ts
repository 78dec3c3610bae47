import { writeBitmaps } from './bitmap.ts'
import { elementsOf } from './body.ts'
import { encodeQuickly, paths } from './encode-quick.ts'
import { type Beginning, Kinds } from './kinds.ts'
import type { MessageBody } from './message.ts'
import type { Table } from './table.ts'
import { noRoom, RowWriter } from './writer.ts'

/**
 * Messages are written one behind the other into slabs of this size, as the engine does with small buffers: nothing is
 * copied, and who keeps one message keeps no more than this.
 */
const slabBytes = 32 * 1024
/** Less room than this is not tried; most messages are shorter. */
const roomBytesMin = 1024

/**
 * Writes messages of one dialect: along the plan of their kind where nothing is to be said about them, else the careful
 * way. The bitmap follows from the elements.
 */
export class Encoder {
  readonly #table: Table
  readonly #kinds: Kinds
  #slab: RowWriter | undefined
  #busy = false

  constructor(table: Table) {
    this.#table = table
    this.#kinds = new Kinds(table)
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
      this.#write(slab, body)
      this.#busy = false
    } catch (error) {
      this.#busy = false
      // Nothing of a message that failed stays behind for the next one to lie beside.
      slab.buffer.fill(0, start)
      slab.at = start
      if (error !== noRoom) throw error
      return writeAlone(this.#table, body)
    }
    return slab.buffer.subarray(start, slab.at)
  }

  #write(slab: RowWriter, body: Partial<MessageBody> | undefined | null): void {
    const start = slab.at
    // A body may come from outside, through `~standard` for one.
    const { mti, fields } = body ?? noBody
    const kind = typeof mti === 'string' && isObject(fields) ? this.#kinds.find(mti, fields) : undefined
    const hasRoom = kind !== undefined && kind.bytesMax <= slab.buffer.length - start
    if (hasRoom && encodeQuickly(slab, kind, fields!)) return
    slab.at = start
    const beginning = writeCarefully(this.#table, slab, mti, fields)
    if (kind === undefined || hasRoom) this.#kinds.keep(beginning, Object.keys(fields!).length)
  }
}

const noBody: Partial<MessageBody> = {}

/** A message that the slab has no room for, or that no message of the dialect has room for. */
function writeAlone(table: Table, { mti, fields }: MessageBody): Buffer {
  const writer = new RowWriter(table, table.bytesMax, false)
  writeCarefully(table, writer, mti, fields)
  return Buffer.from(writer.buffer.subarray(0, writer.at))
}

/** Element by element, and with a word for whatever is wrong. Answers how the message begins. */
function writeCarefully(table: Table, writer: RowWriter, mti: unknown, fields: unknown): Beginning {
  if (!isObject(fields)) return writer.fail('VALUE_MISSING', 'fields')
  if (typeof mti !== 'string') return writer.fail('VALUE_MISSING', 'mti')
  const elements = elementsOf(table, writer, fields)
  const start = writer.at
  writer.row(0, mti, 'mti')
  writeBitmaps(writer, elements)
  const head = Uint8Array.from(writer.buffer.subarray(start, writer.at))
  for (const de of elements) writer.row(de, fields[de]!, paths[de]!)
  return { mti, elements, head }
}

function isObject(fields: unknown): fields is MessageBody['fields'] {
  return typeof fields === 'object' && fields !== null
}
