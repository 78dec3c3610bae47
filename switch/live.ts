import type { InboundRequest } from './arrivals.ts'
import type { Prepared } from './dispatch.ts'
import type { Answer, StoredCard, Transaction } from './transaction/transaction.ts'

/** Hands an answer to the one who asked; says what became of it. */
export interface Waiter {
  (answer: Answer): Promise<'written' | 'notSent' | 'failed'>
  /** Makes ready what it will probably be called with. Tells nobody. */
  prepare?(answer: Answer): void
}

/** A request being served by this node: its record, who waits, and the card data that is nowhere else. */
export interface Live {
  transaction: Transaction | undefined
  readonly waiters: Waiter[]
  readonly inbound: InboundRequest
  readonly card: StoredCard
  /** What its source was told before, when that could not be recorded. */
  readonly refusedWith?: string
  /** Its answer is decided. */
  answered: boolean
  /** Somebody was given the answer. */
  heard: boolean
  /** Destinations that its legs did not leave for. */
  readonly tried: string[]
  /** The message of its leg, made while commit 1 was on its way. */
  ahead?: { readonly legId: string; readonly prepared: Promise<Prepared> }
}

/** A transaction from the journal, with nobody waiting here. */
export interface Stored {
  transaction: Transaction | undefined
  readonly waiters: readonly Waiter[]
  readonly inbound: undefined
  answered: boolean
}

/** Who said something about an earlier transaction, while it is being recorded. */
export interface Asked {
  readonly waiter: Waiter
}

/** The requests that this node serves now, by the keys of their sources. */
export class LiveRequests {
  readonly #live = new Map<string, Live>()

  get size(): number {
    return this.#live.size
  }

  get(sourceKey: string): Live | undefined {
    return this.#live.get(sourceKey)
  }

  has(sourceKey: string): boolean {
    return this.#live.has(sourceKey)
  }

  add(live: Live): void {
    this.#live.set(live.inbound.sourceKey, live)
  }

  /** A copy of it, or a later request under its key, stays. */
  forget(one: Live | Stored): void {
    const key = one.inbound?.sourceKey
    if (key !== undefined && this.#live.get(key) === one) this.#live.delete(key)
  }
}

export function storedOf(transaction: Transaction | undefined): Stored {
  return { transaction, waiters: [], inbound: undefined, answered: true }
}

/** Gives all who wait the answer; true when one of them was given it. */
export async function tell(waiters: readonly Waiter[], answer: Answer): Promise<boolean> {
  const outcomes = await Promise.all(waiters.map((waiter) => waiter(answer)))
  return outcomes.includes('written')
}
