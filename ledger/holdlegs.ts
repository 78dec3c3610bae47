import type { HoldLeg } from './books.ts'
import type { Leg } from './contract.ts'

/** Legs on the same side of the same account are one leg: what is set aside there is one sum. */
export function mergeLegs(legs: readonly HoldLeg[], more: readonly Leg[]): HoldLeg[] {
  const merged = [...legs]
  for (const { account, side, amountMinor } of more) {
    const index = merged.findIndex((leg) => leg.account === account && leg.side === side)
    const leg = merged[index] ?? { account, side, amountMinor: 0n, openMinor: 0n }
    const raised = {
      ...leg,
      amountMinor: leg.amountMinor + amountMinor,
      openMinor: leg.openMinor + amountMinor,
    }
    if (index === -1) merged.push(raised)
    else merged[index] = raised
  }
  return merged
}

export function debitsOf(legs: readonly HoldLeg[], amountOf: (leg: HoldLeg) => bigint): bigint {
  return legs.reduce((sum, leg) => (leg.side === 'debit' ? sum + amountOf(leg) : sum), 0n)
}

/**
 * Shares an amount over what is open on each leg, on each side in proportion. Shares are differences of rounded
 * running sums, so each side adds up to the amount exactly, and no leg gives more than it has.
 */
export function share(legs: readonly HoldLeg[], amountMinor: bigint, openMinor: bigint): bigint[] {
  const running = { debit: 0n, credit: 0n }
  return legs.map(({ side, openMinor: open }) => {
    const before = (running[side] * amountMinor) / openMinor
    running[side] += open
    return (running[side] * amountMinor) / openMinor - before
  })
}
