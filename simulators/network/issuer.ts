import {
  type AmountOutcome,
  cardOfMask,
  maskedPan,
  outcomeOfAmount,
  type TestCard,
  testCards,
} from '../cards.ts'
import type { Applied, NetworkLine, RequestName } from './book-lines.ts'
import {
  moneyOf,
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
  type Original,
  type Taken,
} from './accounts.ts'
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
  /** What those that took something of an authorization took of it, by their own keys. */
  readonly #taken = new Map<string, Taken>()
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
    const raises = this.#raised(asked.raises)
    const raising = raises === undefined ? {} : { raises }
    this.#keep(asked.name, asked, {
      fingerprint,
      answered,
      direction: directionOf(asked) ?? 0n,
      total: totalOf(asked),
      ...raising,
    })
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
    const taken = this.#taken.get(keyOf(original))
    const known = taken?.of ?? this.#originals.get(keyOf(original))
    if (known !== undefined) known.reversals++
    const answeredBefore = this.#reversals.get(keyOf(name))
    if (answeredBefore !== undefined) return { applied: 'again', responseCode: answeredBefore, repeat: true }
    const family = known === undefined ? [] : known.raises === undefined ? this.#family(known) : [known]
    const before = moneyOf(family)
    const applied =
      taken === undefined ? this.#undo(keyOf(original), known, actualMinor) : this.#untake(taken)
    const minor = before - moneyOf(family)
    const undone =
      minor === 0n ? {} : { undone: { of: known?.total === 'credit' ? 'credit' : 'debit', minor } as const }
    const standing = known === undefined ? {} : this.#standing(known)
    const responseCode = isAdvice && applied === 'unknownOriginal' ? '00' : reversalCodes[applied]
    this.#reversals.set(keyOf(name), responseCode)
    return { applied, responseCode, repeat: false, ...standing, ...undone }
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

  /** What the authorization of a request stands at, where it is one that is raised or taken in parts. */
  standing(name: RequestName): { readonly stands?: Standing } {
    const known = this.#originals.get(keyOf(name))
    return known === undefined ? {} : this.#standing(known)
  }

  #standing(known: Original): { readonly stands?: Standing } {
    const root = known.raises ?? known
    if (root.isRaised !== true && root.isTakenInPart !== true) return {}
    const minor = this.#family(root).reduce((sum, one) => sum + one.takenMinor, 0n)
    return { stands: { root: root.name, minor } }
  }

  #family(root: Original): Original[] {
    const raises = [...this.#originals.values()].filter((one) => one.raises === root && one.state === 'done')
    return root.state === 'done' ? [root, ...raises] : raises
  }

  #raised(name: RequestName | undefined): Original | undefined {
    return name === undefined ? undefined : this.#originals.get(keyOf(name))
  }

  #take(known: Original | undefined, { amountMinor, isPart, name, pan }: CompletionAsked): Completed {
    if (known === undefined) {
      const answered = { responseCode: '00' }
      this.#keep(name, { pan, amountMinor }, { fingerprint: '', answered, direction: 1n, total: 'debit' })
      return 'forced'
    }
    // Undone in the meantime: a completion of it is late.
    if (known.state !== 'done') return 'released'
    const family = this.#family(known)
    const before = family.reduce((sum, one) => sum + one.takenMinor, 0n)
    known.takenMinor += amountMinor
    known.isTakenInPart ||= isPart
    const heldBefore = heldOf(family)
    this.#letGo(family, amountMinor)
    const heldMinor = heldBefore - heldOf(family)
    this.#taken.set(keyOf(name), { of: known, amountMinor, heldMinor, isUndone: false })
    if (!isPart || family.every(({ heldMinor }) => heldMinor === 0n)) {
      for (const one of family) {
        this.#letGo([one], one.heldMinor)
        one.isCompleted = true
      }
    }
    this.#move(known.card, before - family.reduce((sum, one) => sum + one.takenMinor, 0n))
    return 'taken'
  }

  /** One completion is undone; while others may follow, what it took is set aside again. */
  #untake(taken: Taken): Applied {
    const { amountMinor, heldMinor, of } = taken
    if (taken.isUndone || of.state !== 'done') return 'again'
    taken.isUndone = true
    const againMinor = of.isCompleted === true ? 0n : heldMinor
    of.takenMinor -= amountMinor - againMinor
    of.heldMinor += againMinor
    this.#move(of.card, amountMinor - againMinor)
    return 'reduced'
  }

  /** So much is set aside no more, of the authorization itself first. */
  #letGo(family: readonly Original[], amountMinor: bigint): void {
    let rest = amountMinor
    for (const one of family) {
      const part = rest < one.heldMinor ? rest : one.heldMinor
      one.heldMinor -= part
      one.takenMinor -= part
      rest -= part
    }
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
        const original = keyOf(originalOf(line))
        const taken = this.#taken.get(original)
        const known = taken?.of ?? this.#originals.get(original)
        if (known !== undefined) known.reversals++
        if (changing.includes(line.applied)) {
          if (taken === undefined) this.#undo(original, known, BigInt(line.actualMinor ?? '0'))
          else this.#untake(taken)
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
        this.complete({ name: line, original, pan, amountMinor: BigInt(line.amountMinor), isPart })
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
    if (asked.raises !== undefined) {
      const raised = this.#raised(asked.raises)
      if (raised === undefined || raised.state !== 'done' || raised.isCompleted === true) return '12'
    }
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
    name: RequestName,
    { pan, amountMinor }: Pick<PurchaseAsked, 'pan' | 'amountMinor'>,
    decided: {
      readonly fingerprint: string
      readonly answered: Answered
      readonly direction: Direction
      readonly total: Original['total']
      readonly raises?: Original
    },
  ): void {
    const { fingerprint, answered, direction, raises } = decided
    const card = maskedPan(pan)
    const state = approvals.includes(answered.responseCode) ? 'done' : 'declined'
    const takenMinor = state === 'done' ? direction * (answered.approvedMinor ?? amountMinor) : 0n
    if (takenMinor !== 0n) this.#move(card, -takenMinor)
    this.#originals.set(keyOf(name), {
      total: decided.total,
      ...{ name: { ...name }, fingerprint, card, amountMinor, takenMinor, answered, state, reversals: 0 },
      ...(raises === undefined ? {} : { raises }),
      heldMinor: takenMinor,
    })
    if (raises !== undefined && state === 'done') raises.isRaised = true
  }

  #restore(line: Extract<NetworkLine, { card: string }>, answered: Answered, direction: Direction): void {
    const pan = cardOfMask(line.card)?.pan ?? line.card
    const fingerprint = fingerprintOf({ ...line, pan, amountMinor: BigInt(line.amountMinor) })
    const amountMinor = BigInt(line.amountMinor)
    const raises = line.event === 'raise' ? this.#raised(originalOf(line)) : undefined
    const raising = raises === undefined ? {} : { raises }
    const total = totalOfLine[line.event] ?? 'none'
    this.#keep(line, { pan, amountMinor }, { fingerprint, answered, direction, total, ...raising })
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
    // What a completion took of a raise is undone with what it raises, and with that all that raised it.
    if (known.raises !== undefined && known.isCompleted === true) return 'again'
    for (const one of known.raises === undefined ? this.#family(known) : [known]) {
      one.state = 'released'
      this.#move(one.card, one.takenMinor)
    }
    return 'released'
  }

  /** A part is undone; what would leave no less than is there already changes nothing. */
  #reduce(known: Original, actualMinor: bigint): Applied {
    // A part of what was set aside is nothing to what was taken since.
    if (known.isCompleted === true || known.isTakenInPart === true) return 'again'
    const remaining = known.takenMinor < 0n ? -actualMinor : actualMinor
    const backMinor = known.takenMinor - remaining
    if (known.takenMinor < 0n ? backMinor >= 0n : backMinor <= 0n) return 'again'
    known.takenMinor = remaining
    known.heldMinor = remaining
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

function heldOf(family: readonly Original[]): bigint {
  return family.reduce((sum, { heldMinor }) => sum + heldMinor, 0n)
}
