import {
  type AmountOutcome,
  cardOfMask,
  maskedPan,
  outcomeOfAmount,
  type TestCard,
  testCards,
} from '../cards.ts'
import type { Applied, NetworkLine, RequestName } from './book-lines.ts'

export interface PurchaseAsked {
  /** The class of its MTI: an authorization only sets aside. */
  readonly mtiClass: '1' | '2'
  readonly name: RequestName
  readonly pan: string
  /** DE14, where the request carries it. */
  readonly expiry?: string
  /** In clear; undefined: there was none, or none that this network's key opens. */
  readonly pin?: string
  readonly amountMinor: bigint
  readonly currency: string
  /** DE3. */
  readonly processingCode: string
}

export interface ReversalAsked {
  readonly name: RequestName
  /** The key of the request that DE90 names. */
  readonly original: RequestName
  /** DE95: what is to remain; zero undoes all. */
  readonly actualMinor: bigint
}

export interface Answered {
  readonly responseCode: string
  readonly authId?: string
  /** DE54 */
  readonly additionalAmounts?: string
  /** What was approved, where that is less than was asked. */
  readonly approvedMinor?: bigint
}

export type Purchased =
  | { readonly kind: 'decided'; readonly answered: Answered; readonly outcome: AmountOutcome | undefined }
  /** The same request again: the same answer. */
  | { readonly kind: 'repeat'; readonly answered: Answered }
  /** The same key with other data. */
  | { readonly kind: 'conflict' }
  /** It never reached the issuer. */
  | { readonly kind: 'lost' }

export interface Reversed {
  readonly applied: Applied
  readonly responseCode: string
  /** Whether this very reversal had been answered before. */
  readonly repeat: boolean
}

interface Original {
  readonly fingerprint: string
  readonly card: string
  readonly amountMinor: bigint
  /** What the account lost: less than nothing where it was given something. */
  takenMinor: bigint
  readonly answered: Answered
  state: 'done' | 'declined' | 'released'
  /** How many reversals of it have come. */
  reversals: number
  isCompleted?: boolean
}

export interface CompletionAsked {
  readonly name: RequestName
  /** The key of the authorization that DE90 names. */
  readonly original: RequestName | undefined
  readonly pan: string
  readonly amountMinor: bigint
}

export type Completed = 'taken' | 'forced' | 'again' | 'released'

