/**
 * Durations in bounded memory: 64 steps for each power of two of microseconds, so that any percentile is right
 * within 1.6 %, whatever was measured and however often.
 */
export class Latency {
  readonly #counts = new Uint32Array(exact + powers * steps)
  #count = 0
  #maxMs = 0

  add(durationMs: number): void {
    const us = Math.max(0, Math.round(durationMs * 1_000))
    this.#counts[Math.min(indexOf(us), this.#counts.length - 1)]!++
    this.#count++
    this.#maxMs = Math.max(this.#maxMs, durationMs)
  }

  get count(): number {
    return this.#count
  }

  /** The duration in ms that `fraction` of all did not exceed; 0 when there are none. */
  percentileMs(fraction: number): number {
    let left = Math.ceil(this.#count * fraction)
    if (left === 0) return 0
    for (const [index, count] of this.#counts.entries()) {
      left -= count
      if (left <= 0) return Math.min(topOf(index) / 1_000, this.#maxMs)
    }
    return this.#maxMs
  }

  /** What was added, for `addMarks` of another: two windows can be put together, two percentiles can't. */
  marks(): LatencyMarks {
    return [...this.#counts.entries()].filter(([, count]) => count > 0)
  }

  addMarks(marks: LatencyMarks): void {
    for (const [index, count] of marks) {
      this.#counts[index]! += count
      this.#count += count
      this.#maxMs = Math.max(this.#maxMs, topOf(index) / 1_000)
    }
  }

  summary(): LatencySummary {
    const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000
    return {
      count: this.#count,
      p50Ms: rounded(this.percentileMs(0.5)),
      p99Ms: rounded(this.percentileMs(0.99)),
      p999Ms: rounded(this.percentileMs(0.999)),
      maxMs: rounded(this.#maxMs),
    }
  }
}

/** A place in the table, and how many fell on it. */
export type LatencyMarks = readonly (readonly [index: number, count: number])[]

export interface LatencySummary {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

const steps = 64
/** Below this every microsecond has a count of its own. */
const exact = 2 * steps
/** Up to 2^37 microseconds, a day and a half. */
const powers = 30

function indexOf(us: number): number {
  if (us < exact) return us
  const power = Math.floor(Math.log2(us)) - Math.log2(steps)
  return exact + (power - 1) * steps + Math.floor(us / 2 ** power) - steps
}

/** The largest value that falls on `index`. */
function topOf(index: number): number {
  if (index < exact) return index
  const power = Math.floor((index - exact) / steps) + 1
  return (((index - exact) % steps) + steps + 1) * 2 ** power - 1
}
