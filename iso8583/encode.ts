import { words, writeBitmaps } from './bitmap.ts'
import type { FieldValue, MessageBody } from './message.ts'
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
      return Buffer.from(writer.buffer.subarray(0, writer.at))
    } finally {
      // Nothing of a card stays behind in a buffer that lives on.
      writer.buffer.fill(0, 0, writer.at)
      this.#busy = false
    }
  }
}

function write(table: Table, writer: Writer, { mti, fields }: MessageBody): void {
  const elements: number[] = []
  let bitmaps = 1
  // Numbers as keys come in ascending order, which is the order on the wire.
  for (const key in fields) {
    const de = Number(key)
    if (fields[de] === undefined) continue
    if (!(de >= 1 && de <= elementsMax && Number.isInteger(de)) || !isDeclared(table, de)) {
      writer.fail('FIELD_NOT_IN_SPEC', /^\d{1,4}$/.test(key) ? key : 'fields')
    }
    elements.push(de)
    if (de > 128) bitmaps = 3
    else if (de > 64 && bitmaps === 1) bitmaps = 2
  }
  if (typeof mti !== 'string') writer.fail('VALUE_MISSING', 'mti')
  writer.row(0, mti, 'mti')
  const bitmapAt = writer.at
  const size = bitmaps * (table.bitmap.hex ? 16 : 8)
  writer.need(size, 'bitmap')
  writer.at += size
  for (const de of elements) writer.row(de, fields[de] as FieldValue, String(de))
  words.fill(0)
  for (const de of elements) words[(de - 1) >> 5]! |= 0x80000000 >>> ((de - 1) & 31)
  writeBitmaps(table, writer, bitmapAt, bitmaps)
}

function isDeclared(table: Table, de: number): boolean {
  return (table.declared[(de - 1) >> 5]! & (0x80000000 >>> ((de - 1) & 31))) !== 0
}
