/**
 * What waits for the writer: bounded, urgent work first, and never two units that claim the same thing in one
 * batch. A unit that is held back holds back every later unit with one of its claims, so none overtakes it.
 */
export interface Waiting {
  readonly urgent: boolean
  readonly claims: readonly string[]
}

export class CommitQueue<T extends Waiting> {
  #urgent: T[] = []
  #normal: T[] = []
  readonly #waitingMax: number

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax
  }

  get length(): number {
    return this.#urgent.length + this.#normal.length
  }

  /** False when the queue is full. */
  push(item: T): boolean {
    if (this.length >= this.#waitingMax) return false
    if (item.urgent) this.#urgent.push(item)
    else this.#normal.push(item)
    return true
  }

  take(batchMax: number): T[] {
    const batch: T[] = []
    const claimed = new Set<string>()
    this.#urgent = takeFrom(this.#urgent, batch, claimed, batchMax)
    this.#normal = takeFrom(this.#normal, batch, claimed, batchMax)
    return batch
  }

  /** Takes out everything that `leaves` says yes to. */
  remove(leaves: (item: T) => boolean): T[] {
    const removed: T[] = []
    const stays = (item: T): boolean => {
      if (!leaves(item)) return true
      removed.push(item)
      return false
    }
    this.#urgent = this.#urgent.filter(stays)
    this.#normal = this.#normal.filter(stays)
    return removed
  }
}

/** Returns what stays. */
function takeFrom<T extends Waiting>(from: T[], batch: T[], claimed: Set<string>, batchMax: number): T[] {
  const heldBack: T[] = []
  let index = 0
  for (; index < from.length && batch.length < batchMax; index++) {
    const item = from[index]!
    const free = item.claims.every((claim) => !claimed.has(claim))
    for (const claim of item.claims) claimed.add(claim)
    if (free) batch.push(item)
    else heldBack.push(item)
  }
  if (heldBack.length === 0) return index === from.length ? [] : from.slice(index)
  return [...heldBack, ...from.slice(index)]
}
