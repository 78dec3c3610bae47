import { expect, test } from 'vitest'
import { kindOf, kinds } from '../../switch/transaction/kinds.ts'

test.each([
  ['0100', '000000', '00', 5n, 'authorization'],
  ['0100', '000000', '06', 5n, 'preauthorization'],
  ['0100', '000000', '00', 0n, 'verification'],
  ['0200', '000000', '00', 0n, 'verification'],
  ['0200', '000000', '00', 5n, 'purchase'],
  // DE25 06 means something in an authorization only.
  ['0200', '000000', '06', 5n, 'purchase'],
  ['0200', '000000', '00', undefined, 'purchase'],
  ['0200', '010000', '00', 5n, 'withdrawal'],
  ['0200', '092000', '00', 5n, 'cashback'],
  ['0200', '200020', '00', 5n, 'refund'],
  ['0200', '210000', '00', 5n, 'deposit'],
  ['0200', '401020', '00', 5n, 'transfer'],
  ['0100', '301000', '00', 0n, 'balance'],
  ['0200', '310000', '00', undefined, 'balance'],
  // Cash is always a single message (§4.10).
  ['0100', '010000', '00', 5n, undefined],
  ['0200', '500000', '00', 5n, undefined],
] as const)(
  '%s with %s, %s and an amount of %s asks for %s',
  (mti, processingCode, conditionCode, amountMinor, kind) => {
    expect(kindOf({ mti, processingCode, conditionCode, amountMinor })).toBe(kind)
  },
)

test('whatever does nothing to the books moves money in no direction, and asks for no amount', () => {
  for (const rules of Object.values(kinds)) {
    expect(rules.books === 'none').toBe(rules.cardholder === 'none')
    expect(rules.books === 'none').toBe(rules.amount === 'zero')
  }
})
