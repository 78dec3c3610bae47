import { type Codec, tableOf } from './codec.ts'
import { DecodedMessage } from './decoded.ts'
import type { IsoCodecError } from './error.ts'
import { printable } from './dump.ts'
import { formatOf, writingText } from './format.ts'
import { walkTags } from './field/bertlv.ts'
import type { FieldSpec } from './dialect.ts'
import { packing } from './table.ts'

/** A run of bytes of a message and what it is. */
export interface Span {
  /** `mti`, `bitmap`, `35`, `55.9F26`. */
  readonly path: string
  readonly start: number
  readonly end: number
  readonly title: string
  readonly format: string
  readonly writing: string
  /** Masked. Absent for what holds other spans. */
  readonly value?: unknown
}

export interface Explanation {
  readonly spans: readonly Span[]
  /** What stops the reading, after the spans before it. */
  readonly error?: IsoCodecError
}

/** Every byte range of a message side by side with its element. Masked; of a bad message, up to the fault. */
export function explain(codec: Codec, bytes: Uint8Array): Explanation {
  const result = codec.tryDecode(bytes)
  const message = result.ok ? result.message : result.error.partial
  const spans = message instanceof DecodedMessage ? spansOf(codec, message) : []
  return result.ok ? { spans } : { spans, error: result.error }
}

function spansOf(codec: Codec, message: DecodedMessage): Span[] {
  const { dialect } = codec
  const table = tableOf(codec)
  const mtiEnd = table.packing[0] === packing.nibbles ? 2 : 4
  if (message.mti === '') return []
  const spans: Span[] = [
    {
      path: 'mti',
      start: 0,
      end: mtiEnd,
      title: 'Message type',
      format: formatOf(dialect.mti),
      writing: writingText(dialect.mti, dialect.defaults),
      value: message.mti,
    },
  ]
  const first = message.elements[0]
  const bitmapEnd = first === undefined ? message.bytes.length : message.span(first)!.from
  spans.push({
    path: 'bitmap',
    start: mtiEnd,
    end: bitmapEnd,
    title: 'Bitmap',
    format: `b ${dialect.bitmap.written === 'hex' ? (bitmapEnd - mtiEnd) / 2 : bitmapEnd - mtiEnd}`,
    writing: dialect.bitmap.written === 'hex' ? 'hexadecimal' : 'bytes',
    value: message.elements.join(' '),
  })
  for (const de of message.elements) spans.push(...elementSpans(codec, message, de))
  return spans
}

function elementSpans(codec: Codec, message: DecodedMessage, de: number): Span[] {
  const table = tableOf(codec)
  const field: FieldSpec = codec.dialect.fields[de]!
  const { from, end, start } = message.span(de)!
  const masked = printable(table, de, message.get(de)!)
  const holdsTags = field.kind === 'bertlv' && table.packing[de] === packing.single
  const whole: Span = {
    path: String(de),
    start: from,
    end,
    title: field.title ?? '',
    format: formatOf(field),
    writing: writingText(field, codec.dialect.defaults),
    ...(!holdsTags && { value: masked }),
  }
  if (!holdsTags) return [whole]
  const shown = masked as Readonly<Record<string, unknown>>
  const inner = walkTags(message.bytes, start, end).map(
    ({ tag, name, from: tagFrom, end: tagEnd }): Span => ({
      path: `${de}.${name}`,
      start: tagFrom,
      end: tagEnd,
      title: field.tags[tag]?.name ?? '',
      format: 'tag',
      writing: 'bytes',
      value: shown[name],
    }),
  )
  return [whole, ...inner]
}
