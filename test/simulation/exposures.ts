import type { Exposure } from '../../switch/transaction/transaction.ts'
import { simulatedStandIn } from './stand-in.ts'

type NewExposure = Exposure & { readonly kind: 'new' }

/** Approvals in issuers' places. A history is shorter than any window, so that all of it counts. */
export class SimulatedExposures {
  readonly #all = new Map<string, { readonly exposure: NewExposure; leftMinor: bigint }>()

  allows({ amountMinor, cardToken, limits, rule }: NewExposure): boolean {
    const card = this.#standing((other) => other.cardToken === cardToken)
    const range = this.#standing((other) => other.rule === rule)
    return (
      card.sum + amountMinor <= limits.perCardMinorMax &&
      card.count < limits.perCardCountMax &&
      range.sum + amountMinor <= limits.perHourMinorMax
    )
  }

  write(transactionId: string, exposure: Exposure): void {
    if (exposure.kind === 'new') this.#all.set(transactionId, { exposure, leftMinor: exposure.amountMinor })
    else this.#all.get(transactionId)!.leftMinor = exposure.amountMinor
  }

  /** By the rules of the history, whatever the switch says that they are. */
  excess(): string[] {
    const rule = simulatedStandIn[0]!
    const excess: string[] = []
    for (const token of new Set([...this.#all.values()].map(({ exposure }) => exposure.cardToken))) {
      const card = this.#standing((other) => other.cardToken === token)
      if (card.sum > rule.perCardMinorMax || card.count > rule.perCardCountMax)
        excess.push(`a card stands at ${card.sum}`)
    }
    const { sum } = this.#standing(() => true)
    if (sum > rule.perHourMinorMax) excess.push(`the range stands at ${sum}`)
    return excess
  }

  #standing(wanted: (exposure: NewExposure) => boolean): { readonly sum: bigint; readonly count: number } {
    const standing = [...this.#all.values()].filter(
      ({ exposure, leftMinor }) => leftMinor > 0n && wanted(exposure),
    )
    return { sum: standing.reduce((sum, { leftMinor }) => sum + leftMinor, 0n), count: standing.length }
  }
}
