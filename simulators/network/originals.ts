import { maskedPan, testCards } from '../cards.ts'
import { approvals, type Direction, keyOf, type Total } from './accounts.ts'
import type { Answered, PurchaseAsked, Standing } from './asked.ts'
import type { Applied, RequestName } from './book-lines.ts'
import type { Settled } from './conversion.ts'
import type { Fees } from './fees.ts'

/** A request that was decided, and what has become of it. */
export interface Original {
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
  readonly name: RequestName
  readonly total: Total
  /** What was told to be paid for it, where that is another currency. */
  readonly settled?: Settled
  /** What was charged for it. */
  readonly fees?: Fees
  /** Of what it lost, the part that is set aside for completions to take. */
  heldMinor: bigint
  isTakenInPart?: boolean
  /** What it raises. */
  readonly raises?: Original
  isRaised?: boolean
}

/** What was decided of a request, as it is kept. */
export interface Decision {
  readonly fingerprint: string
  readonly answered: Answered
  readonly direction: Direction
  readonly total: Total
  readonly raises?: Original
}

/** The accounts, and every request that moved one or was declined, under its own name. */
export class Originals {
  readonly #balances = new Map<string, bigint>(
    testCards.map((card) => [maskedPan(card.pan), card.openingBalanceMinor]),
  )
  readonly #originals = new Map<string, Original>()
  /** Keys of originals whose reversal came first. */
  readonly #overtaken = new Set<string>()
  #debitedMinor = 0n

  /** What all accounts together have lost. */
  get debitedMinor(): bigint {
    return this.#debitedMinor
  }

  balanceMinor(mask: string): bigint | undefined {
    return this.#balances.get(mask)
  }

  named(name: RequestName | undefined): Original | undefined {
    return name === undefined ? undefined : this.#originals.get(keyOf(name))
  }

  /** Whether a reversal of it came before it. */
  isOvertaken(name: RequestName): boolean {
    return this.#overtaken.has(keyOf(name))
  }

  keep(
    name: RequestName,
    { pan, amountMinor }: Pick<PurchaseAsked, 'pan' | 'amountMinor'>,
    { answered, direction, fingerprint, raises, total }: Decision,
  ): void {
    const card = maskedPan(pan)
    const state = approvals.includes(answered.responseCode) ? 'done' : 'declined'
    const takenMinor = state === 'done' ? direction * (answered.approvedMinor ?? amountMinor) : 0n
    if (takenMinor !== 0n) this.move(card, -takenMinor)
    this.#originals.set(keyOf(name), {
      ...(answered.settled === undefined ? {} : { settled: answered.settled }),
      ...(answered.fees === undefined ? {} : { fees: answered.fees }),
      ...{
        name: { ...name },
        fingerprint,
        card,
        amountMinor,
        takenMinor,
        total,
        answered,
        state,
        reversals: 0,
      },
      ...(raises === undefined ? {} : { raises }),
      heldMinor: takenMinor,
    })
    if (raises !== undefined && state === 'done') raises.isRaised = true
  }

  move(card: string, amountMinor: bigint): void {
    this.#balances.set(card, this.#balances.get(card)! + amountMinor)
    this.#debitedMinor -= amountMinor
  }

  /** An authorization with all that raised it, as far as they still stand. */
  family(root: Original): Original[] {
    const raises = [...this.#originals.values()].filter((one) => one.raises === root && one.state === 'done')
    return root.state === 'done' ? [root, ...raises] : raises
  }

  /** What the authorization of a request stands at, where it is one that is raised or taken in parts. */
  standing(known: Original | undefined): { readonly stands?: Standing } {
    const root = known?.raises ?? known
    if (root === undefined || (root.isRaised !== true && root.isTakenInPart !== true)) return {}
    const minor = this.family(root).reduce((sum, one) => sum + one.takenMinor, 0n)
    return { stands: { root: root.name, minor } }
  }

  /** Undoes the original of that name, or, where `actualMinor` is more than zero, all of it but that. */
  undo(name: RequestName, actualMinor: bigint): Applied {
    const known = this.named(name)
    if (known === undefined) {
      if (this.isOvertaken(name)) return 'again'
      this.#overtaken.add(keyOf(name))
      return 'unknownOriginal'
    }
    if (known.state === 'released') return 'again'
    if (known.state === 'declined') return 'declinedOriginal'
    if (actualMinor > 0n) return this.#reduce(known, actualMinor)
    // What a completion took of a raise is undone with what it raises, and with that all that raised it.
    if (known.raises !== undefined && known.isCompleted === true) return 'again'
    for (const one of known.raises === undefined ? this.family(known) : [known]) {
      one.state = 'released'
      this.move(one.card, one.takenMinor)
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
    this.move(known.card, backMinor)
    return 'reduced'
  }
}

/** What of them was money, and not only set aside. */
export function moneyOf(family: readonly Original[]): bigint {
  return family.reduce((sum, { heldMinor, state, takenMinor, total }) => {
    if (state !== 'done' || total === 'none') return sum
    if (total === 'hold') return sum + takenMinor - heldMinor
    return sum + (takenMinor < 0n ? -takenMinor : takenMinor)
  }, 0n)
}
