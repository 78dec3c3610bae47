import type { NetworkLine } from './book-lines.ts'
import type { Settled } from './conversion.ts'
import type { FeeTerms } from './fees.ts'

/** What a business date came to in one currency, by the network's own book: minor units. */
interface DayTotals {
  debitMinor: bigint
  debitReversalMinor: bigint
  creditMinor: bigint
  creditReversalMinor: bigint
  /** What it charged less what it paid, and what the acquirer's side charged: each less what went back. */
  processingFeeMinor: bigint
  transactionFeeMinor: bigint
}

/** What a peer says of a date: counts and amounts by their elements of ISO 8583:1987. */
export interface TotalsTold {
  /** DE15, MMDD. */
  readonly monthAndDay: string
  /** DE50 */
  readonly currency: string
  /** DE86 to DE89; what was not said is undefined. */
  readonly creditMinor: bigint | undefined
  readonly creditReversalMinor: bigint | undefined
  readonly debitMinor: bigint | undefined
  readonly debitReversalMinor: bigint | undefined
  /** DE82 to DE85 */
  readonly creditProcessingFeeMinor: bigint | undefined
  readonly creditTransactionFeeMinor: bigint | undefined
  readonly debitProcessingFeeMinor: bigint | undefined
  readonly debitTransactionFeeMinor: bigint | undefined
}

/** The network's business date, and what each of them came to. It is made of the book's lines, so it survives a restart. */
export class BusinessDates {
  readonly #totals = new Map<string, DayTotals>()
  #date: string
  /** From its first cutover on the network tells the date in its answers. */
  #tells = false

  readonly #fees: Pick<FeeTerms, 'inAmount'>

  constructor(wallMs: number, fees: Pick<FeeTerms, 'inAmount'> = { inAmount: true }) {
    this.#fees = fees
    // Kuwait has no summer time: UTC+3 all year.
    this.#date = new Date(wallMs + 3 * 3_600_000).toISOString().slice(0, 10)
  }

  get date(): string {
    return this.#date
  }

  /** DE15 of answers; undefined: it is not told. */
  get told(): string | undefined {
    return this.#tells ? monthAndDayOf(this.#date) : undefined
  }

  begin(date: string): void {
    this.#date = date
    this.#tells = true
  }

  /** A line of the book, new or after a restart. */
  count(line: NetworkLine): void {
    const { date = this.#date } = line
    if (date > this.#date) this.begin(date)
    const { currency, minor: wholeMinor } = settledIn(line)
    const totals = this.#of(date, currency)
    const feeMinor = this.#countFees(line, totals)
    const minor = wholeMinor - (this.#fees.inAmount ? 0n : feeMinor)
    switch (line.event) {
      case 'debit':
        totals.debitMinor += minor
        break
      case 'credit':
        totals.creditMinor += minor
        break
      case 'completion':
        if (line.applied === 'taken' || line.applied === 'forced') totals.debitMinor += minor
        break
      case 'reversal':
        if (line.undoneOf === 'debit') totals.debitReversalMinor += minor
        if (line.undoneOf === 'credit') totals.creditReversalMinor += minor
        break
      // Nothing was taken or given by these.
      case 'hold':
      case 'raise':
      case 'transfer':
      case 'inquiry':
      case 'verification':
      case 'decline':
      case 'reversalRefused':
        break
    }
  }

  /** By lines that charge something and by those that give it back; how much of its amount is what the acquirer charges. */
  #countFees(line: NetworkLine, totals: DayTotals): bigint {
    if (!('authId' in line) && line.event !== 'reversal') return 0n
    const direction = line.event === 'reversal' ? -1n : 1n
    const { chargeMinor = '0', feeMinor = '0' } = line
    const charged = BigInt(line.settledChargeMinor ?? chargeMinor) * (line.chargeSign === 'C' ? -1n : 1n)
    const fee = BigInt(line.settledFeeMinor ?? feeMinor)
    totals.processingFeeMinor += direction * charged
    totals.transactionFeeMinor += direction * fee
    return fee
  }

  /** A debit of the current date that no peer ever asked for: so that totals differ. */
  misbook(currency: string, minor: bigint): void {
    this.#of(this.#date, currency).debitMinor += minor
  }

  /**
   * Whether what is left of debits and of credits is what the book says. What came and went is not compared one by one: a
   * peer can't know whether what it undid had ever been done.
   */
  agrees(told: TotalsTold): boolean {
    const date = [...this.#totals.keys(), `${this.#date} ${told.currency}`].find(
      (key) => key.endsWith(` ${told.currency}`) && monthAndDayOf(key.slice(0, 10)) === told.monthAndDay,
    )
    const ours = this.#totals.get(date ?? '') ?? nothing()
    return (
      left(told.debitMinor, told.debitReversalMinor) === left(ours.debitMinor, ours.debitReversalMinor) &&
      left(told.creditMinor, told.creditReversalMinor) === left(ours.creditMinor, ours.creditReversalMinor) &&
      isSame(left(told.debitProcessingFeeMinor, told.creditProcessingFeeMinor), ours.processingFeeMinor) &&
      isSame(left(told.debitTransactionFeeMinor, told.creditTransactionFeeMinor), ours.transactionFeeMinor)
    )
  }

  #of(date: string, currency: string): DayTotals {
    const key = `${date} ${currency}`
    const totals = this.#totals.get(key) ?? nothing()
    this.#totals.set(key, totals)
    return totals
  }
}

/** What a line counts with: what its peer was told that is paid, and of what nobody converted the amount itself. */
export function settledIn(line: NetworkLine): Settled {
  if ('settledMinor' in line)
    return { currency: line.settledCurrency ?? line.currency, minor: BigInt(line.settledMinor) }
  const minor = line.event === 'reversal' ? (line.undoneMinor ?? '0') : line.amountMinor
  return { currency: line.currency, minor: BigInt(minor) }
}

function nothing(): DayTotals {
  return {
    ...{ debitMinor: 0n, debitReversalMinor: 0n, creditMinor: 0n, creditReversalMinor: 0n },
    ...{ processingFeeMinor: 0n, transactionFeeMinor: 0n },
  }
}

/** Who tells no fees is not asked for them. */
function isSame(told: bigint | undefined, ours: bigint): boolean {
  return told === undefined || told === ours
}

function left(done: bigint | undefined, undone: bigint | undefined): bigint | undefined {
  return done === undefined || undone === undefined ? undefined : done - undone
}

function monthAndDayOf(date: string): string {
  return date.slice(5, 7) + date.slice(8, 10)
}
