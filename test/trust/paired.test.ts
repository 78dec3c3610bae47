import { expect, test } from 'vitest'
import { seededRandom } from '../../kernel/random.ts'
import { Latency } from '../../simulators/terminals/latency.ts'
import { costOf, type Pair } from './paired.ts'

/** A hundred answers of a machine whose good and bad moments last as long as a pair does. */
function windowOf(random: { fraction(): number }, mood: number, factor: number) {
  const latency = new Latency()
  for (let answer = 0; answer < 100; answer++)
    latency.add(-10 * Math.log(1 - random.fraction()) * mood * factor)
  return [latency.marks()]
}

function pairsOf(seed: number, factor: number): Pair[] {
  const random = seededRandom(seed)
  return Array.from({ length: 40 }, () => {
    const mood = 1 + 2 * random.fraction()
    return { without: windowOf(random, mood, 1), among: windowOf(random, mood, factor) }
  })
}

test('what costs nothing is not found to cost more than a tenth, and what costs a half is, on a machine with moods', () => {
  for (const seed of [1, 2]) {
    const free = costOf(pairsOf(seed, 1))
    expect(free.low).toBeLessThan(0.1)
    expect(free.low).toBeLessThanOrEqual(free.share)
    expect(free.high).toBeGreaterThanOrEqual(free.share)
    const dear = costOf(pairsOf(seed, 1.5))
    expect(dear.low).toBeGreaterThan(0.1)
    expect(dear.without.count).toBe(4_000)
  }
})
