import type { AmountOutcome } from '../cards.ts'
import type { Charge } from './fees.ts'

/** How one request is dealt with otherwise than properly. What is absent is as it should be. */
export interface Deed {
  /** It never reaches the issuer. */
  readonly lost?: true
  /** Refused with this code, and not done. */
  readonly refuse?: string
  readonly delayMs?: number
  /** A delay that differs: half are within the first, one of a hundred is longer than the second. */
  readonly delay?: { readonly p50Ms: number; readonly p99Ms: number }
  /** How often the answer is sent; 0 is never. */
  readonly copies?: number
  /** A second, different answer behind the first: its response code. */
  readonly then?: string
  readonly disconnect?: 'before' | 'after'
  readonly seal?: 'wrong' | 'none'
  /** The answer's type. */
  readonly mti?: string
  /** The answer goes out over another of the peer's connections, where there is one. */
  readonly otherSession?: true
  /** Bytes of the answer, after it was sealed: for bitmaps and lengths that say what is not so. */
  readonly overwrite?: { readonly at: number; readonly hex: string }
  /** So many bytes of the answer, and no more. */
  readonly cutTo?: number
  /** Elements of the answer, in the place of the right ones. */
  readonly set?: Readonly<Record<number, string>>
  readonly remove?: readonly number[]
  /** Minor units more than was asked for, in the answer. */
  readonly addMinor?: bigint
  /** What is charged for it, or paid, where it is done. */
  readonly charge?: Charge
}

/** What the manners of the table of amounts are, in terms of deeds; `late` waits as long as the network says. */
export function deedOfManner(manner: AmountOutcome['answer'], lateMs: number): Deed {
  return manner === 'late' ? { delayMs: lateMs } : manners[manner]
}

const manners: Readonly<Record<Exclude<AmountOutcome['answer'], 'late'>, Deed>> = {
  once: {},
  never: { copies: 0 },
  twice: { copies: 2 },
  twiceDiffering: { then: '05' },
  disconnectBefore: { disconnect: 'before' },
  disconnectAfter: { disconnect: 'after' },
  badSeal: { seal: 'wrong' },
  withoutResponseCode: { remove: [38, 39] },
  higherAmount: { addMinor: 1_000n },
  otherReference: { set: { 37: '999999999999' } },
}
