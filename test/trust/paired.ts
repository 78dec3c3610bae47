import { seededRandom } from '../../kernel/random.ts'
import { Latency, type LatencyMarks } from '../../simulators/terminals/latency.ts'

/** Two short windows, one directly after the other, without and with what is suspected of costing something. */
export interface Pair {
  readonly without: readonly LatencyMarks[]
  readonly among: readonly LatencyMarks[]
}

export interface Cost {
  /** p99 in ms over all windows of a kind, and of how many. */
  readonly without: { readonly p99Ms: number; readonly count: number }
  readonly among: { readonly p99Ms: number; readonly count: number }
  /** How much more p99 is among it, in parts of one; and between what it lies by nine chances in ten. */
  readonly share: number
  readonly low: number
  readonly high: number
  /** The middle one of the pairs' own shares: what one long disturbance can't move. */
  readonly middle: number
}

const resamples = 400

/**
 * What the suspected costs in p99. On a machine that others use too, p99 comes and goes by more than is asked about, so
 * the windows alternate many times and are put together; how far the result is chance is told by a bootstrap that draws
 * whole pairs again, since what disturbs a window disturbs all that is in it (Efron and Tibshirani, "An Introduction
 * to the Bootstrap", chapters 8 and 13).
 */
export function costOf(pairs: readonly Pair[], seed = 1): Cost {
  const random = seededRandom(seed)
  const shares: number[] = []
  for (let round = 0; round < resamples; round++) {
    const drawn = pairs.map(() => pairs[random.below(pairs.length)]!)
    shares.push(shareOf(drawn))
  }
  shares.sort((a, b) => a - b)
  const [without, among] = [pooled(pairs, 'without'), pooled(pairs, 'among')].map((all) => ({
    p99Ms: all.percentileMs(0.99),
    count: all.count,
  }))
  return {
    ...{ without: without!, among: among!, share: shareOf(pairs) },
    low: shares[Math.floor(resamples * 0.05)]!,
    high: shares[Math.ceil(resamples * 0.95) - 1]!,
    middle: pairs.map((pair) => shareOf([pair])).sort((a, b) => a - b)[Math.floor(pairs.length / 2)]!,
  }
}

/** In one line, with how far it can be believed. */
export function saidOf({ without, among, share, low, high, middle }: Cost, costMax: number): string {
  const believed =
    high <= costMax
      ? `within ${percent(costMax)}`
      : low > costMax
        ? `more than ${percent(costMax)}`
        : `neither shown to be within ${percent(costMax)} nor to be more`
  return (
    `p99 without ${without.p99Ms.toFixed(1)} ms (of ${without.count}), with ${among.p99Ms.toFixed(1)} ms ` +
    `(of ${among.count}): ${percent(share)}, by nine chances in ten ${percent(low)} to ${percent(high)} (the middle pair ${percent(middle)}): ${believed}`
  )
}

export function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(share * 100).toFixed(0)} %`
}

function shareOf(pairs: readonly Pair[]): number {
  return pooled(pairs, 'among').percentileMs(0.99) / pooled(pairs, 'without').percentileMs(0.99) - 1
}

function pooled(pairs: readonly Pair[], kind: keyof Pair): Latency {
  const all = new Latency()
  for (const pair of pairs) for (const marks of pair[kind]) all.addMarks(marks)
  return all
}
