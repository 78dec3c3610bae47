import type { Codec, Link } from '../../iso8583/iso8583.ts'
import type { Book } from '../book.ts'
import type { KeySpeech } from './asking.ts'
import type { Behaviour } from './behaviour.ts'
import type { Conversions } from './conversion.ts'
import type { Counts } from './counts.ts'
import type { BusinessDates } from './day.ts'
import type { FeeTerms } from './fees.ts'
import type { Hearing } from './hearing.ts'
import type { Issuer } from './issuer.ts'
import type { KeyRing } from './key-ring.ts'
import type { Rules } from './rules.ts'

/** What the desks of one network share. */
export interface DeskNetwork {
  readonly name: string
  readonly codec: Codec
  readonly hearing: Hearing
  readonly keys: KeyRing
  /** How keys are told to the peer; undefined: people bring them. */
  readonly exchange: KeySpeech | undefined
  readonly issuer: Issuer
  readonly book: Book
  readonly dates: BusinessDates
  readonly counts: Counts
  readonly conversions: Conversions
  readonly fees: FeeTerms
  /** How late a late answer is. */
  readonly lateMs: number
  /** Another of the peer's connections; the same one where there is no other. */
  readonly otherLink: (link: Link) => Link
  readonly behaviour: () => Behaviour
  readonly rules: () => Rules
}
