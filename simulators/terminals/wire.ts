/**
 * ISO 8583:1987 in ASCII as our terminals speak it: a second codec, written apart from the switch's, so that one
 * codec's mistake cannot cancel itself out at both ends of a line. Elements a terminal never sees are not in it.
 */
export interface WireMessage {
  readonly mti: string
  /** Digits and text as they are on the wire; binary elements as hex, upper case. */
  readonly fields: Readonly<Record<number, string>>
}

/** How the bitmap is written: 8 bytes, or 16 hex digits. */
export type BitmapForm = 'binary' | 'hex'

interface Element {
  /** Digits, any printable text, or hex digits of binary data. */
  readonly holds: 'digits' | 'text' | 'track' | 'hex'
  /** The length, or the greatest one where digits before the value say it. */
  readonly length: number
  readonly lengthDigits: 0 | 2 | 3
}

const digits = (length: number): Element => ({ holds: 'digits', length, lengthDigits: 0 })
const text = (length: number): Element => ({ holds: 'text', length, lengthDigits: 0 })
const hex = (length: number): Element => ({ holds: 'hex', length, lengthDigits: 0 })

/** ISO 8583:1987, table of data elements. */
const elements: Readonly<Partial<Record<number, Element>>> = {
  2: { holds: 'digits', length: 19, lengthDigits: 2 },
  3: digits(6),
  4: digits(12),
  6: digits(12),
  7: digits(10),
  10: digits(8),
  11: digits(6),
  12: digits(6),
  13: digits(4),
  14: digits(4),
  15: digits(4),
  16: digits(4),
  18: digits(4),
  22: digits(3),
  25: digits(2),
  28: text(9),
  32: { holds: 'digits', length: 11, lengthDigits: 2 },
  33: { holds: 'digits', length: 11, lengthDigits: 2 },
  35: { holds: 'track', length: 37, lengthDigits: 2 },
  37: text(12),
  38: text(6),
  39: text(2),
  41: text(8),
  42: text(15),
  43: text(40),
  44: { holds: 'text', length: 25, lengthDigits: 2 },
  48: { holds: 'text', length: 999, lengthDigits: 3 },
  49: text(3),
  51: text(3),
  52: hex(16),
  54: { holds: 'text', length: 120, lengthDigits: 3 },
  64: hex(16),
  70: digits(3),
  71: digits(4),
  72: digits(4),
  90: digits(42),
  95: text(42),
  102: { holds: 'text', length: 28, lengthDigits: 2 },
  103: { holds: 'text', length: 28, lengthDigits: 2 },
  128: hex(16),
}

/** What a value of each kind is made of. */
const alphabets = {
  digits: /^[0-9]*$/,
  text: /^[ -~]*$/,
  track: /^[0-9=D]*$/,
  hex: /^[0-9A-F]*$/,
} as const

/**
 * The bytes of a message. With `seal`, the last element (DE64, or DE128 where the message has a second bitmap) is
 * the seal of every byte before it. Values are not checked against the alphabet: a terminal may be broken.
 */
export function encode(message: WireMessage, form: BitmapForm, seal?: (bytes: Buffer) => Buffer): Buffer {
  const present = Object.keys(message.fields).map(Number)
  const sealElement = present.some((de) => de > 64) ? 128 : 64
  const unsealed = Buffer.concat([
    Buffer.from(message.mti, 'latin1'),
    bitmap(seal === undefined ? present : [...present, sealElement], form),
    ...present.sort((a, b) => a - b).map((de) => valueBytes(de, message.fields[de]!)),
  ])
  if (seal === undefined) return unsealed
  return Buffer.concat([unsealed, Buffer.from(seal(unsealed).toString('hex').toUpperCase(), 'latin1')])
}

