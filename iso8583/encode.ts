import { words, writeBitmaps } from './bitmap.ts'
import type { MessageBody } from './message.ts'
import { elementsMax, type Table, type Writer } from './table.ts'
import { RowWriter } from './writer.ts'

/** Writes messages of one dialect. The bitmap follows from the elements. */
export class Encoder {
  readonly #table: Table
  #writer: RowWriter | undefined
  #busy = false

  constructor(table: Table) {
    this.#table = table
  }

  encode(body: MessageBody): Buffer {
    // A dialect's `refine` may encode in its turn; the buffer below is then in use.
    if (this.#busy) return new Encoder(this.#table).encode(body)
    const writer = (this.#writer ??= new RowWriter(this.#table, this.#table.bytesMax))
    this.#busy = true
    writer.at = 0
    try {
      write(this.#table, writer, body)
      const out = Buffer.allocUnsafe(writer.at)
      writer.buffer.copy(out, 0, 0, writer.at)
      return out
    } finally {
      // Nothing of a card stays behind in a buffer that lives on.
      Uint8Array.prototype.fill.call(writer.buffer, 0, 0, writer.at)
      this.#busy = false
    }
  }
}

function write(table: Table, writer: Writer, body: MessageBody): void {
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
 * Fills `words` and answers how many bitmaps they need. Every number an element can have is tried, which costs half
 * of asking the object for its keys; a key that is no such number is not looked at.
 */
function presentIn(table: Table, writer: Writer, fields: MessageBody['fields']): number {
  const { declared } = table
  words.fill(0)
  let last = 0
  for (let de = 1; de <= elementsMax; de++) {
    if (fields[de] === undefined) continue
    const word = (de - 1) >> 5
    const bit = 0x80000000 >>> ((de - 1) & 31)
    if ((declared[word]! & bit) === 0) writer.fail('FIELD_NOT_IN_SPEC', paths[de]!)
    words[word]! |= bit
    last = de
  }
  return last > 128 ? 3 : last > 64 ? 2 : 1
}
