import { seededRandom } from '../../kernel/random.ts'
import { Latency, type LatencyMarks } from '../../simulators/terminals/latency.ts'

/** Two short windows, one directly after the other, without and with what is suspected of costing something. */
export interface Pair {
  readonly without: readonly LatencyMarks[]
  readonly among: readonly LatencyMarks[]
}

/** How much more p99 is among it, in parts of one; and between what that lies by nine chances in ten. */
interface Share {
  readonly share: number
  readonly low: number
  readonly high: number
}

/** Over all windows of a kind, in ms, and of how many answers. */
interface OfKind {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly count: number
}

export interface Cost {
  readonly pairs: number
  readonly without: OfKind
  readonly among: OfKind
  readonly together: Share
  /** The middle one of what each pair says by itself: a disturbance of seconds moves one pair, and not this. */
  readonly middle: Share
}

/** Of fewer a bootstrap says nothing. */
const pairsMin = 8

/**
 * What the suspected costs in p99. On a machine that others use too, p99 comes and goes by more than is asked about, so
 * the windows alternate many times; how far the result is chance is told by a bootstrap that draws whole pairs again,
 * since what disturbs a window disturbs all that is in it (Efron and Tibshirani, "An Introduction to the Bootstrap",
 * chapters 8 and 13).
 */
export function costOf(pairs: readonly Pair[], resamples = 400): Cost {
  const random = seededRandom(1)
  const own = pairs.map((pair) => shareOf([pair]))
  const [together, middle]: [number[], number[]] = [[], []]
  for (let round = 0; round < resamples; round++) {
    const drawn = pairs.map(() => random.below(pairs.length))
    together.push(shareOf(drawn.map((index) => pairs[index]!)))
    middle.push(middleOf(drawn.map((index) => own[index]!)))
  }
  return {
    pairs: pairs.length,
    ...{ without: told(pairs, 'without'), among: told(pairs, 'among') },
    together: { share: shareOf(pairs), ...between(together) },
    middle: { share: middleOf(own), ...between(middle) },
  }
}

/** Whether chance alone does not explain that it costs more than this: by all windows, or by the pairs. */
export function costsMore({ pairs, together, middle }: Cost, costMax: number): boolean {
  if (pairs < pairsMin) return false
  return together.low > costMax || middle.low > costMax
}

/** In one line, with how far it can be believed. */
export function saidOf(cost: Cost, costMax: number): string {
  const { without, among, together, middle } = cost
  const most = percent(costMax)
  const believed = costsMore(cost, costMax)
    ? `more than ${most}`
    : cost.pairs < pairsMin || middle.high > costMax
      ? `neither shown to be within ${most} nor to be more`
      : together.high <= costMax
        ? `within ${most}`
        : `within ${most} by the middle pair, not shown by all together`
  return `p99 without ${toldOf(without)}, with ${toldOf(among)}: ${shown(together)}; the middle pair ${shown(middle)}: ${believed}`
}

function toldOf({ p50Ms, p99Ms, count }: OfKind): string {
  return `${p99Ms.toFixed(1)} ms (p50 ${p50Ms.toFixed(1)}, of ${count})`
}

function shown({ share, low, high }: Share): string {
  return `${percent(share)} (${percent(low)} to ${percent(high)})`
}

function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(share * 100).toFixed(0)} %`
}

function between(shares: readonly number[]): { readonly low: number; readonly high: number } {
  const sorted = shares.toSorted((a, b) => a - b)
  return {
    low: sorted[Math.floor(sorted.length * 0.05)]!,
    high: sorted[Math.ceil(sorted.length * 0.95) - 1]!,
  }
}

function middleOf(shares: readonly number[]): number {
  const sorted = shares.toSorted((a, b) => a - b)
  const half = (sorted.length - 1) / 2
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2
}

function shareOf(pairs: readonly Pair[]): number {
  return pooled(pairs, 'among').percentileMs(0.99) / pooled(pairs, 'without').percentileMs(0.99) - 1
}

function told(pairs: readonly Pair[], kind: keyof Pair): OfKind {
  const all = pooled(pairs, kind)
  return { p50Ms: all.percentileMs(0.5), p99Ms: all.percentileMs(0.99), count: all.count }
}

function pooled(pairs: readonly Pair[], kind: keyof Pair): Latency {
  const all = new Latency()
  for (const pair of pairs) for (const marks of pair[kind]) all.addMarks(marks)
  return all
}
