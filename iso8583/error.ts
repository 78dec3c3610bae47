import { inspect } from 'node:util'
import type { Message } from './message.ts'

/** Every way in which bytes, a body or a declaration can be wrong. */
export type IsoCodecErrorCode =
  | 'TRUNCATED'
  | 'TRAILING_BYTES'
  | 'BAD_LENGTH'
  | 'LENGTH_OVER_MAX'
  | 'BAD_DIGIT'
  | 'BAD_CHARACTER'
  | 'BAD_PADDING'
  | 'BAD_BITMAP'
  | 'FIELD_NOT_IN_SPEC'
  | 'BAD_TLV_TAG'
  | 'BAD_TLV_LENGTH'
  | 'TLV_OVERRUN'
  | 'TLV_TOO_DEEP'
  | 'TOO_MANY_TAGS'
  | 'TAG_NOT_IN_SPEC'
  | 'DUPLICATE_TAG'
  /** Encoding: */
  | 'VALUE_TOO_LONG'
  | 'VALUE_TOO_SHORT'
  | 'VALUE_MISSING'
  | 'VALUE_WRONG_TYPE'
  /** A `refine` schema of the dialect said no. */
  | 'VALUE_REFUSED'
  /** Declaring: see `mistakes`. */
  | 'BAD_DIALECT'

export interface IsoCodecFault {
  readonly code: IsoCodecErrorCode
  /** `43`, `55.9F02`, `mti`, `bitmap`; empty for the message as a whole. */
  readonly path: string
  /** In bytes from the start of the message. Absent when encoding. */
  readonly offset?: number | undefined
  readonly need?: number | undefined
  readonly have?: number | undefined
  readonly dialect: string
  /** What could be read all the same, so that a format error can still be answered with the request's references. */
  readonly partial?: Message | undefined
  readonly mistakes?: readonly string[] | undefined
}

/**
 * The codec's one error. It says what and where, in codes, offsets and lengths, and never carries content: an
 * error's text ends in a log.
 */
export class IsoCodecError extends Error {
  readonly code: IsoCodecErrorCode
  readonly path: string
  readonly offset: number | undefined
  readonly need: number | undefined
  readonly have: number | undefined
  readonly dialect: string
  /** What was read apart from the fault. Masked when printed. */
  readonly partial: Message | undefined
  /** Of a declaration: everything that is wrong with it, not only the first. */
  readonly mistakes: readonly string[]

  constructor(fault: IsoCodecFault) {
    super(sentence(fault))
    this.name = 'IsoCodecError'
    this.code = fault.code
    this.path = fault.path
    this.offset = fault.offset
    this.need = fault.need
    this.have = fault.have
    this.dialect = fault.dialect
    this.partial = fault.partial
    this.mistakes = fault.mistakes ?? []
  }

  toJSON(): Omit<IsoCodecFault, 'partial'> {
    const { code, path, offset, need, have, dialect, mistakes } = this
    return { code, path, offset, need, have, dialect, ...(mistakes.length > 0 && { mistakes }) }
  }

  [inspect.custom](): string {
    return this.stack ?? `${this.name}: ${this.message}`
  }
}

const complaints: Readonly<Record<IsoCodecErrorCode, string>> = {
  TRUNCATED: 'ends too early',
  TRAILING_BYTES: 'has bytes after its end',
  BAD_LENGTH: 'has a length that is not one',
  LENGTH_OVER_MAX: 'is longer than the dialect allows',
  BAD_DIGIT: 'has a digit that is not one',
  BAD_CHARACTER: 'has a character that is not allowed',
  BAD_PADDING: 'has the wrong padding',
  BAD_BITMAP: 'has a bad bitmap',
  FIELD_NOT_IN_SPEC: 'is not in the dialect',
  BAD_TLV_TAG: 'has a tag that is not one',
  BAD_TLV_LENGTH: 'has a tag length that is not allowed',
  TLV_OVERRUN: 'has a tag that is longer than what holds it',
  TLV_TOO_DEEP: 'is nested too deeply',
  TOO_MANY_TAGS: 'has too many tags',
  TAG_NOT_IN_SPEC: 'is not a tag of the dialect',
  DUPLICATE_TAG: 'is there twice',
  VALUE_TOO_LONG: 'is given too long a value',
  VALUE_TOO_SHORT: 'is given too short a value',
  VALUE_MISSING: 'is given no value',
  VALUE_WRONG_TYPE: 'is given a value of the wrong type',
  VALUE_REFUSED: "is refused by the dialect's own rule",
  BAD_DIALECT: 'is not a dialect',
}

/** `DE43 needs 40 bytes at offset 177, 3 left (dialect acq-ascii-87)`. */
function sentence(fault: IsoCodecFault): string {
  const { code, path, offset, need, have, dialect, mistakes } = fault
  if (code === 'BAD_DIALECT') return `dialect ${dialect}: ${(mistakes ?? []).join('; ')}`
  const subject = /^\d/.test(path) ? `DE${path}` : path === '' ? 'message' : path
  const at = offset === undefined ? '' : ` at offset ${offset}`
  if (code === 'TRUNCATED' && need !== undefined) {
    return `${subject} needs ${need} bytes${at}, ${have ?? 0} left (dialect ${dialect})`
  }
  const counts = need === undefined ? '' : `, ${have ?? 0} for ${need}`
  return `${subject} ${complaints[code]}${at}${counts} (${code}, dialect ${dialect})`
}
