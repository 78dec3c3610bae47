import type { Random } from '../../kernel/random.ts'
import type { Book } from '../book.ts'
import type { LateAcknowledgements } from './late-acknowledgements.ts'
import type { Numbering } from './numbering.ts'
import type { Tally } from './tally.ts'

/** What a purchase lives in. */
export interface Surroundings {
  readonly book: Book
  readonly tally: Tally
  readonly numbering: Numbering
  readonly random: Random
  readonly timeoutMs: number
  /** How long one delivery of a reversal waits for its answer, and then for the next delivery. */
  readonly reversalEveryMs: number
  /** What share of unanswered purchases is sent once more before it is reversed. */
  readonly repeatShare: number
  readonly lateAcknowledgements: LateAcknowledgements
  /** True when the process ends: what is still open is the next life's, from the book. */
  readonly ended: () => boolean
  /** Notes what a purchase was answered, for answers that come after that. */
  readonly remember: (rrn: string, answer: PurchaseAnswer) => void
}

export interface PurchaseAnswer {
  readonly responseCode: string
  readonly authId: string | undefined
}

export function sameAnswer(one: PurchaseAnswer, other: PurchaseAnswer): boolean {
  return one.responseCode === other.responseCode && one.authId === other.authId
}
