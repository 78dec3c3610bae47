/** Something that must be nowhere. `name` says which one to a reader who must not be shown the value. */
export type Canary =
  | { readonly kind: 'pan'; readonly name: string; readonly value: string }
  /** Track 2 as DE35 has it, with `=` or `D` between number and expiry. */
  | { readonly kind: 'track'; readonly name: string; readonly value: string }
  /** 16 hexadecimal digits. */
  | { readonly kind: 'pinBlock'; readonly name: string; readonly value: string }

export type Encoding = 'text' | 'hex' | 'ebcdic' | 'base64' | 'utf16' | 'reversed' | 'packed' | 'separated'

export interface Form {
  readonly canary: Canary
  readonly encoding: Encoding
  /** What to look for, in symbols of the alphabet that the form's automaton reads. */
  readonly symbols: Uint8Array
}

/** What a canary looks like when it is written out: patterns of whole bytes. */
export function byteForms(canary: Canary): Form[] {
  const form = (encoding: Encoding, symbols: Uint8Array): Form => ({ canary, encoding, symbols })
  return spellings(canary).flatMap((text) => {
    const ascii = Buffer.from(text, 'latin1')
    return [
      form('text', ascii),
      form('hex', Buffer.from(ascii.toString('hex'), 'latin1')),
      form('hex', Buffer.from(ascii.toString('hex').toUpperCase(), 'latin1')),
      form(
        'ebcdic',
        ascii.map((byte) => ebcdic(byte)),
      ),
      // Without the last zero, so that both byte orders are found.
      form('utf16', Buffer.from(text, 'utf16le').subarray(0, -1)),
      form('reversed', Buffer.from(ascii).reverse()),
      ...[ascii, rawBytes(canary)].flatMap(base64Forms).map((symbols) => form('base64', symbols)),
    ]
  })
}

/** Packed decimal digits, and the bytes of a PIN block: patterns of half bytes, found at either half. */
export function nibbleForm(canary: Canary): Form {
  return { canary, encoding: 'packed', symbols: nibblesOf(canary) }
}

/**
 * Packed, it is one or two bytes over and over, as in a free space map: there each page of a table is a byte, and neighbours
 * have much the same.
 */
export function isMonotonous(canary: Canary): boolean {
  const digits = nibblesOf(canary)
  const bytesFrom = (start: number): Set<number> =>
    new Set(
      Array.from({ length: (digits.length - start) >> 1 }, (_, index) => {
        const at = start + 2 * index
        return digits[at]! * 16 + digits[at + 1]!
      }),
    )
  return bytesFrom(0).size <= 2 || bytesFrom(1).size <= 2
}

/** A card number whose digits stand in groups: a pattern of digits, read past single spaces and dashes. */
export function digitForms(canary: Canary): Form[] {
  if (canary.kind !== 'pan') return []
  return [{ canary, encoding: 'separated', symbols: nibblesOf(canary) }]
}

function spellings({ kind, value }: Canary): string[] {
  switch (kind) {
    case 'pan':
      return [value]
    case 'track':
      return [value.replace('D', '='), value.replace('=', 'D')]
    case 'pinBlock':
      return [value.toUpperCase(), value.toLowerCase()]
  }
}

function nibblesOf({ value }: Canary): Uint8Array {
  return Uint8Array.from(value.replace('=', 'D'), (digit) => Number.parseInt(digit, 16))
}

/** The value in as few bytes as it takes; a last odd digit is left off, since what pads it may differ. */
function rawBytes(canary: Canary): Buffer {
  const digits = canary.value.replace('=', 'D')
  return Buffer.from(digits.slice(0, digits.length & ~1), 'hex')
}

/** Three of them: what goes before decides how the bytes fall into groups of six bits. The ends are left off. */
function base64Forms(bytes: Uint8Array): Uint8Array[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const first = Math.ceil((before * 8) / 6)
    const end = Math.floor(((before + bytes.length) * 8) / 6)
    return Buffer.from(encoded.slice(first, end), 'latin1')
  })
}

/** IBM code page 037, for the characters that occur in a number, a track or hexadecimal text. */
function ebcdic(byte: number): number {
  const character = String.fromCharCode(byte)
  if (/[0-9]/.test(character)) return 0xf0 + byte - 0x30
  if (/[A-F]/.test(character)) return 0xc1 + byte - 0x41
  if (/[a-f]/.test(character)) return 0x81 + byte - 0x61
  return 0x7e // `=`
}