/** The issuers behind the network: accounts, decisions, and the memory that makes every effect happen once. */
export class Issuer {
  readonly #balances = new Map<string, bigint>(
    testCards.map((card) => [maskedPan(card.pan), card.openingBalanceMinor]),
  )
  readonly #cards: ReadonlyMap<string, TestCard>
  readonly #originals = new Map<string, Original>()
  /** Keys of originals whose reversal came first. */
  readonly #overtaken = new Set<string>()
  /** Answers of reversals, by the reversals' own keys. */
  readonly #reversals = new Map<string, string>()
  /** What became of completions, by their own keys. */
  readonly #completions = new Map<string, Completed>()
  #authIds: number
  #debitedMinor = 0n

  constructor(seed: number, network: string) {
    this.#cards = new Map(
      testCards.filter((card) => card.network === network).map((card) => [card.pan, card]),
    )
    this.#authIds = seed % 1_000_000
  }

  /** What all accounts together have lost. */
  get debitedMinor(): bigint {
    return this.#debitedMinor
  }

  balanceMinor(mask: string): bigint | undefined {
    return this.#balances.get(mask)
  }

  purchase(asked: PurchaseAsked): Purchased {
    const key = keyOf(asked.name)
    const fingerprint = fingerprintOf(asked)
    const known = this.#originals.get(key)
    if (known !== undefined) {
      return known.fingerprint === fingerprint
        ? { kind: 'repeat', answered: known.answered }
        : { kind: 'conflict' }
    }
    const outcome = outcomeOfAmount(asked.amountMinor)
    if (outcome !== undefined && outcome.decision === undefined) return { kind: 'lost' }
    const responseCode = this.#overtaken.has(key) ? overtakenCode : this.#decide(asked, outcome)
    const answered = approvals.includes(responseCode) ? this.#approval(asked, responseCode) : { responseCode }
    this.#keep(key, asked, { fingerprint, answered, direction: directionOf(asked) ?? 0n })
    return { kind: 'decided', answered, outcome }
  }

  /** `refusal` is what the amount of the original asks for in the place of a reversal, if it does. */
  refusal(original: RequestName): string | undefined {
    const known = this.#originals.get(keyOf(original))
    const manner = known === undefined ? undefined : outcomeOfAmount(known.amountMinor)?.reversals
    if (manner === 'refused') return '12'
    if (manner !== 'retryOnce' || known === undefined || known.reversals > 0) return undefined
    known.reversals++
    return '96'
  }

  /** Whether this original wants its reversals done and not answered, this time. */
  keepsQuiet(original: RequestName): boolean {
    const known = this.#originals.get(keyOf(original))
    if (known === undefined || outcomeOfAmount(known.amountMinor)?.reversals !== 'unansweredTwice')
      return false
    return known.reversals <= 2
  }

  reverse({ name, original, actualMinor }: ReversalAsked, isAdvice: boolean): Reversed {
    const known = this.#originals.get(keyOf(original))
    if (known !== undefined) known.reversals++
    const answeredBefore = this.#reversals.get(keyOf(name))
    if (answeredBefore !== undefined) return { applied: 'again', responseCode: answeredBefore, repeat: true }
    const applied = this.#undo(keyOf(original), known, actualMinor)
    const responseCode = isAdvice && applied === 'unknownOriginal' ? '00' : reversalCodes[applied]
    this.#reversals.set(keyOf(name), responseCode)
    return { applied, responseCode, repeat: false }
  }

  /** A completion of what was set aside: the account loses so much in the place of what was set aside. */
  complete(asked: CompletionAsked): Completed {
    const key = keyOf(asked.name)
    const before = this.#completions.get(key)
    if (before !== undefined) return 'again'
    const known = asked.original === undefined ? undefined : this.#originals.get(keyOf(asked.original))
    const applied = this.#take(known, asked)
    this.#completions.set(key, applied)
    return applied
  }

  #take(known: Original | undefined, { amountMinor, name, pan }: CompletionAsked): Completed {
    if (known === undefined) {
      const answered = { responseCode: '00' }
      this.#keep(keyOf(name), { pan, amountMinor }, { fingerprint: '', answered, direction: 1n })
      return 'forced'
    }
    // Undone in the meantime: a completion of it is late.
    if (known.state !== 'done') return 'released'
    this.#move(known.card, known.takenMinor - amountMinor)
    known.takenMinor = amountMinor
    known.isCompleted = true
    return 'taken'
  }

  /** A line of the book, after a restart. */
  replay(line: NetworkLine): void {
    switch (line.event) {
      case 'debit':
      case 'hold':
      case 'transfer': {
        this.#authIds = Number(line.authId)
        const { authId, askedMinor, amountMinor } = line
        const part = { responseCode: partialCode, authId, approvedMinor: BigInt(amountMinor) }
        const answered = askedMinor === undefined ? { responseCode: '00', authId } : part
        this.#restore({ ...line, amountMinor: askedMinor ?? amountMinor }, answered, 1n)
        break
      }
      case 'verification':
        this.#authIds = Number(line.authId)
        this.#restore(line, { responseCode: verifiedCode, authId: line.authId }, 0n)
        break
      case 'credit':
        this.#authIds = Number(line.authId)
        this.#restore(line, { responseCode: '00', authId: line.authId }, -1n)
        break
      case 'inquiry': {
        const { authId, additionalAmounts } = line
        this.#authIds = Number(authId)
        this.#restore(line, { responseCode: '00', authId, additionalAmounts }, 0n)
        break
      }
      case 'decline':
        this.#restore(line, { responseCode: line.responseCode }, 0n)
        break
      case 'reversal': {
        const original = keyOf(originalOf(line))
        const known = this.#originals.get(original)
        if (known !== undefined) known.reversals++
        if (changing.includes(line.applied)) this.#undo(original, known, BigInt(line.actualMinor ?? '0'))
        this.#reversals.set(keyOf(line), line.responseCode)
        break
      }
      case 'completion': {
        if (line.applied === 'again') break
        const { originalStan, originalTransmittedAt, originalAcquirer } = line
        const original =
          originalStan === undefined || originalTransmittedAt === undefined || originalAcquirer === undefined
            ? undefined
            : originalOf({ ...line, originalStan, originalTransmittedAt, originalAcquirer })
        const pan = cardOfMask(line.card)?.pan ?? line.card
        this.complete({ name: line, original, pan, amountMinor: BigInt(line.amountMinor) })
        break
      }
      case 'reversalRefused': {
        const known = this.#originals.get(keyOf(originalOf(line)))
        if (known !== undefined) known.reversals++
        break
      }
    }
  }

  #decide(asked: PurchaseAsked, outcome: AmountOutcome | undefined): string {
    const card = this.#cards.get(asked.pan)
    const direction = directionOf(asked)
    if (direction === undefined || asked.currency !== '414') return '12'
    if (direction === 0n ? asked.amountMinor !== 0n : asked.amountMinor <= 0n) return '13'
    if (card === undefined) return '14'
    if (card.always !== undefined) return card.always
    if (card.expiry < currentMonth() || (asked.expiry ?? card.expiry) !== card.expiry) return '54'
    // A merchant gives money back, and looks at a card, without the cardholder's help.
    const needsPin = direction === 1n || isInquiry(asked)
    if (asked.pin !== card.pin && (needsPin || asked.pin !== undefined)) return '55'
    if (direction === 1n && card.limitMinor !== undefined && asked.amountMinor > card.limitMinor) return '61'
    if (outcome?.decision !== undefined && outcome.decision !== '00') return outcome.decision
    return direction === 1n && asked.amountMinor > this.#balances.get(maskedPan(card.pan))!
      ? '51'
      : this.#granted(asked, outcome)
  }

  /** What is said of what is granted: all of it, a part, or that the card is good. */
  #granted(asked: PurchaseAsked, outcome: AmountOutcome | undefined): string {
    if (asked.amountMinor === 0n) return isInquiry(asked) ? '00' : verifiedCode
    return outcome?.grants === 'half' && directionOf(asked) === 1n ? partialCode : '00'
  }

  #keep(
    key: string,
    { pan, amountMinor }: Pick<PurchaseAsked, 'pan' | 'amountMinor'>,
    {
      fingerprint,
      answered,
      direction,
    }: { readonly fingerprint: string; readonly answered: Answered; readonly direction: Direction },
  ): void {
    const card = maskedPan(pan)
    const state = approvals.includes(answered.responseCode) ? 'done' : 'declined'
    const takenMinor = state === 'done' ? direction * (answered.approvedMinor ?? amountMinor) : 0n
    if (takenMinor !== 0n) this.#move(card, -takenMinor)
    this.#originals.set(key, { fingerprint, card, amountMinor, takenMinor, answered, state, reversals: 0 })
  }

  #restore(line: Extract<NetworkLine, { card: string }>, answered: Answered, direction: Direction): void {
    const pan = cardOfMask(line.card)?.pan ?? line.card
    const fingerprint = fingerprintOf({ ...line, pan, amountMinor: BigInt(line.amountMinor) })
    const amountMinor = BigInt(line.amountMinor)
    this.#keep(keyOf(line), { pan, amountMinor }, { fingerprint, answered, direction })
  }

  #undo(key: string, known: Original | undefined, actualMinor: bigint): Applied {
    if (known === undefined) {
      if (this.#overtaken.has(key)) return 'again'
      this.#overtaken.add(key)
      return 'unknownOriginal'
    }
    if (known.state === 'released') return 'again'
    if (known.state === 'declined') return 'declinedOriginal'
    if (actualMinor > 0n) return this.#reduce(known, actualMinor)
    known.state = 'released'
    this.#move(known.card, known.takenMinor)
    return 'released'
  }

  /** A part is undone; what would leave no less than is there already changes nothing. */
  #reduce(known: Original, actualMinor: bigint): Applied {
    // A part of what was set aside is nothing to what was taken since.
    if (known.isCompleted === true) return 'again'
    const remaining = known.takenMinor < 0n ? -actualMinor : actualMinor
    const backMinor = known.takenMinor - remaining
    if (known.takenMinor < 0n ? backMinor >= 0n : backMinor <= 0n) return 'again'
    known.takenMinor = remaining
    this.#move(known.card, backMinor)
    return 'reduced'
  }

  #move(card: string, amountMinor: bigint): void {
    this.#balances.set(card, this.#balances.get(card)! + amountMinor)
    this.#debitedMinor -= amountMinor
  }

  #approval(asked: PurchaseAsked, responseCode: string): Answered {
    const { amountMinor, currency, pan } = asked
    const authId = this.#nextAuthId()
    if (responseCode === partialCode) return { responseCode, authId, approvedMinor: amountMinor / 2n }
    if (!isInquiry(asked)) return { responseCode, authId }
    const balanceMinor = this.#balances.get(maskedPan(pan)) ?? 0n
    return { responseCode: '00', authId, additionalAmounts: availableBalance(balanceMinor, currency) }
  }

  #nextAuthId(): string {
    this.#authIds = (this.#authIds + 1) % 1_000_000
    return this.#authIds.toString().padStart(6, '0')
  }
}

