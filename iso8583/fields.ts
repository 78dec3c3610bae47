/** The small words that dialects are declared with. Each returns plain data. */
import type { Alphabet } from './alphabet.ts'
import type {
  BerTlvSpec,
  BitmapSpec,
  BitmappedSpec,
  DatasetsSpec,
  Field,
  LengthSpec,
  PlainSpec,
  PositionalSpec,
  TaggedSpec,
  TagTable,
  ValueOf,
} from './dialect.ts'
import type { FieldValue } from './message.ts'

type PlainOptions = Partial<Pick<PlainSpec, 'written' | 'odd' | 'fill' | 'trim' | 'title' | 'refine'>>
type Plain<Value extends FieldValue> = PlainSpec & Field<Value>

interface PlainWord<Value extends FieldValue> {
  /** Exactly so many. */
  (size: number, options?: PlainOptions): Plain<Value>
  /** As many as a length says, up to `max`. */
  upTo(max: number, options?: PlainOptions & { readonly min?: number }): Plain<Value>
}

function word<Value extends FieldValue>(allowed: Alphabet, value: PlainSpec['value']): PlainWord<Value> {
  const fixed = (size: number, options: PlainOptions = {}): Plain<Value> => ({
    kind: 'plain',
    allowed,
    value,
    min: size,
    max: size,
    ...options,
  })
  const upTo = (max: number, options: PlainOptions & { min?: number } = {}): Plain<Value> => ({
    kind: 'plain',
    allowed,
    value,
    min: 0,
    max,
    ...options,
  })
  return Object.assign(fixed, { upTo })
}

/** n: digits, kept as text since their leading zeros count. */
export const digits = word<string>('n', 'text')
/** a: letters. */
export const letters = word<string>('a', 'text')
/** an: letters and digits. */
export const alnum = word<string>('an', 'text')
/** ans: any printable character. */
export const text = word<string>('ans', 'text')
/** Any byte, as a character of the charset. For national letters. */
export const anyText = word<string>('any', 'text')
/** z: track data, with = between the card number and what follows. */
export const trackData = word<string>('z', 'text')
/** Hexadecimal digits, packed two to the byte and counted one by one. */
export const nibbles = word<string>('h', 'text')
/** b, in bytes. */
export const bytes = word<Uint8Array>('b', 'bytes')
/** x: C for credit or D for debit. */
export const creditOrDebit = word<string>('x', 'text')

/** An amount in minor units: digits on the wire, a bigint in the program. */
export function amount(size: number, options: PlainOptions = {}): PlainSpec & Field<bigint> {
  return { kind: 'plain', allowed: 'n', value: 'amount', min: size, max: size, ...options }
}

export type LengthOptions = Partial<Pick<LengthSpec, 'written' | 'bytes' | 'counts'>> &
  Pick<PlainOptions, 'odd'>

export interface Prefix {
  <F extends Field>(content: F, options?: LengthOptions): F
  readonly width: number
}

function prefix(width: number): Prefix {
  const prefixed = <F extends Field>(content: F, { odd, ...options }: LengthOptions = {}): F => ({
    ...content,
    ...(odd !== undefined && { odd }),
    length: { width, ...options },
  })
  return Object.assign(prefixed, { width })
}

export const lvar = prefix(1)
export const llvar = prefix(2)
export const lllvar = prefix(3)
export const llllvar = prefix(4)
export const lllllvar = prefix(5)
export const llllllvar = prefix(6)

/** The card number: masked to its first six and last four. */
export const pan = <F extends Field>(field: F): F => ({ ...field, sensitive: 'pan' as const })
/** Track data: never shown. */
export const track = <F extends Field>(field: F): F => ({ ...field, sensitive: 'track' as const })
/** PIN blocks, keys, card verification values: never shown. */
export const secret = <F extends Field>(field: F): F => ({ ...field, sensitive: 'secret' as const })
/** Elements whose content two parties agree on: nobody else can say what may be shown, so nothing is. */
export const priv = <F extends Field>(field: F): F => ({ ...field, sensitive: 'private' as const })

