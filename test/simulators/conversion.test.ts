import { expect, test } from 'vitest'
import { Config } from '../../simulators/config.ts'
import { converted, convertedFields, readConversions } from '../../simulators/network/conversion.ts'

test('USD 100.00 at 0.3072500 are KWD 30.725: rates are between major units', () => {
  const dinar = { currency: '414', rate: '73072500' }
  expect(converted({ amountMinor: 10_000n, exponent: 2 }, dinar)).toBe(30_725n)
})

test.each([
  // KWD 0.002 are 0.65 cents, KWD 0.001 are 0.325.
  ['840', '63250000', 2n, 1n],
  ['840', '63250000', 1n, 0n],
  // Half a cent.
  ['840', '65000000', 1n, 1n],
  // No decimals: KWD 1.000 are 498.75 yen.
  ['392', '44987500', 1_000n, 499n],
  // The largest amount that DE4 can say.
  ['840', '00000010', 999_999_999_999n, 999_999_999_999n],
])(
  'an amount in fils is rounded once, half up, in what it becomes (%s at %s: %s)',
  (currency, rate, from, to) => {
    expect(converted({ amountMinor: from, exponent: 3 }, { currency, rate })).toBe(to)
  },
)

test('the answer says amount, currency and rate of both, and the day of the rates', () => {
  const conversions = {
    settlement: { currency: '840', rate: '63250000' },
    billing: { currency: '392', rate: '44987500' },
  }
  const wallMs = Date.UTC(2026, 10, 22)
  expect(convertedFields(conversions, { amountMinor: 12_500n, currency: '414', wallMs })).toEqual({
    ...{ 5: 4_063n, 6: 6_234n, 9: '63250000', 10: '44987500', 16: '1122', 50: '840', 51: '392' },
  })
  expect(convertedFields({}, { amountMinor: 12_500n, currency: '414', wallMs })).toEqual({})
})

test('a currency or a rate that there is not is refused, with its place', () => {
  const read = (settlement: object) => () => readConversions(new Config({ conversions: { settlement } }))
  expect(read({ currency: '999', rate: '63250000' })).toThrow('conversions.settlement.currency')
  expect(read({ currency: '840', rate: '3.25' })).toThrow('conversions.settlement.rate')
  expect(readConversions(new Config({}))).toEqual({})
})
