/**
 * What a source may ask for (§4.10). Everything that one kind does otherwise than another is in this table; which kind
 * a message asks for is in the one below it.
 */
export type Kind =
  | 'purchase'
  | 'cashback'
  | 'withdrawal'
  | 'refund'
  | 'deposit'
  | 'transfer'
  | 'balance'
  | 'verification'
  | 'authorization'
  | 'preauthorization'
  | 'incremental'
  | 'completion'

export interface KindRules {
  /**
   * What an approval does to the books: money moves, money is set aside until a completion or its time comes, more is
   * set aside with what was before, or nothing at all. Of what does nothing an unknown outcome owes nothing.
   */
  readonly books: 'post' | 'hold' | 'raise' | 'none'
  /** Which way money goes, seen from the cardholder; `moves`: from one account to another. */
  readonly cardholder: 'pays' | 'isPaid' | 'moves' | 'none'
  /** What DE4 must be. */
  readonly amount: 'positive' | 'zero'
  /** Whether DE54 of the answer goes back to who asked. */
  readonly givesAmounts: boolean
  /** Approvals beside those of the destination's list. */
  readonly approvals: readonly string[]
}

const pays = { cardholder: 'pays', amount: 'positive', givesAmounts: false, approvals: [] } as const
const asks = { books: 'none', cardholder: 'none', amount: 'zero' } as const

export const kinds: Readonly<Record<Kind, KindRules>> = {
  purchase: { books: 'post', ...pays },
  // A purchase, and money from the till with it (DE54).
  cashback: { books: 'post', ...pays },
  // What is dispensed can't be taken back, so it is a single message; a dispenser that fails sends a reversal.
  withdrawal: { books: 'post', ...pays },
  // A new credit, not the undoing of a purchase.
  refund: { books: 'post', ...pays, cardholder: 'isPaid' },
  // Money put on a wallet or an account over the counter: the merchant has it, the cardholder is given it.
  deposit: { books: 'post', ...pays, cardholder: 'isPaid' },
  // From the account of DE102 to that of DE103.
  transfer: { books: 'post', ...pays, cardholder: 'moves' },
  // Available funds inquiry and balance inquiry.
  balance: { ...asks, givesAmounts: true, approvals: [] },
  // Is the card good? 85 (no reason to decline) says so as well as 00.
  verification: { ...asks, givesAmounts: false, approvals: ['85'] },
  // The two differ in how long their money stays set aside.
  authorization: { books: 'hold', ...pays },
  preauthorization: { books: 'hold', ...pays },
  // Of an authorization that it names; without one it would be an authorization itself.
  incremental: { books: 'raise', ...pays },
  // Of an authorization that we know, it is an act on that; only one of none is a transaction of its own (forced post).
  completion: { books: 'post', ...pays },
}

export interface Asking {
  readonly mti: string
  /** DE3; its first two digits are the transaction type (ISO 8583:1987). */
  readonly processingCode: string
  /** DE25 */
  readonly conditionCode: string
  /** DE4, where there is one. */
  readonly amountMinor: bigint | undefined
}

/** Which kind a message asks for: the first row that fits. A column left out fits everything. */
const asked: readonly {
  readonly kind: Kind
  /** Of the MTI: 1 authorization, 2 financial. */
  readonly class: '1' | '2' | 'both'
  readonly processingCodes: readonly string[]
  readonly conditionCode?: string
  readonly amountMinor?: bigint
}[] = [
  { kind: 'verification', class: 'both', processingCodes: ['00'], amountMinor: 0n },
  // DE25 06: preauthorized request.
  { kind: 'preauthorization', class: '1', processingCodes: ['00'], conditionCode: '06' },
  { kind: 'authorization', class: '1', processingCodes: ['00'] },
  { kind: 'purchase', class: '2', processingCodes: ['00'] },
  { kind: 'withdrawal', class: '2', processingCodes: ['01'] },
  { kind: 'cashback', class: '2', processingCodes: ['09'] },
  { kind: 'refund', class: '2', processingCodes: ['20'] },
  { kind: 'deposit', class: '2', processingCodes: ['21'] },
  { kind: 'balance', class: 'both', processingCodes: ['30', '31'] },
  { kind: 'transfer', class: '2', processingCodes: ['40'] },
]

/** The kind that a message asks for; undefined: none that is served. */
export function kindOf({ mti, processingCode, conditionCode, amountMinor }: Asking): Kind | undefined {
  return asked.find(
    (row) =>
      (row.class === 'both' || row.class === mti[1]) &&
      row.processingCodes.includes(processingCode.slice(0, 2)) &&
      (row.conditionCode === undefined || row.conditionCode === conditionCode) &&
      (row.amountMinor === undefined || row.amountMinor === amountMinor),
  )?.kind
}

/** Whether it has to do with money that is set aside. */
export function isHeld(kind: Kind): boolean {
  return kinds[kind].books === 'hold' || kinds[kind].books === 'raise'
}

/** Whether anything is at stake that could have to be undone. */
export function movesMoney(kind: Kind): boolean {
  return kinds[kind].books !== 'none'
}
