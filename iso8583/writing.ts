import type { EncodingProfile, LengthSpec, PlainSpec, Writing } from './dialect.ts'

/** How a plain field is written, once its dialect has had its say. */
export function writingOf(spec: PlainSpec, defaults: EncodingProfile): Exclude<Writing, 'text'> {
  if (spec.written === 'text') return defaults.text
  if (spec.written !== undefined) return spec.written
  if (spec.allowed === 'b') return defaults.bytes
  if (spec.allowed === 'n') return defaults.digits
  if (spec.allowed === 'z' || spec.allowed === 'h')
    return defaults.digits === 'bcd' ? 'nibbles' : defaults.text
  return defaults.text
}

/** How many bytes a length is on the wire. */
export function lengthBytesOf(length: LengthSpec, written: string): number {
  if (written === 'binary') return length.bytes ?? Math.ceil(length.width / 2)
  return written === 'bcd' ? Math.ceil(length.width / 2) : length.width
}
