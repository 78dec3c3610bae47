import {
  type AmountOutcome,
  cardOfMask,
  maskedPan,
  outcomeOfAmount,
  type TestCard,
  testCards,
} from '../cards.ts'
import type { NetworkLine, RequestName } from './book-lines.ts'
import { Completions } from './completions.ts'
import { feesBack, feesOf, feesOfLine, type FeeTerms } from './fees.ts'
import { type Conversion, type Settled, settledBack, settledOf } from './conversion.ts'
import {
  totalOf,
  totalOfLine,
  type Direction,
  directionOf,
  isInquiry,
  partialCode,
  verifiedCode,
  approvals,
  availableBalance,
  overtakenCode,
  changing,
  reversalCodes,
  originalOf,
  keyOf,
  fingerprintOf,
  currentMonth,
  type Total,
} from './accounts.ts'
import { moneyOf, type Original, Originals } from './originals.ts'
import type {
  PurchaseAsked,
  ReversalAsked,
  Answered,
  Purchased,
  Reversed,
  Standing,
  CompletionAsked,
  Completed,
} from './asked.ts'

/** The issuers behind the network: accounts, decisions, and the memory that makes every effect happen once. */
export class Issuer {
  readonly #cards: ReadonlyMap<string, TestCard>
  readonly #originals = new Originals()
  readonly #completions = new Completions(this.#originals)
  /** Answers of reversals, by the reversals' own keys. */
  readonly #reversals = new Map<string, string>()
  #authIds: number
  readonly #settlement: Conversion | undefined
  readonly #fees: FeeTerms

