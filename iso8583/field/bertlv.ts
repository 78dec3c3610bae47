import { wrong } from '../cursor.ts'
import type { BerTlvSpec, TagTable } from '../dialect.ts'
import { hidden } from '../mask.ts'
import type { FieldValue } from '../message.ts'
import { copied } from '../source.ts'
import type { Nested, Source, Writer } from '../table.ts'
import { isParts, put, nestedObject, tagOf, withWire } from './nested.ts'
import { writeWire } from './tagged.ts'

const depthMax = 8
const tagsMax = 256
const tagBytesMax = 4

/** BER-TLV as EMV Book 3, annex B restricts it: definite lengths only, of at most three further bytes. */
export class BerTlv implements Nested {
  readonly #tags: TagTable
  readonly #keepUnknown: boolean
  readonly #zeros: boolean

  constructor(spec: Pick<BerTlvSpec, 'tags' | 'unknown' | 'padding'>) {
    this.#tags = spec.tags
    this.#keepUnknown = spec.unknown === 'keep'
    this.#zeros = spec.padding === 'zeros'
  }

  /** A walk without recursion: what is nested is walked in place, and every step consumes a byte. */
  check(bytes: Buffer, start: number, end: number): boolean {
    // For each level of nesting, where it ends and where the tag that holds it begins.
    const ends = [end]
    const tagStarts: number[] = []
    let limit = end
    let at = start
    let count = 0
    for (;;) {
      while (at === limit) {
        if (ends.length === 1) return true
        ends.pop()
        tagStarts.pop()
        limit = ends[ends.length - 1]!
      }
      if (this.#zeros && ends.length === 1 && bytes[at] === 0) return onlyZeros(bytes, at, end)
      if (++count > tagsMax) return wrong('TOO_MANY_TAGS', pathOf(bytes, tagStarts), at, tagsMax, count)

      const tagEnd = endOfTag(bytes, at, limit)
      if (tagEnd < 0) return wrong('BAD_TLV_TAG', pathOf(bytes, tagStarts), at)
      if (!this.#keepUnknown && !Object.hasOwn(this.#tags, tagText(bytes, at, tagEnd))) {
        return wrong('TAG_NOT_IN_SPEC', pathOf(bytes, tagStarts), at)
      }
      tagStarts.push(at)
      if (tagEnd === limit) return wrong('BAD_TLV_LENGTH', pathOf(bytes, tagStarts), tagEnd, 1, 0)
      const lengthEnd = endOfLength(bytes, tagEnd, limit)
      if (lengthEnd < 0) return wrong('BAD_TLV_LENGTH', pathOf(bytes, tagStarts), tagEnd)
      const size = lengthOf(bytes, tagEnd, lengthEnd)
      if (size > limit - lengthEnd) {
        return wrong('TLV_OVERRUN', pathOf(bytes, tagStarts), tagEnd, size, limit - lengthEnd)
      }

      if ((bytes[at]! & 0x20) === 0) {
        tagStarts.pop()
        at = lengthEnd + size
      } else {
        if (ends.length === depthMax) {
          return wrong('TLV_TOO_DEEP', pathOf(bytes, tagStarts), at, depthMax, depthMax + 1)
        }
        at = lengthEnd
        limit = lengthEnd + size
        ends.push(limit)
      }
    }
  }

  read(source: Source, start: number, end: number, masked: boolean): FieldValue {
    const value = this.#tree(source.bytes, start, end, masked)
    return masked ? Object.freeze(value) : withWire(value, source.bytes.subarray(start, end))
  }

  /** As deep as `check` allowed and no deeper. */
  #tree(bytes: Buffer, start: number, end: number, masked: boolean): Record<string, FieldValue> {
    const out = nestedObject()
    let at = start
    while (at < end && !(this.#zeros && bytes[at] === 0)) {
      const tagEnd = endOfTag(bytes, at, end)
      const lengthEnd = endOfLength(bytes, tagEnd, end)
      const next = lengthEnd + lengthOf(bytes, tagEnd, lengthEnd)
      const tag = tagText(bytes, at, tagEnd)
      const isConstructed = (bytes[at]! & 0x20) !== 0
      if (isConstructed) put(out, tag, Object.freeze(this.#tree(bytes, lengthEnd, next, masked)))
      else if (masked && !this.mayShow(tag)) put(out, tag, hidden('emv'))
      else put(out, tag, copied(bytes, lengthEnd, next - lengthEnd))
      at = next
    }
    return out
  }

  mayShow(name: string): boolean {
    const tag = tagOf(name)
    return Object.hasOwn(this.#tags, tag) && this.#tags[tag]!.open
  }

  rowOf(): number {
    return 0
  }

  write(writer: Writer, value: FieldValue, path: string): void {
    if (writeWire(this, writer, value, path)) return
    const bytes = this.#encode(writer, value, path, 1)
    writer.need(bytes.length, path)
    writer.buffer.set(bytes, writer.at)
    writer.at += bytes.length
  }

  #encode(writer: Writer, value: FieldValue, path: string, depth: number): Buffer {
    if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
    const names = Object.keys(value)
    if (names.length > tagsMax) writer.fail('TOO_MANY_TAGS', path, tagsMax, names.length)
    if (depth > depthMax) writer.fail('TLV_TOO_DEEP', path, depthMax, depth)
    const out: Uint8Array[] = []
    for (const name of names) {
      const tag = tagOf(name)
      const inner = `${path}.${/^[0-9A-F]{2,8}$/.test(tag) ? tag : '?'}`
      const tagBytes = Buffer.from(tag, 'hex')
      if (tagBytes.length * 2 !== tag.length || endOfTag(tagBytes, 0, tagBytes.length) !== tagBytes.length) {
        writer.fail('BAD_TLV_TAG', inner)
      }
      if (!this.#keepUnknown && !Object.hasOwn(this.#tags, tag)) writer.fail('TAG_NOT_IN_SPEC', inner)
      const content = value[name]!
      const isConstructed = (tagBytes[0]! & 0x20) !== 0
      if (isConstructed ? !isParts(content) : !(content instanceof Uint8Array))
        writer.fail('VALUE_WRONG_TYPE', inner)
      const bytes = content instanceof Uint8Array ? content : this.#encode(writer, content, inner, depth + 1)
      if (bytes.length > 0xffffff) writer.fail('VALUE_TOO_LONG', inner, 0xffffff, bytes.length)
      out.push(tagBytes, lengthBytes(bytes.length), bytes)
    }
    return Buffer.concat(out)
  }
}

/** The tags of one level of data that `check` has passed, and where each lies. `name` tells repeated tags apart. */
export function walkTags(
  bytes: Buffer,
  start: number,
  end: number,
): readonly { readonly tag: string; readonly name: string; readonly from: number; readonly end: number }[] {
  const out: { tag: string; name: string; from: number; end: number }[] = []
  const seen = new Map<string, number>()
  for (let at = start; at < end && bytes[at] !== 0; ) {
    const tagEnd = endOfTag(bytes, at, end)
    const lengthEnd = endOfLength(bytes, tagEnd, end)
    const next = lengthEnd + lengthOf(bytes, tagEnd, lengthEnd)
    const tag = tagText(bytes, at, tagEnd)
    const nth = (seen.get(tag) ?? 0) + 1
    seen.set(tag, nth)
    out.push({ tag, name: nth === 1 ? tag : `${tag}#${nth}`, from: at, end: next })
    at = next
  }
  return out
}

function tagText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('hex', start, end).toUpperCase()
}

/** `.70.5A`, of the places where tags begin. */
function pathOf(bytes: Buffer, tagStarts: readonly number[]): string {
  return tagStarts.map((at) => `.${tagText(bytes, at, endOfTag(bytes, at, bytes.length))}`).join('')
}

/** Where the tag that begins at `at` ends, or -1. 00 is padding and not a tag. */
function endOfTag(bytes: Buffer, at: number, limit: number): number {
  const first = bytes[at]
  if (at >= limit || first === 0) return -1
  if ((first! & 0x1f) !== 0x1f) return at + 1
  for (let index = at + 1; index < limit && index < at + tagBytesMax; index++) {
    const byte = bytes[index]!
    // The number of a tag has no leading zeros (ISO/IEC 8825-1, 8.1.2.4.2).
    if (index === at + 1 && byte === 0x80) return -1
    if ((byte & 0x80) === 0) return index + 1
  }
  return -1
}

function endOfLength(bytes: Buffer, at: number, limit: number): number {
  const first = bytes[at]!
  if (first < 0x80) return at + 1
  const more = first & 0x7f
  if (more === 0 || more > 3 || more > limit - at - 1) return -1
  return at + 1 + more
}

function lengthOf(bytes: Buffer, at: number, end: number): number {
  if (end === at + 1) return bytes[at]!
  let size = 0
  for (let index = at + 1; index < end; index++) size = size * 256 + bytes[index]!
  return size
}

function lengthBytes(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size])
  if (size < 0x100) return Buffer.from([0x81, size])
  if (size < 0x10000) return Buffer.from([0x82, size >> 8, size & 255])
  return Buffer.from([0x83, size >> 16, (size >> 8) & 255, size & 255])
}

function onlyZeros(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return wrong('BAD_PADDING', '', at)
  return true
}
