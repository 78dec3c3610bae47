import fc from 'fast-check'
import { expect, test } from 'vitest'
import { arePacked, areWithin, bench, benchView, wordRange } from '../../iso8583/scan.ts'

const text = fc.uint8Array({ minLength: 0, maxLength: 40, size: 'max' })
const bounds = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)

test('four bytes at once are within a range just when each of them is', () => {
  fc.assert(
    fc.property(text, text, bounds, fc.nat(8), (before, after, [lowest, highest], start) => {
      const range = wordRange(lowest, highest)
      if (range === undefined) {
        expect(lowest >> 7).not.toBe(highest >> 7)
        return
      }
      // Mostly bytes of the range, or hardly any would be right.
      const width = highest - lowest + 1
      const bytes = after.map((byte) => (byte < 250 ? lowest + (byte % width) : byte))
      bench.fill(255)
      bench.set(before)
      bench.set(bytes, start)
      const expected = bytes.every((byte) => byte >= lowest && byte <= highest)
      expect(areWithin(benchView, start, start + bytes.length, range.flip, range.over, range.under)).toBe(
        expected,
      )
    }),
    { numRuns: 2_000 },
  )
})

test('packed digits are told from other nibbles, whatever stands around them', () => {
  fc.assert(
    fc.property(text, fc.nat(8), (bytes, start) => {
      const pairs = bytes.map((byte) => (byte < 250 ? Math.floor(byte / 16 / 1.7) * 16 + (byte % 10) : byte))
      bench.fill(255)
      bench.set(pairs, start)
      const expected = pairs.every((byte) => byte >> 4 < 10 && (byte & 15) < 10)
      expect(arePacked(benchView, start, start + pairs.length)).toBe(expected)
    }),
    { numRuns: 2_000 },
  )
})
