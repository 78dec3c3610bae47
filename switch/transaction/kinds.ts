/**
 * What a source may ask for (§4.10), by the first two digits of its processing code (DE3, ISO 8583:1987: transaction
 * type). Everything that one kind does otherwise than another is in this table.
 */
export type Kind = 'purchase' | 'withdrawal' | 'refund' | 'balance'

export interface KindRules {
  /** First two digits of DE3. */
  readonly processingCodes: readonly string[]
  /** Which way money goes, seen from the cardholder; `none` is not posted, and an unknown outcome owes nothing. */
  readonly cardholder: 'pays' | 'isPaid' | 'none'
  /** What DE4 must be. */
  readonly amount: 'positive' | 'zero'
  /** Whether DE54 of the answer goes back to who asked. */
  readonly givesAmounts: boolean
}

export const kinds: Readonly<Record<Kind, KindRules>> = {
  purchase: { processingCodes: ['00'], cardholder: 'pays', amount: 'positive', givesAmounts: false },
  // What is dispensed can't be taken back, so it is a single message; a dispenser that fails sends a reversal.
  withdrawal: { processingCodes: ['01'], cardholder: 'pays', amount: 'positive', givesAmounts: false },
  // A new credit, not the undoing of a purchase.
  refund: { processingCodes: ['20'], cardholder: 'isPaid', amount: 'positive', givesAmounts: false },
  // Available funds inquiry and balance inquiry.
  balance: { processingCodes: ['30', '31'], cardholder: 'none', amount: 'zero', givesAmounts: true },
}

const byProcessingCode = new Map(
  Object.entries(kinds).flatMap(([kind, rules]) =>
    rules.processingCodes.map((code) => [code, kind as Kind] as const),
  ),
)

/** The kind that a processing code asks for; undefined: none that is served. */
export function kindOf(processingCode: string): Kind | undefined {
  return byProcessingCode.get(processingCode.slice(0, 2))
}

/** Whether anything is at stake that could have to be undone. */
export function movesMoney(kind: Kind): boolean {
  return kinds[kind].cardholder !== 'none'
}