/** A field and its name in the standard. */
export const de = <F extends Field>(title: string, field: F): F => ({ ...field, title })

export function bits(written: BitmapSpec['written'], { max }: { max: 1 | 2 | 3 } = { max: 2 }): BitmapSpec {
  return { written, max }
}

type PartsOf<Parts extends Readonly<Record<string, Field>>> = {
  readonly [Name in keyof Parts & string]: ValueOf<Parts[Name]>
}

/** Parts one after another. Where all of them are digits, they are one run of digits, packed as one. */
export function positional<const Parts extends Readonly<Record<string, Field>>>(
  parts: Parts,
): PositionalSpec & Field<PartsOf<Parts>> {
  return { kind: 'positional', parts }
}

interface TaggedOptions {
  readonly tag: PlainSpec
  readonly len: LengthSpec
  readonly content?: PlainSpec
  readonly tags?: Readonly<Record<string, PlainSpec>>
  readonly unknown?: 'keep' | 'refuse'
  readonly max?: number
}

type Tags = { readonly [tag: string]: FieldValue }

/** Tag, length, value, again and again. */
export function tagged(length: Prefix, options: TaggedOptions): TaggedSpec & Field<Tags> {
  const { tag, len, tags = {}, unknown = 'keep', max = 10 ** length.width - 1 } = options
  const content = options.content ?? text.upTo(max)
  return { kind: 'tagged', tag, len, content, tags, unknown, max, length: { width: length.width } }
}

/** The length inside `tagged`. */
export function len(width: number, options: Partial<LengthSpec> = {}): LengthSpec {
  return { width, ...options }
}

interface BerTlvOptions {
  readonly tags: TagTable
  readonly unknown?: 'keep' | 'refuse'
  readonly padding?: 'refuse' | 'zeros'
}

/** BER-TLV: `bertlv(lllvar(bytes.upTo(255)), { tags: emv })`. What its tags hold is masked tag by tag. */
export function bertlv(content: PlainSpec, options: BerTlvOptions): BerTlvSpec & Field<Tags> {
  const { tags, unknown = 'keep', padding = 'refuse' } = options
  return { ...container(content), kind: 'bertlv', tags, unknown, padding, sensitive: 'emv' }
}

/** A bitmap of `bitmapBytes` bytes and the subfields it names. */
export function bitmapped(
  content: PlainSpec,
  options: {
    readonly bitmapBytes: number
    readonly written?: 'binary' | 'hex'
    readonly fields: Record<number, Field>
  },
): BitmappedSpec & Field<Tags> {
  const { bitmapBytes, written = 'binary', fields } = options
  return { ...container(content), kind: 'bitmapped', bitmap: { written, bytes: bitmapBytes }, fields }
}

/** ISO 8583:2003 datasets. */
export function datasets(
  content: PlainSpec,
  options: { readonly tags?: TagTable; readonly unknown?: 'keep' | 'refuse' } = {},
): DatasetsSpec & Field<Tags> {
  const { tags = {}, unknown = 'keep' } = options
  return { ...container(content), kind: 'datasets', tags, unknown }
}

function container(content: PlainSpec): Pick<PlainSpec, 'max' | 'length'> & { written?: 'bytes' | 'hex' } {
  const { max, length, written } = content
  return {
    max,
    ...(length !== undefined && { length }),
    ...((written === 'bytes' || written === 'hex') && { written }),
  }
}

/**
 * DE90 (1987), n42: the message that a reversal is about. STAN and institution ids are right-justified and filled
 * with zeros, which belong to the value.
 */
export function originalData() {
  return positional({
    mti: digits(4),
    stan: digits(6),
    transmittedAt: digits(10),
    acquirerId: digits(11, { fill: 'left-0' }),
    forwarderId: digits(11, { fill: 'left-0' }),
  })
}

/** x+n: a credit or debit and its amount. */
export function signedAmount(size: number) {
  return positional({ sign: creditOrDebit(1), amount: amount(size) })
}
