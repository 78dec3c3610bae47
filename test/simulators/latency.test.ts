import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Latency } from '../../simulators/terminals/latency.ts'

test('any percentile is within 1.6 % of the exact one, and never below it', () => {
  const durations = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), {
    minLength: 1,
    maxLength: 300,
  })
  fc.assert(
    fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, fraction) => {
      const latency = new Latency()
      for (const value of values) latency.add(value)
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * fraction) - 1]!
      const measured = latency.percentileMs(fraction)
      // Whole microseconds are what is counted.
      expect(measured).toBeGreaterThanOrEqual(exact - 0.0006)
      expect(measured).toBeLessThanOrEqual(exact * 1.016 + 0.0016)
    }),
  )
})

test('nothing measured is all zeros', () => {
  expect(new Latency().summary()).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 })
})

test('the longest is exact, and what is beyond all bounds is still counted', () => {
  const latency = new Latency()
  for (const ms of [1, 2, 1e12]) latency.add(ms)
  expect(latency.summary()).toMatchObject({ count: 3, p50Ms: 2.015, maxMs: 1e12 })
})