/** Whether an account loses the amount, gains it, or neither. */
type Direction = 1n | 0n | -1n

/** The first two digits of DE3: purchases and cash, refunds and deposits, questions for the balance, transfers. */
function directionOf({ processingCode, amountMinor }: PurchaseAsked): Direction | undefined {
  if (isVerification(processingCode, amountMinor)) return 0n
  return directions[processingCode.slice(0, 2)]
}

const directions: Readonly<Record<string, Direction>> = {
  '00': 1n,
  '01': 1n,
  '09': 1n,
  '20': -1n,
  '21': -1n,
  '30': 0n,
  '31': 0n,
  '40': 1n,
}

/** A purchase of nothing asks whether the card is good. */
export function isVerification(processingCode: string, amountMinor: bigint): boolean {
  return processingCode.startsWith('00') && amountMinor === 0n
}

function isInquiry({ processingCode }: PurchaseAsked): boolean {
  return processingCode.startsWith('3')
}

/** Approved; approved in part; no reason to decline. */
const partialCode = '10'
const verifiedCode = '85'
const approvals: readonly string[] = ['00', partialCode, verifiedCode]

/** DE54: of the default account, available (02), currency, credit, and twelve digits of minor units. */
function availableBalance(balanceMinor: bigint, currency: string): string {
  return `0002${currency}C${balanceMinor.toString().padStart(12, '0')}`
}

