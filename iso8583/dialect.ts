import type { Alphabet } from './alphabet.ts'
import type { Charset } from './charset.ts'
import type { AnyFields, FieldValue, MessageBody } from './message.ts'

/**
 * A dialect is plain, frozen data: it can be printed, compared, hashed, kept as JSON. Four things are said apart
 * for each element: which characters it may hold, how they are written, how its length is written, and what the
 * length counts.
 */
export interface Dialect<Fields extends FieldTable = FieldTable> {
  readonly name: string
  /** The year of the standard whose table this stands on. */
  readonly version: '1987' | '1993' | '2003'
  readonly about?: string
  /** What it was derived from. */
  readonly base?: Dialect
  readonly defaults: EncodingProfile
  readonly mti: FieldSpec
  readonly bitmap: BitmapSpec
  readonly fields: Fields
  readonly settings?: Settings
  readonly answers?: Answers
  /** `illustrative`: public facts only, not the network's own specification; not for production. */
  readonly fidelity?: 'generic' | 'illustrative'
  readonly notClaimed?: readonly string[]
}

/** From a request to its answer: see `answerTo`. */
export interface Answers {
  /** Request and answer, where they are not what the standard's rule says. */
  readonly mti?: Readonly<Record<string, string>>
  /** The elements that travel back as they came. */
  readonly echo: readonly number[]
}

/** How elements are written where they don't say so themselves. */
export interface EncodingProfile {
  readonly text: Charset
  readonly digits: Charset | 'bcd'
  readonly len: LengthWriting
  readonly bytes: 'bytes' | 'hex'
  /** Where an odd count of packed digits puts the nibble that is left over, and what it holds. */
  readonly odd?: NibblePad
}

export interface Settings {
  /** Bytes after the last element. Refused unless allowed here; then they are noted and dropped. */
  readonly trailing?: 'refuse' | 'allow'
  /** A secondary or tertiary bitmap that is there and empty. Accepted and noted unless refused here; never written. */
  readonly emptyBitmap?: 'accept' | 'refuse'
  /** A variable element of length zero is accepted and noted; it is written only where this says so. */
  readonly emptyFields?: 'refuse' | 'write'
}

export interface BitmapSpec {
  /** `hex` is upper-case hexadecimal in the dialect's text charset. */
  readonly written: 'binary' | 'hex'
  /** How many bitmaps there may be: 64, 128 or 192 elements. */
  readonly max: 1 | 2 | 3
}

export type Writing = Charset | 'text' | 'bcd' | 'nibbles' | 'bytes' | 'hex'
export type LengthWriting = Charset | 'bcd' | 'binary'
export type NibblePad = 'left-0' | 'left-F' | 'right-0' | 'right-F'

/** What a masked view shows: `pan` the first six and last four, everything else nothing of it. */
export type Sensitivity = 'pan' | 'track' | 'secret' | 'emv' | 'private'

export interface LengthSpec {
  /** Decimal digits: LL is 2. */
  readonly width: number
  readonly written?: LengthWriting
  /** Of a binary length; else as many as the decimal digits need. */
  readonly bytes?: number
  /** What the length counts. Else: digits of digits, characters of text, bytes of bytes. */
  readonly counts?: 'digits' | 'characters' | 'bytes'
}

interface Common {
  /** The element's name in the standard. */
  readonly title?: string
  readonly sensitive?: Sensitivity
  /** Absent: the size is fixed. */
  readonly length?: LengthSpec
  /** A rule of the value's own, beyond bytes, in the form of Standard Schema. Not for JSON files. */
  readonly refine?: StandardSchema
}

export interface PlainSpec extends Common {
  readonly kind: 'plain'
  readonly allowed: Alphabet
  readonly written?: Writing
  /** In digits, characters or bytes. The same number twice: fixed. */
  readonly min: number
  readonly max: number
  readonly value: 'text' | 'amount' | 'bytes'
  readonly odd?: NibblePad
  /** How a value shorter than its fixed size is filled on encoding. Without it such a value is refused. */
  readonly fill?: 'left-space' | 'right-space' | 'left-0'
  /** What decoding takes off. Nothing unless said here. */
  readonly trim?: 'left-space' | 'right-space' | 'left-0'
}

/** Parts one after another. */
export interface PositionalSpec extends Common {
  readonly kind: 'positional'
  readonly parts: Readonly<Record<string, FieldSpec>>
  /** From this part on the rest may be missing, where a length says so. */
  readonly optionalFrom?: string
}

