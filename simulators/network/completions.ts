import { keyOf } from './accounts.ts'
import type { Completed, CompletionAsked } from './asked.ts'
import type { Applied, RequestName } from './book-lines.ts'
import type { Settled } from './conversion.ts'
import type { Original, Originals } from './originals.ts'

/** What one completion took, so that it can be undone alone. */
export interface Taken {
  readonly of: Original
  readonly amountMinor: bigint
  readonly heldMinor: bigint
  /** What was told to be paid for it, where that is another currency. */
  readonly settled?: Settled
  isUndone: boolean
}

/** Completions take what authorizations set aside, in one or several parts, and each can be undone alone. */
export class Completions {
  readonly #originals: Originals
  /** What became of them, by their own keys. */
  readonly #completions = new Map<string, Completed>()
  /** What those that took something of an authorization took of it, by their own keys. */
  readonly #taken = new Map<string, Taken>()

  constructor(originals: Originals) {
    this.#originals = originals
  }

  /** What a completion of that name took of an authorization, if it did. */
  taken(name: RequestName): Taken | undefined {
    return this.#taken.get(keyOf(name))
  }

  /** The account loses so much in the place of what was set aside. `settled` is what is paid for it. */
  complete(asked: CompletionAsked, settled: Settled | undefined): Completed {
    const key = keyOf(asked.name)
    const before = this.#completions.get(key)
    if (before !== undefined) return { ...before, applied: 'again' }
    const completed = this.#take(asked, settled)
    this.#completions.set(key, completed)
    return completed
  }

  /** One completion is undone; while others may follow, what it took is set aside again. */
  undo(taken: Taken): Applied {
    const { amountMinor, heldMinor, of } = taken
    if (taken.isUndone || of.state !== 'done') return 'again'
    taken.isUndone = true
    const againMinor = of.isCompleted === true ? 0n : heldMinor
    of.takenMinor -= amountMinor - againMinor
    of.heldMinor += againMinor
    this.#originals.move(of.card, amountMinor - againMinor)
    return 'reduced'
  }

  /** What is paid for all that completions took of an authorization and that was not undone since. */
  settledFor(known: Original | undefined): Settled | undefined {
    if (known?.total !== 'hold') return undefined
    const paid = [...this.#taken.values()].flatMap(({ isUndone, of, settled }) =>
      of === known && !isUndone && settled !== undefined ? [settled] : [],
    )
    const [first] = paid
    return first && { ...first, minor: paid.reduce((sum, { minor }) => sum + minor, 0n) }
  }

  #take(
    { amountMinor, isPart, name, original, pan }: CompletionAsked,
    settled: Settled | undefined,
  ): Completed {
    const paid = settled === undefined ? {} : { settled }
    const known = this.#originals.named(original)
    if (known === undefined) {
      const answered = { responseCode: '00', ...paid }
      const decision = { fingerprint: '', answered, direction: 1n, total: 'debit' } as const
      this.#originals.keep(name, { pan, amountMinor }, decision)
      return { applied: 'forced', ...paid }
    }
    // Undone in the meantime: a completion of it is late, and nothing is paid for it.
    if (known.state !== 'done') return { applied: 'released' }
    const family = this.#originals.family(known)
    const before = takenOf(family)
    known.takenMinor += amountMinor
    known.isTakenInPart ||= isPart
    const heldBefore = heldOf(family)
    letGo(family, amountMinor)
    const heldMinor = heldBefore - heldOf(family)
    this.#taken.set(keyOf(name), { of: known, amountMinor, heldMinor, isUndone: false, ...paid })
    if (!isPart || family.every(({ heldMinor }) => heldMinor === 0n)) {
      for (const one of family) {
        letGo([one], one.heldMinor)
        one.isCompleted = true
      }
    }
    this.#originals.move(known.card, before - takenOf(family))
    return { applied: 'taken', ...paid }
  }
}

/** So much is set aside no more, of the authorization itself first. */
function letGo(family: readonly Original[], amountMinor: bigint): void {
  let rest = amountMinor
  for (const one of family) {
    const part = rest < one.heldMinor ? rest : one.heldMinor
    one.heldMinor -= part
    one.takenMinor -= part
    rest -= part
  }
}

function heldOf(family: readonly Original[]): bigint {
  return family.reduce((sum, { heldMinor }) => sum + heldMinor, 0n)
}

function takenOf(family: readonly Original[]): bigint {
  return family.reduce((sum, { takenMinor }) => sum + takenMinor, 0n)
}
