import { type Fault, upTo } from './fault.ts'

/** Of terminals, and between them and the switch. */
export const terminalFaults = {
  /** Answers: known not to have left, and lost on the way. */
  answerUnsent: upTo(0.3),
  answerLost: upTo(0.3),
  /** A terminal asks again, reverses at once, reverses later, sends other data under its key, reverses a part. */
  repeat: upTo(0.3),
  reverseEarly: upTo(0.3),
  reverseAfter: upTo(0.3),
  mismatch: upTo(0.3),
  partial: upTo(0.3),
  /** Of terminals, those whose clock is wrong by up to two days. */
  terminalClock: upTo(0.5),
} as const satisfies Readonly<Record<string, Fault>>