  /** `settlement`: the currency that it pays in, where that is another than that of the amounts. */
  constructor(
    seed: number,
    network: string,
    settlement?: Conversion,
    fees: FeeTerms = { inAmount: true, reversed: false },
  ) {
    this.#settlement = settlement
    this.#fees = fees
    this.#cards = new Map(
      testCards.filter((card) => card.network === network).map((card) => [card.pan, card]),
    )
    this.#authIds = seed % 1_000_000
  }

  /** What all accounts together have lost. */
  get debitedMinor(): bigint {
    return this.#originals.debitedMinor
  }

  balanceMinor(mask: string): bigint | undefined {
    return this.#originals.balanceMinor(mask)
  }

  purchase(asked: PurchaseAsked): Purchased {
    const fingerprint = fingerprintOf(asked)
    const known = this.#originals.named(asked.name)
    if (known !== undefined) {
      return known.fingerprint === fingerprint
        ? { kind: 'repeat', answered: known.answered }
        : { kind: 'conflict' }
    }
    const outcome = outcomeOfAmount(asked.amountMinor)
    if (outcome !== undefined && outcome.decision === undefined) return { kind: 'lost' }
    const responseCode = this.#originals.isOvertaken(asked.name)
      ? overtakenCode
      : this.#decide(asked, outcome)
    const total = totalOf(asked)
    const answered = approvals.includes(responseCode)
      ? this.#charged(asked, outcome, this.#settling(asked, total, this.#approval(asked, responseCode)))
      : { responseCode }
    const raises = this.#originals.named(asked.raises)
    const raising = raises === undefined ? {} : { raises }
    this.#originals.keep(asked.name, asked, {
      fingerprint,
      answered,
      direction: directionOf(asked) ?? 0n,
      total,
      ...raising,
    })
    return { kind: 'decided', answered, outcome }
  }

  /** `refusal` is what the amount of the original asks for in the place of a reversal, if it does. */
  refusal(original: RequestName): string | undefined {
    const known = this.#originals.named(original)
    const manner = known === undefined ? undefined : outcomeOfAmount(known.amountMinor)?.reversals
    if (manner === 'refused') return '12'
    if (manner !== 'retryOnce' || known === undefined || known.reversals > 0) return undefined
    known.reversals++
    return '96'
  }

  /** Whether this original wants its reversals done and not answered, this time. */
  keepsQuiet(original: RequestName): boolean {
    const known = this.#originals.named(original)
    if (known === undefined || outcomeOfAmount(known.amountMinor)?.reversals !== 'unansweredTwice')
      return false
    return known.reversals <= 2
  }

  reverse({ name, original, actualMinor }: ReversalAsked, isAdvice: boolean): Reversed {
    const taken = this.#completions.taken(original)
    const known = taken?.of ?? this.#originals.named(original)
    if (known !== undefined) known.reversals++
    const answeredBefore = this.#reversals.get(keyOf(name))
    if (answeredBefore !== undefined) return { applied: 'again', responseCode: answeredBefore, repeat: true }
    const family =
      known === undefined ? [] : known.raises === undefined ? this.#originals.family(known) : [known]
    const before = moneyOf(family)
    const settled = taken === undefined ? this.#completions.settledFor(known) : taken.settled
    const applied =
      taken === undefined ? this.#originals.undo(original, actualMinor) : this.#completions.undo(taken)
    const after = moneyOf(family)
    const undone =
      known?.total === 'hold'
        ? takenBack(before - after, settled)
        : undoneOf(known, before, after, this.#fees)
    const standing = this.#originals.standing(known)
    const responseCode = isAdvice && applied === 'unknownOriginal' ? '00' : reversalCodes[applied]
    this.#reversals.set(keyOf(name), responseCode)
    return { applied, responseCode, repeat: false, ...standing, ...undone }
  }

  /** A completion of what was set aside: the account loses so much in the place of what was set aside. */
  complete(asked: CompletionAsked): Completed {
    return this.#completions.complete(asked, settledOf(this.#settlement, asked))
  }

  /** What the authorization of a request stands at, where it is one that is raised or taken in parts. */
  standing(name: RequestName): { readonly stands?: Standing } {
    return this.#originals.standing(this.#originals.named(name))
  }

  /** A line of the book, after a restart. */
  replay(line: NetworkLine): void {
    switch (line.event) {
      case 'debit':
      case 'hold':
      case 'raise':
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
        const original = originalOf(line)
        const taken = this.#completions.taken(original)
        const known = taken?.of ?? this.#originals.named(original)
        if (known !== undefined) known.reversals++
        if (changing.includes(line.applied)) {
          if (taken === undefined) this.#originals.undo(original, BigInt(line.actualMinor ?? '0'))
          else this.#completions.undo(taken)
        }
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
        const { isPart = false } = line
        const { amountMinor, currency } = line
        this.#completions.complete(
          { name: line, original, pan, amountMinor: BigInt(amountMinor), currency, isPart },
          settledOfLine(line),
        )
        break
      }
      case 'reversalRefused': {
        const known = this.#originals.named(originalOf(line))
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
    if (asked.raises !== undefined) {
      const raised = this.#originals.named(asked.raises)
      if (raised === undefined || raised.state !== 'done' || raised.isCompleted === true) return '12'
    }
    if (card.always !== undefined) return card.always
    if (card.expiry < currentMonth() || (asked.expiry ?? card.expiry) !== card.expiry) return '54'
    // A merchant gives money back, and looks at a card, without the cardholder's help.
    const needsPin = direction === 1n || isInquiry(asked)
    if (asked.pin !== card.pin && (needsPin || asked.pin !== undefined)) return '55'
    if (direction === 1n && card.limitMinor !== undefined && asked.amountMinor > card.limitMinor) return '61'
    if (outcome?.decision !== undefined && outcome.decision !== '00') return outcome.decision
    return direction === 1n && asked.amountMinor > this.#originals.balanceMinor(maskedPan(card.pan))!
      ? '51'
      : this.#granted(asked, outcome)
  }

  /** What is said of what is granted: all of it, a part, or that the card is good. */
  #granted(asked: PurchaseAsked, outcome: AmountOutcome | undefined): string {
    if (asked.amountMinor === 0n) return isInquiry(asked) ? '00' : verifiedCode
    return outcome?.grants === 'half' && directionOf(asked) === 1n ? partialCode : '00'
  }

  #restore(line: Extract<NetworkLine, { card: string }>, answered: Answered, direction: Direction): void {
    const pan = cardOfMask(line.card)?.pan ?? line.card
    const fingerprint = fingerprintOf({ ...line, pan, amountMinor: BigInt(line.amountMinor) })
    const amountMinor = BigInt(line.amountMinor)
    const raises = line.event === 'raise' ? this.#originals.named(originalOf(line)) : undefined
    const raising = raises === undefined ? {} : { raises }
    const total = totalOfLine[line.event] ?? 'none'
    const settled = settledOfLine(line)
    const fees = 'authId' in line ? feesOfLine(line, settled?.currency) : undefined
    const told = {
      ...answered,
      ...(settled === undefined ? {} : { settled }),
      ...(fees === undefined ? {} : { fees }),
    }
    this.#originals.keep(
      line,
      { pan, amountMinor },
      { fingerprint, answered: told, direction, total, ...raising },
    )
  }

  #approval(asked: PurchaseAsked, responseCode: string): Answered {
    const { amountMinor, currency, pan } = asked
    const authId = this.#nextAuthId()
    if (responseCode === partialCode) return { responseCode, authId, approvedMinor: amountMinor / 2n }
    if (!isInquiry(asked)) return { responseCode, authId }
    const balanceMinor = this.#originals.balanceMinor(maskedPan(pan)) ?? 0n
    return { responseCode: '00', authId, additionalAmounts: availableBalance(balanceMinor, currency) }
  }

  /** What is only set aside is settled when it is taken. */
  #settling(
    { amountMinor, currency, feeMinor = 0n }: PurchaseAsked,
    total: Total,
    answered: Answered,
  ): Answered {
    if (total !== 'debit' && total !== 'credit') return answered
    const besideMinor = this.#fees.inAmount ? 0n : feeMinor
    const whole = (answered.approvedMinor ?? amountMinor) - besideMinor
    const settled = settledOf(this.#settlement, { amountMinor: whole, currency })
    const beside = settledOf(this.#settlement, { amountMinor: besideMinor, currency })
    if (settled === undefined) return answered
    return { ...answered, settled: { ...settled, minor: settled.minor + (beside?.minor ?? 0n) } }
  }

  /** What is only set aside is charged when it is taken, and of that nothing is said. */
  #charged(asked: PurchaseAsked, outcome: AmountOutcome | undefined, answered: Answered): Answered {
    const total = totalOf(asked)
    if (total === 'hold') return answered
    const { currency, feeMinor } = asked
    const charge = asked.charge ?? outcome?.charge
    const settlement = answered.settled === undefined ? undefined : this.#settlement
    const fees = feesOf({ currency, ...(charge && { charge }), ...(feeMinor && { feeMinor }) }, settlement)
    return fees === undefined ? answered : { ...answered, fees }
  }

  #nextAuthId(): string {
    this.#authIds = (this.#authIds + 1) % 1_000_000
    return this.#authIds.toString().padStart(6, '0')
  }
}