function bitmap(present: readonly number[], form: BitmapForm): Buffer {
  const second = present.some((de) => de > 64)
  const bits = Buffer.alloc(second ? 16 : 8)
  for (const de of second ? [1, ...present] : present) bits[(de - 1) >> 3]! |= 0x80 >> ((de - 1) & 7)
  return form === 'binary' ? bits : Buffer.from(bits.toString('hex').toUpperCase(), 'latin1')
}

function valueBytes(de: number, value: string): Buffer {
  const lengthDigits = elements[de]?.lengthDigits ?? 0
  const prefix = lengthDigits === 0 ? '' : value.length.toString().padStart(lengthDigits, '0')
  return Buffer.from(prefix + value, 'latin1')
}

export type Decoded =
  | {
      readonly kind: 'message'
      readonly message: WireMessage
      /** The bytes that the last element seals, when that element is DE64 or DE128. */
      readonly sealed?: { readonly bytes: Buffer; readonly mac: Buffer }
    }
  /** `de` is the element that could not be read; `before` holds those ahead of it. */
  | { readonly kind: 'malformed'; readonly de: number; readonly before: Readonly<Record<number, string>> }

/** Strict: unknown elements, wrong characters and bytes left over are all malformed. */
export function decode(bytes: Buffer, form: BitmapForm): Decoded {
  const mti = bytes.toString('latin1', 0, 4)
  if (!/^[0-9]{4}$/.test(mti)) return { kind: 'malformed', de: 0, before: {} }
  const map = readBitmap(bytes, form)
  if (map === undefined) return { kind: 'malformed', de: 1, before: {} }
  const fields: Record<number, string> = {}
  let offset = map.end
  for (const de of map.present) {
    const value = readValue(bytes, offset, de)
    if (value === undefined) return { kind: 'malformed', de, before: fields }
    fields[de] = value.text
    offset = value.end
  }
  if (offset !== bytes.length) return { kind: 'malformed', de: 129, before: fields }
  const message = { mti, fields }
  const mac = fields[128] ?? fields[64]
  if (mac === undefined) return { kind: 'message', message }
  return { kind: 'message', message, sealed: { bytes: bytes.subarray(0, -16), mac: Buffer.from(mac, 'hex') } }
}

function readBitmap(bytes: Buffer, form: BitmapForm): { present: number[]; end: number } | undefined {
  const step = form === 'binary' ? 8 : 16
  const first = bitmapAt(bytes, 4, form)
  if (first === undefined) return undefined
  const second = (first[0]! & 0x80) === 0 ? Buffer.alloc(0) : bitmapAt(bytes, 4 + step, form)
  if (second === undefined) return undefined
  const bits = Buffer.concat([first, second])
  const present: number[] = []
  for (let de = 2; de <= bits.length * 8; de++) {
    if ((bits[(de - 1) >> 3]! & (0x80 >> ((de - 1) & 7))) !== 0) present.push(de)
  }
  return { present, end: 4 + (bits.length / 8) * step }
}

function bitmapAt(bytes: Buffer, start: number, form: BitmapForm): Buffer | undefined {
  const end = start + (form === 'binary' ? 8 : 16)
  if (bytes.length < end) return undefined
  if (form === 'binary') return bytes.subarray(start, end)
  const written = bytes.toString('latin1', start, end)
  return /^[0-9A-Fa-f]{16}$/.test(written) ? Buffer.from(written, 'hex') : undefined
}

function readValue(bytes: Buffer, start: number, de: number): { text: string; end: number } | undefined {
  const element = elements[de]
  if (element === undefined) return undefined
  let valueStart = start
  let length = element.length
  if (element.lengthDigits > 0) {
    valueStart += element.lengthDigits
    const written = bytes.toString('latin1', start, valueStart)
    if (!/^[0-9]+$/.test(written) || written.length !== element.lengthDigits) return undefined
    length = Number(written)
  }
  const end = valueStart + length
  if (length > element.length || end > bytes.length) return undefined
  const value = bytes.toString('latin1', valueStart, end)
  return alphabets[element.holds].test(value) ? { text: value, end } : undefined
}
