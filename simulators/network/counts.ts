import type { Applied } from './book-lines.ts'
import type { Completed } from './asked.ts'

/** What a network counts as it goes, for its status. The book is the record. */
export interface Counts {
  requests: number
  approved: number
  /** By response code. */
  readonly declined: Record<string, number>
  readonly reversals: Record<Applied | 'refused', number>
  readonly completions: Record<Completed['applied'], number>
  readonly totals: Record<'inBalance' | 'outOfBalance', number>
  repeats: number
  conflicts: number
  lost: number
  /** Answers that were due and not sent. */
  unanswered: number
  badSeals: number
  /** Keys that the peer would not have. */
  keysRefused: number
  pinBlockErrors: number
  malformed: number
  /** Business before sign-on. */
  refusedBeforeSignOn: number
  signOns: number
  echoes: number
}

export function noCounts(): Counts {
  return {
    requests: 0,
    approved: 0,
    declined: {},
    reversals: { released: 0, reduced: 0, unknownOriginal: 0, again: 0, declinedOriginal: 0, refused: 0 },
    completions: { taken: 0, forced: 0, again: 0, released: 0 },
    totals: { inBalance: 0, outOfBalance: 0 },
    repeats: 0,
    conflicts: 0,
    lost: 0,
    unanswered: 0,
    badSeals: 0,
    keysRefused: 0,
    pinBlockErrors: 0,
    malformed: 0,
    refusedBeforeSignOn: 0,
    signOns: 0,
    echoes: 0,
  }
}
