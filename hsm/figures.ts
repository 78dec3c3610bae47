/** What the client counts: calls by operation and by how they ended, and how long callers waited. */
import type { HsmFault } from './fault.ts'

/** Upper bounds of the classes of `OperationFigures.buckets`, in seconds; a last class has no bound. */
export const secondsBounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5] as const

export interface OperationFigures {
  readonly count: number
  readonly seconds: number
  /** Calls in each class, not added up. */
  readonly buckets: readonly number[]
  readonly faults: Readonly<Partial<Record<HsmFault['kind'], number>>>
}

interface Counted {
  count: number
  seconds: number
  readonly buckets: number[]
  readonly faults: Partial<Record<HsmFault['kind'], number>>
}

export class Figures {
  readonly #operations = new Map<string, Counted>()

  ended(operation: string, ms: number, fault?: HsmFault['kind']): void {
    const counted = this.#of(operation)
    const seconds = ms / 1_000
    counted.count++
    counted.seconds += seconds
    let index = 0
    while (index < secondsBounds.length && seconds > secondsBounds[index]!) index++
    counted.buckets[index]!++
    if (fault !== undefined) counted.faults[fault] = (counted.faults[fault] ?? 0) + 1
  }

  operations(): Readonly<Record<string, OperationFigures>> {
    return Object.fromEntries(
      [...this.#operations].map(([name, { buckets, faults, ...rest }]) => [
        name,
        { ...rest, buckets: [...buckets], faults: { ...faults } },
      ]),
    )
  }

  #of(operation: string): Counted {
    const there = this.#operations.get(operation)
    if (there !== undefined) return there
    const fresh = {
      count: 0,
      seconds: 0,
      buckets: Array.from({ length: secondsBounds.length + 1 }, () => 0),
      faults: {},
    }
    this.#operations.set(operation, fresh)
    return fresh
  }
}
