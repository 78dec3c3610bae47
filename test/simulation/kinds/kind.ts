import type { Kind } from '../../../switch/transaction/kinds.ts'
import type { CardRequest } from '../../../switch/transaction/transaction.ts'
import type { Random } from '../../../kernel/random.ts'

/** What a terminal may ask for, as terminals and issuers know it: the switch's own table might be wrong. */
export interface SimulatedKind {
  readonly kind: Kind
  readonly mti: string
  readonly processingCode: string
  /** Terminals ask for it so often, in comparison with the others. */
  readonly weight: number
  readonly amountMinor: (random: Random) => bigint
  /** What an issuer takes from the cardholder for each unit of an approved amount. */
  readonly taken: 1n | 0n | -1n
  /** DE54 of the approval, which only this request may hear. */
  readonly additionalAmounts?: (rrn: string) => string
  /** DE25; 00 when absent. */
  readonly conditionCode?: string
  /** What else the request says. */
  readonly extra?: (rrn: string) => Partial<CardRequest>
  /** What approves it; 00 when absent. */
  readonly responseCode?: string
}

export function someAmount(random: Random): bigint {
  return BigInt(1_000 + random.below(50_000))
}
