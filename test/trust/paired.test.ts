import { expect, test } from 'vitest'
import { seededRandom } from '../../kernel/random.ts'
import { Latency } from '../../simulators/terminals/latency.ts'
import { costOf, costsMore, type Pair } from './paired.ts'

/** A hundred answers of a machine whose good and bad moments last as long as a pair does. */
function windowOf(random: { fraction(): number }, mood: number) {
  const latency = new Latency()
  for (let answer = 0; answer < 100; answer++) latency.add(-10 * Math.log(1 - random.fraction()) * mood)
  return [latency.marks()]
}

/** `disturbed`: so many windows of either kind meet somebody else's work, and are ten times as slow. */
function pairsOf(seed: number, factor: number, disturbed = 0): Pair[] {
  const random = seededRandom(seed)
  return Array.from({ length: 40 }, (_, index) => {
    const mood = 1 + 2 * random.fraction()
    const [before, after] = index >= disturbed ? [1, 1] : index % 2 === 0 ? [10, 1] : [1, 10]
    return { without: windowOf(random, mood * before), among: windowOf(random, mood * after * factor) }
  })
}

test('what costs nothing is not found to cost more than a tenth, and what costs a half is, on a machine with moods', () => {
  for (const seed of [1, 2]) {
    const free = costOf(pairsOf(seed, 1), 80)
    expect(costsMore(free, 0.1)).toBe(false)
    expect(free.together.low).toBeLessThanOrEqual(free.together.share)
    expect(free.together.high).toBeGreaterThanOrEqual(free.together.share)
    const dear = costOf(pairsOf(seed, 1.5), 80)
    expect(costsMore(dear, 0.1)).toBe(true)
    expect(dear.without.count).toBe(4_000)
  }
})

test('a tenth of the windows ten times as slow hides from all of them together what the middle pair still shows', () => {
  const free = costOf(pairsOf(3, 1, 4), 80)
  expect(costsMore(free, 0.1)).toBe(false)
  const dear = costOf(pairsOf(3, 1.6, 4), 80)
  expect(dear.together.low).toBeLessThan(0.1)
  expect(dear.middle.low).toBeGreaterThan(0.1)
  expect(costsMore(dear, 0.1)).toBe(true)
})