/** What an undoing gives back, and what of it the network had told to pay. */
function undoneOf(
  known: Original | undefined,
  beforeMinor: bigint,
  afterMinor: bigint,
  terms: FeeTerms,
): Pick<Reversed, 'undone'> {
  if (beforeMinor === afterMinor) return {}
  const of = known?.total === 'credit' ? 'credit' : 'debit'
  const fees =
    known?.fees === undefined ? undefined : feesBack(known.fees, { beforeMinor, afterMinor }, terms)
  const undone = { of, minor: beforeMinor - afterMinor, ...(fees === undefined ? {} : { fees }) } as const
  if (known?.settled === undefined) return { undone }
  const wholeMinor = known.answered.approvedMinor ?? known.amountMinor
  const settled = settledBack(known.settled, { wholeMinor, beforeMinor, afterMinor })
  return { undone: { ...undone, settled } }
}

/** What the undoing of completions gives back: of what was only set aside, nothing. */
function takenBack(minor: bigint, settled: Settled | undefined): Pick<Reversed, 'undone'> {
  if (minor === 0n) return {}
  return { undone: { of: 'debit', minor, ...(settled === undefined ? {} : { settled }) } }
}

/** As its line had it: what was told once stays told, whatever is configured now. */
function settledOfLine(line: NetworkLine): Settled | undefined {
  if (!('settledMinor' in line)) return undefined
  return { currency: line.settledCurrency ?? line.currency, minor: BigInt(line.settledMinor) }
}
