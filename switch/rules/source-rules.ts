import type { CurrencyCode } from '../../kernel/money.ts'
import type { Told } from '../results.ts'
import type { Kind } from '../transaction/kinds.ts'

/** Who may send us requests, and on what terms. */
export interface SourceRules {
  readonly name: string
  readonly keys: { readonly pin: string; readonly mac: string }
  /** How long this source waits for us. */
  readonly timeoutMs: number
  /** How long its terminals wait: longer than `timeoutMs`, or answers come to nobody. */
  readonly terminalTimeoutMs: number
  /** The most that may be asked for at once. A kind or currency that is not here has no limit of the source's. */
  readonly limits?: readonly AmountLimit[]
  /** Its terminals can do with a part of what they asked for. */
  readonly takesPartialApprovals?: boolean
  /** Its terminals can do with what the cardholder is charged in another currency (DE6, 10, 16, 51). */
  readonly hearsBilling?: boolean
  /** What it charges (DE28) is not in its DE4, but beside it. Left out: it is in it. */
  readonly feeInAmount?: false
  /** A completion that no authorization covers is taken and flagged, or refused before anybody is told; refused when absent. */
  readonly forcedPost?: 'flag' | 'refuse'
  /** How it is told of outcomes, where it is otherwise than in its edition. */
  readonly told?: Told
}

export interface AmountLimit {
  readonly kind: Kind
  readonly currency: CurrencyCode
  readonly amountMinorMax: bigint
}