/** An original that comes after its reversal is an invalid transaction. */
const overtakenCode = '12'

/** What a reversal may have changed, to be done again after a restart. */
const changing: readonly Applied[] = ['released', 'reduced', 'unknownOriginal']

/** Done; unable to locate; no action taken. */
const reversalCodes: Readonly<Record<Applied, string>> = {
  released: '00',
  reduced: '00',
  unknownOriginal: '25',
  again: '21',
  declinedOriginal: '21',
}

function originalOf(line: {
  originalStan: string
  originalTransmittedAt: string
  originalAcquirer: string
  rrn: string
  terminal: string
}): RequestName {
  return {
    stan: line.originalStan,
    transmittedAt: line.originalTransmittedAt,
    acquirer: line.originalAcquirer,
    rrn: line.rrn,
    terminal: line.terminal,
  }
}

function keyOf({ stan, transmittedAt, acquirer, rrn, terminal }: RequestName): string {
  return [stan, transmittedAt, acquirer, rrn, terminal].join('|')
}

function fingerprintOf({
  pan,
  amountMinor,
  currency,
}: Pick<PurchaseAsked, 'pan' | 'amountMinor' | 'currency'>): string {
  return [maskedPan(pan), amountMinor, currency].join('|')
}

/** YYMM, as DE14 is written. */
function currentMonth(): string {
  const now = new Date().toISOString()
  return now.slice(2, 4) + now.slice(5, 7)
}
