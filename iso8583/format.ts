import type { Dialect, EncodingProfile, FieldSpec, LengthSpec } from './dialect.ts'
import { lengthBytesOf, writingOf } from './writing.ts'

/** A field's format as a specification prints it: `LLVAR n..19`, `n 12`, `LLLVAR BER-TLV ..255`. */
export function formatOf(field: FieldSpec): string {
  const prefix = field.length === undefined ? '' : `${'L'.repeat(field.length.width)}VAR `
  switch (field.kind) {
    case 'plain': {
      const alphabet = field.allowed === 'h' ? 'hexadecimal digits' : field.allowed
      return `${prefix}${alphabet} ${field.length === undefined ? '' : '..'}${field.max}`
    }
    case 'positional':
      return `${prefix}${Object.entries(field.parts)
        .map(([name, part]) => `${name} ${formatOf(part)}`)
        .join(', ')}`
    case 'tagged':
      return `${prefix}tag ${formatOf(field.tag)}, length ${field.len.width}, value`
    case 'bertlv':
      return `${prefix}BER-TLV ..${field.max}`
    case 'bitmapped':
      return `${prefix}bitmap of ${field.bitmap.bytes} bytes, ${Object.keys(field.fields).length} subfields`
    case 'datasets':
      return `${prefix}datasets ..${field.max}`
  }
}

const packed = {
  bcd: 'packed digits',
  nibbles: 'packed nibbles',
  bytes: 'bytes',
  hex: 'hexadecimal',
} as const

/** How it is written in this dialect: `packed digits, length 1 byte BCD of digits`. */
export function writingText(field: FieldSpec, defaults: EncodingProfile): string {
  const content = contentText(field, defaults)
  return field.length === undefined ? content : `${content}, ${lengthText(field, field.length, defaults)}`
}

function contentText(field: FieldSpec, defaults: EncodingProfile): string {
  switch (field.kind) {
    case 'plain': {
      const written = writingOf(field, defaults)
      const text = written in packed ? packed[written as keyof typeof packed] : written.toUpperCase()
      const size = field.length !== undefined || field.max % 2 === 1
      const isOdd = size && (written === 'bcd' || written === 'nibbles')
      return isOdd ? `${text} (odd: ${field.odd ?? defaults.odd ?? 'left-0'})` : text
    }
    case 'positional': {
      const texts = Object.values(field.parts).map((part) => contentText(part, defaults))
      return [...new Set(texts)].join(' and ')
    }
    case 'tagged':
      return contentText(field.tag, defaults)
    case 'bertlv':
      return (field.written ?? defaults.bytes) === 'hex' ? 'hexadecimal' : 'bytes'
    case 'bitmapped':
    case 'datasets':
      return 'bytes'
  }
}

function lengthText(field: FieldSpec, length: LengthSpec, defaults: EncodingProfile): string {
  const written = length.written ?? defaults.len
  const size = lengthBytesOf(length, written)
  const isText = field.kind === 'plain' && field.allowed !== 'b'
  const counts =
    length.counts ??
    (!isText
      ? 'bytes'
      : field.allowed === 'n' || field.allowed === 'z' || field.allowed === 'h'
        ? 'digits'
        : 'characters')
  const how =
    written === 'binary' || written === 'bcd'
      ? `${size} byte${size === 1 ? '' : 's'} ${written === 'bcd' ? 'BCD' : 'binary'}`
      : `${size} ${written.toUpperCase()} digit${size === 1 ? '' : 's'}`
  return `length ${how} of ${counts}`
}

/** What a dialect changes in the one it was derived from, a line each. */
export function differences(dialect: Dialect): readonly string[] {
  const { base } = dialect
  if (base === undefined) return []
  const out: string[] = []
  for (const part of ['mti', 'bitmap', 'defaults', 'settings', 'answers'] as const) {
    const [ours, theirs] = [JSON.stringify(dialect[part] ?? {}), JSON.stringify(base[part] ?? {})]
    if (ours !== theirs) out.push(`${part}: ${theirs} becomes ${ours}`)
  }
  const numbers = new Set([...Object.keys(base.fields), ...Object.keys(dialect.fields)].map(Number))
  for (const de of [...numbers].sort((a, b) => a - b)) {
    const [ours, theirs] = [dialect.fields[de], base.fields[de]]
    if (ours === undefined) out.push(`DE${de}: absent`)
    else if (theirs === undefined) out.push(`DE${de}: added, ${formatOf(ours)}`)
    else if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
      out.push(
        `DE${de}: ${formatOf(theirs)} becomes ${formatOf(ours)}${ours.sensitive === theirs.sensitive ? '' : `, ${ours.sensitive ?? 'shown'}`}`,
      )
    }
  }
  return out
}
