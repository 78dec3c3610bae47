import type { Exposure } from '../../switch/transaction/transaction.ts'
import { simulatedStandIn } from './stand-in.ts'

type NewExposure = Exposure & { readonly kind: 'new' }

interface Standing {
  readonly transactionId: string
  readonly exposure: NewExposure
  leftMinor: bigint
}

/** Approvals in issuers' places. A history is shorter than any window, so that all of it counts. */
export class SimulatedExposures {
  readonly #all = new Map<string, Standing>()
  /** Whether the issuer has still to acknowledge it. */
  readonly #isOwed: (transactionId: string) => boolean

  constructor(isOwed: (transactionId: string) => boolean) {
    this.#isOwed = isOwed
  }

  get all(): Iterable<Standing> {
    return this.#all.values()
  }

  allows({ amountMinor, cardToken, limits, rule }: NewExposure): boolean {
    const card = this.#standing((other) => other.cardToken === cardToken)
    const range = this.#standing((other) => other.rule === rule)
    const episode = this.#standing((other, id) => other.cardToken === cardToken && this.#isOwed(id))
    return (
      card.sum + amountMinor <= limits.perCardMinorMax &&
      card.count < limits.perCardCountMax &&
      episode.sum + amountMinor <= limits.perEpisodeMinorMax &&
      range.sum + amountMinor <= limits.perHourMinorMax
    )
  }

  leftOf(transactionId: string): bigint | undefined {
    return this.#all.get(transactionId)?.leftMinor
  }

  write(transactionId: string, exposure: Exposure): void {
    if (exposure.kind === 'new')
      this.#all.set(transactionId, { transactionId, exposure, leftMinor: exposure.amountMinor })
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
      const episode = this.#standing((other, id) => other.cardToken === token && this.#isOwed(id))
      if (episode.sum > rule.perEpisodeMinorMax)
        excess.push(`a card stands at ${episode.sum} that its issuer has not heard of`)
    }
    const { sum } = this.#standing(() => true)
    if (sum > rule.perHourMinorMax) excess.push(`the range stands at ${sum}`)
    return excess
  }

  #standing(wanted: (exposure: NewExposure, transactionId: string) => boolean): {
    readonly sum: bigint
    readonly count: number
  } {
    const standing = [...this.#all.values()].filter(
      ({ exposure, leftMinor, transactionId }) => leftMinor > 0n && wanted(exposure, transactionId),
    )
    return { sum: standing.reduce((sum, { leftMinor }) => sum + leftMinor, 0n), count: standing.length }
  }
}