/** Tag, length, value, again and again; all written as characters or digits. */
export interface TaggedSpec extends Common {
  readonly kind: 'tagged'
  readonly tag: PlainSpec
  readonly len: LengthSpec
  /** How the values of tags that `tags` doesn't have are read. */
  readonly content: PlainSpec
  readonly tags: Readonly<Record<string, PlainSpec>>
  readonly unknown: 'keep' | 'refuse'
  readonly max: number
}

/** ISO/IEC 8825-1 basic encoding as EMV Book 3, annex B restricts it. */
export interface BerTlvSpec extends Common {
  readonly kind: 'bertlv'
  readonly tags: TagTable
  readonly unknown: 'keep' | 'refuse'
  /** Zero bytes after the last tag. */
  readonly padding: 'refuse' | 'zeros'
  readonly written?: 'bytes' | 'hex'
  readonly max: number
}

/** A bitmap of its own, then the subfields it names. */
export interface BitmappedSpec extends Common {
  readonly kind: 'bitmapped'
  readonly bitmap: { readonly written: 'binary' | 'hex'; readonly bytes: number }
  readonly fields: Readonly<Record<number, FieldSpec>>
  readonly max: number
}

/** ISO 8583:2003 composite elements: an identifier byte, two bytes of length, then BER-TLV. */
export interface DatasetsSpec extends Common {
  readonly kind: 'datasets'
  readonly tags: TagTable
  readonly unknown: 'keep' | 'refuse'
  readonly max: number
}

export type FieldSpec = PlainSpec | PositionalSpec | TaggedSpec | BerTlvSpec | BitmappedSpec | DatasetsSpec

/** What is known of tags: their names, and whether a masked view may show them. Unknown ones are never shown. */
export type TagTable = Readonly<Record<string, { readonly name: string; readonly open: boolean }>>

declare const valueType: unique symbol

/** A field of which the compiler knows what value it holds. */
export type Field<Value extends FieldValue = FieldValue> = FieldSpec & { readonly [valueType]?: Value }

/** In `extend`: the base has this element, the derived dialect has not. */
export interface Absent {
  readonly kind: 'absent'
}

export const absent: Absent = Object.freeze({ kind: 'absent' })

export type FieldTable = Readonly<Record<number, Field>>

export type ValueOf<F> = F extends { readonly [valueType]?: infer Value }
  ? Value extends FieldValue
    ? Value
    : FieldValue
  : FieldValue

export type FieldsOf<Table extends FieldTable> = FieldTable extends Table
  ? AnyFields
  : { readonly [De in keyof Table & number]?: ValueOf<Table[De]> }

/** The body that a dialect's codec encodes, inferred from its declaration. */
export type MessageOf<D extends Dialect> = MessageBody<FieldsOf<D['fields']>>

/** https://standardschema.dev, as far as it is used here. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
  }
}

/** Declares a dialect. Mistakes are reported by `compile`, all at once. */
export function dialect<const Table extends FieldTable>(spec: Dialect<Table>): Dialect<Table> {
  return deepFreeze({ ...spec })
}

export type Changes = Omit<Partial<Dialect>, 'name' | 'base' | 'fields'> & {
  readonly name: string
  readonly fields?: Readonly<Record<number, Field | Absent>>
}

type Extended<Base extends FieldTable, Changed> = {
  readonly [De in Exclude<keyof Base, keyof Changed>]: Base[De]
} & {
  readonly [De in keyof Changed as Changed[De] extends Absent ? never : De]: Changed[De] extends Field
    ? Changed[De]
    : never
}

/** A dialect that is another but for `changes`; an element given as `absent` is taken away. */
export function extend<Base extends FieldTable, const C extends Changes>(
  base: Dialect<Base>,
  changes: C,
): C['fields'] extends object ? Dialect<Extended<Base, C['fields']>> : Dialect<Base> {
  const both: Readonly<Record<number, Field | Absent>> = { ...base.fields, ...changes.fields }
  const fields = Object.fromEntries(Object.entries(both).filter(([, field]) => field.kind !== 'absent'))
  const settings = { ...base.settings, ...changes.settings }
  return deepFreeze({ ...base, ...changes, settings, base, fields } as unknown as never)
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null && !Object.isFrozen(part)) deepFreeze(part as object)
  }
  return Object.freeze(value)
}
