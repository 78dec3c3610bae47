import { cursor, wrong } from '../cursor.ts'
import type { DatasetsSpec } from '../dialect.ts'
import type { FieldValue } from '../message.ts'
import { BerTlv } from './bertlv.ts'
import type { Nested, Source, Writer } from '../table.ts'
import { isParts, put, nestedObject, tagOf, withWire } from './nested.ts'
import { writeWire } from './tagged.ts'

const datasetsMax = 32

/** ISO 8583:2003 composite elements: an identifier byte, two bytes of length, then BER-TLV, again and again. */
export class Datasets implements Nested {
  readonly #inner: BerTlv

  constructor(spec: Pick<DatasetsSpec, 'tags' | 'unknown'>) {
    this.#inner = new BerTlv({ ...spec, padding: 'refuse' })
  }

  check(bytes: Buffer, start: number, end: number): boolean {
    let at = start
    for (let count = 1; at < end; count++) {
      if (count > datasetsMax) return wrong('TOO_MANY_TAGS', '', at, datasetsMax, count)
      if (end - at < 3) return wrong('TRUNCATED', '', at, 3, end - at)
      const size = bytes.readUInt16BE(at + 1)
      const id = bytes.toString('hex', at, at + 1).toUpperCase()
      if (size > end - at - 3) return wrong('TLV_OVERRUN', `.${id}`, at + 1, size, end - at - 3)
      if (!this.#inner.check(bytes, at + 3, at + 3 + size)) {
        cursor.path = `.${id}${cursor.path}`
        return false
      }
      at += 3 + size
    }
    return true
  }

  read(source: Source, start: number, end: number, masked: boolean): FieldValue {
    const out = nestedObject()
    const { bytes } = source
    let at = start
    while (at < end) {
      const size = bytes.readUInt16BE(at + 1)
      put(
        out,
        bytes.toString('hex', at, at + 1).toUpperCase(),
        this.#inner.read(source, at + 3, at + 3 + size, masked),
      )
      at += 3 + size
    }
    return masked ? Object.freeze(out) : withWire(out, bytes.subarray(start, end))
  }

  rowOf(): number {
    return 0
  }

  mayShow(): boolean {
    return false
  }

  write(writer: Writer, value: FieldValue, path: string): void {
    if (writeWire(this, writer, value, path)) return
    if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
    for (const name of Object.keys(value)) {
      const id = tagOf(name)
      if (!/^[0-9A-F]{2}$/.test(id)) return writer.fail('BAD_TLV_TAG', path)
      writer.need(3, path)
      const at = writer.at
      writer.at += 3
      this.#inner.write(writer, value[name]!, `${path}.${id}`)
      const size = writer.at - at - 3
      if (size > 0xffff) writer.fail('VALUE_TOO_LONG', `${path}.${id}`, 0xffff, size)
      writer.buffer[at] = Number.parseInt(id, 16)
      writer.buffer.writeUInt16BE(size, at + 1)
    }
  }
}
