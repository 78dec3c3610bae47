import type { Dialect, FieldSpec, LengthSpec, PlainSpec } from './dialect.ts'
import { lengthBytesOf, writingOf } from './writing.ts'

/** EMV tags of the card number, track data and what is like them: no declaration may have them shown. */
const neverOpen = ['56', '57', '5A', '9F1F', '9F20', '9F6B']

/** Notes one mistake: where, and what is wrong there. */
export type Say = (path: string, what: string) => void

/** What is wrong with one field's declaration, by itself and in its dialect's profile. */
export function checkField(field: FieldSpec, path: string, dialect: Dialect, say: Say): void {
  if (field.length !== undefined) checkLength(field.length, path, say)
  switch (field.kind) {
    case 'plain': {
      checkPlain(field, path, dialect, say)
      return
    }
    case 'positional': {
      const parts = Object.entries(field.parts)
      if (parts.length === 0) say(path, 'has no parts')
      for (const [name, part] of parts) {
        if (/^\d+$/.test(name)) say(`${path}.${name}`, 'needs a name that is not a number')
        checkField(part, `${path}.${name}`, dialect, say)
        if (part.length !== undefined && field.length === undefined) {
          say(`${path}.${name}`, 'varies in size inside an element of fixed size')
        }
      }
      if (field.optionalFrom !== undefined && !Object.hasOwn(field.parts, field.optionalFrom)) {
        say(path, 'has no part of the name that optionalFrom gives')
      }
      if (field.optionalFrom !== undefined && field.length === undefined)
        say(path, 'has optional parts and a fixed size')
      return
    }
    case 'tagged':
      if (field.length === undefined) say(path, 'needs a length')
      if (field.tag.min !== field.tag.max || field.tag.length !== undefined)
        say(path, 'needs a tag of fixed size')
      if (field.tag.allowed === 'b') say(path, 'needs a tag of characters')
      checkPlain(field.tag, `${path} tag`, dialect, say)
      checkLength(field.len, `${path} inner`, say)
      for (const [tag, content] of Object.entries(field.tags)) {
        if (tag.length !== field.tag.max) say(`${path}.${tag}`, `is not a tag of size ${field.tag.max}`)
        checkPlain({ ...content, length: field.len }, `${path}.${tag}`, dialect, say)
      }
      {
        checkCapacity(field, field.max, path, dialect, say)
        return
      }
    case 'bertlv':
    case 'datasets':
      if (field.length === undefined) say(path, 'needs a length')
      for (const [tag, { open }] of Object.entries(field.tags)) {
        if (!/^([0-9A-F]{2}){1,4}$/.test(tag)) say(`${path}.${tag}`, 'is not a tag in upper-case hexadecimal')
        if (open && neverOpen.includes(tag))
          say(`${path}.${tag}`, 'holds card or track data and must not be open')
      }
      {
        checkCapacity(field, field.max, path, dialect, say)
        return
      }
    case 'bitmapped':
      if (field.length === undefined) say(path, 'needs a length')
      if (field.bitmap.bytes < 1 || field.bitmap.bytes > 24) say(path, 'has a bitmap of 1 to 24 bytes')
      for (const [bit, part] of Object.entries(field.fields)) {
        const inRange =
          Number.isInteger(Number(bit)) && Number(bit) >= 1 && Number(bit) <= field.bitmap.bytes * 8
        if (!inRange) say(`${path}.${bit}`, 'has no bit in the bitmap')
        checkField(part, `${path}.${bit}`, dialect, say)
      }
      {
        checkCapacity(field, field.max, path, dialect, say)
        return
      }
  }
}

function checkPlain(field: PlainSpec, path: string, dialect: Dialect, say: Say): void {
  const { min, max, allowed, value, length } = field
  const written = writingOf(field, dialect.defaults)
  if (!(Number.isInteger(min) && Number.isInteger(max) && min >= 0 && max >= 1 && min <= max)) {
    say(path, 'has no possible size')
    return
  }
  if (length === undefined && min !== max) say(path, 'needs a length, or a fixed size')
  if ((allowed === 'b') !== (value === 'bytes')) say(path, 'is bytes in one place and text in another')
  if ((written === 'bytes' || written === 'hex') !== (allowed === 'b'))
    say(path, `cannot be written as ${written}`)
  if ((written === 'bcd' || written === 'nibbles') && !['n', 'z', 'h'].includes(allowed)) {
    say(path, `cannot be written as ${written}`)
  }
  if (value === 'amount' && (allowed !== 'n' || length !== undefined))
    say(path, 'is an amount only as digits of fixed size')
  if (field.trim !== undefined && length === undefined && field.fill !== field.trim) {
    say(path, 'takes off on decoding what encoding does not fill in')
  }
  const counts = length?.counts
  if (counts === 'digits' && !['n', 'z', 'h'].includes(allowed)) say(path, 'counts digits and holds none')
  if (counts === 'characters' && written === 'bytes') say(path, 'counts characters and holds bytes')
  checkCapacity(field, max, path, dialect, say)
}

function checkLength(length: LengthSpec, path: string, say: Say): void {
  if (!(Number.isInteger(length.width) && length.width >= 1 && length.width <= 6))
    say(path, 'has a length of 1 to 6 digits')
  if (
    length.bytes !== undefined &&
    !(Number.isInteger(length.bytes) && length.bytes >= 1 && length.bytes <= 3)
  ) {
    say(path, 'has a binary length of 1 to 3 bytes')
  }
}

/** Whether the length can say what the field may hold. */
function checkCapacity(field: FieldSpec, max: number, path: string, dialect: Dialect, say: Say): void {
  const { length } = field
  if (length === undefined) return
  const written = length.written ?? dialect.defaults.len
  const bytes = lengthBytesOf(length, written)
  const capacity = written === 'binary' ? 256 ** bytes - 1 : 10 ** length.width - 1
  const isHex =
    field.kind === 'plain'
      ? writingOf(field, dialect.defaults) === 'hex'
      : field.kind === 'bertlv' && (field.written ?? dialect.defaults.bytes) === 'hex'
  const counted = length.counts === 'characters' && isHex ? max * 2 : max
  const isPacked = field.kind === 'plain' && ['bcd', 'nibbles'].includes(writingOf(field, dialect.defaults))
  const needed = length.counts === 'bytes' && isPacked ? Math.ceil(max / 2) : counted
  if (needed > capacity) say(path, `may hold ${needed}, more than its length can say (${capacity})`)
}
