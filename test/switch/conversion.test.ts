import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CurrencyCode } from '../../kernel/money.ts'
import type { Command } from '../../ledger/ledger.ts'
import { convert, readConversion } from '../../switch/conversion.ts'
import type { TransactionEvent } from '../../switch/transaction/events.ts'
import { step } from '../../switch/transaction/step.ts'
import type { CardRequest } from '../../switch/transaction/transaction.ts'
import { after, answered, cancelled, intent, profile, request } from './transactions.ts'

const usd = { ...request, currency: 'USD', amountMinor: 10_000n } as const satisfies CardRequest
const settlement = { amountMinor: 30_725n, currencyNumeric: '414', rate: '73072500', date: '1122' }

function rated(amountMinor: bigint, from: CurrencyCode, to: CurrencyCode, rate: string) {
  return [
    convert(amountMinor, { from, to, rate, basis: 'major' }),
    convert(amountMinor, { from, to, rate, basis: 'minor' }),
  ]
}

describe('a rate', () => {
  test('of eight digits says with its first how many of the others are decimals: USD 100.00 at 0.3072500 is KWD 30.725', () => {
    expect(rated(10_000n, 'USD', 'KWD', '73072500')).toEqual([30_725n, 3_073n])
  })

  test('counts decimals of both currencies, three or none, where it is between whole units', () => {
    expect(rated(12_500n, 'KWD', 'USD', '40032541')[0]).toBe(4_068n)
    expect(rated(1_000n, 'JPY', 'KWD', '70020400')[0]).toBe(2_040n)
    expect(rated(12_500n, 'KWD', 'JPY', '40489519')[0]).toBe(612n)
  })

  test('rounds half up, once', () => {
    expect(rated(1n, 'USD', 'EUR', '10000005')[0]).toBe(1n)
    expect(rated(1n, 'USD', 'EUR', '20000049')[0]).toBe(0n)
    expect(rated(3n, 'USD', 'EUR', '10000015')[0]).toBe(5n)
  })

  test('that is none is none', () => {
    for (const rate of ['', '7307250', '93072500', '8307250x'])
      expect(convert(1n, { from: 'USD', to: 'KWD', rate, basis: 'major' })).toBeUndefined()
  })
})

describe('a settlement in another currency', () => {
  const of = { amountMinor: 10_000n, currency: 'USD', basis: 'major' } as const
  const read = (change: object): string => readConversion({ ...settlement, ...change }, of).kind

  test('is taken with what its rounding leaves, one minor unit at most', () => {
    expect(readConversion({ ...settlement, amountMinor: 30_726n }, of)).toEqual({
      kind: 'converted',
      conversion: {
        amountMinor: 30_726n,
        currency: 'KWD',
        rate: '73072500',
        date: '1122',
        roundingMinor: 1n,
      },
    })
    expect([read({ amountMinor: 30_724n }), read({ amountMinor: 30_723n })]).toEqual([
      'converted',
      'doesNotAdd',
    ])
  })

  test('of a currency whose decimals nobody knows is never guessed; in the same currency there is none', () => {
    const own = { currencyNumeric: '840', amountMinor: 10_000n }
    expect([read({ currencyNumeric: '999' }), read(own), read({ rate: 'x' })]).toEqual([
      'unknownCurrency',
      'none',
      'doesNotAdd',
    ])
    expect(read({ ...own, amountMinor: 0n })).toBe('none')
  })
})

describe('an approval that its network settles in another currency', () => {
  const sides = (commands: readonly Command[]): string[] =>
    commands.flatMap((command) =>
      command.kind === 'post'
        ? command.legs.map(({ account, amountMinor, currency, side }) => {
            return `${side} ${account.replace(/:\d{15}/, '')} ${amountMinor} ${currency}`
          })
        : [command.kind],
    )

  test('is a claim in that currency, and a debt in the other; each sums to zero by itself', () => {
    const { transaction, unit } = after(intent(usd), answered('00', { settlement }))
    expect(sides(unit.commands)).toEqual([
      'debit net:knet:2026-11-22:KWD 30725 KWD',
      'debit fx:position:USD 10000 USD',
      'credit merchant:USD 10000 USD',
      'credit fx:position:KWD 30725 KWD',
    ])
    expect(transaction.leg?.settlement).toMatchObject({
      currency: 'KWD',
      rate: '73072500',
      roundingMinor: 0n,
    })
  })

  test('goes back in the same measure, and a refund is its mirror', () => {
    const keeping = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor: 3_333n } } as const
    const { unit } = after(intent(usd), answered('00', { settlement }), keeping)
    expect(sides(unit.commands)).toEqual([
      'debit merchant:USD 6667 USD',
      'debit fx:position:KWD 20484 KWD',
      'credit net:knet:2026-11-22:KWD 20484 KWD',
      'credit fx:position:USD 6667 USD',
    ])
    const refund = after(intent({ ...usd, kind: 'refund' }), answered('00', { settlement }))
    expect(sides(refund.unit.commands)).toEqual([
      'debit merchant:USD 10000 USD',
      'debit fx:position:KWD 30725 KWD',
      'credit net:knet:2026-11-22:KWD 30725 KWD',
      'credit fx:position:USD 10000 USD',
    ])
  })

  test('that cannot be booked is undone: its currency is not known, or its own rate makes another amount', () => {
    for (const [change, code] of [
      [{ currencyNumeric: '999' }, '12'],
      [{ amountMinor: 40_000n }, '96'],
    ] as const) {
      const { transaction, unit } = after(
        intent(usd),
        answered('00', { settlement: { ...settlement, ...change } }),
      )
      expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: code } })
      expect([unit.commands, unit.owe[0]?.cause]).toEqual([[], 'wrongAmount'])
    }
  })

  test('and is a part of what was asked, and cannot be booked, is undone as that part', () => {
    const part = answered('10', {
      ...{ amountMinor: 4_000n, authId: 'A1B2C3' },
      settlement: { ...settlement, currencyNumeric: '999' },
    })
    const { transaction, unit } = step(intent(usd), part, { ...profile, takesPartialApprovals: true })
    expect(transaction).toMatchObject({ state: 'unknown', approvedMinor: 4_000n })
    expect([unit.commands, unit.owe[0]?.cause]).toEqual([[], 'wrongAmount'])
  })

  test('tells the source what the cardholder is charged, as it was said', () => {
    const billing = { amountMinor: 9_200n, currencyNumeric: '978', rate: '79200000' }
    const { transaction } = after(intent(usd), answered('00', { billing }))
    expect(transaction.answer).toMatchObject({ responseCode: '00', billing })
    expect(transaction.leg?.settlement).toBeUndefined()
  })

  test('and pays another amount in the currency that was asked for is a claim of what it pays, and its totals say that', () => {
    const own = { amountMinor: 9_850n, currencyNumeric: '840' }
    const { transaction, unit } = after(intent(usd), answered('00', { settlement: own }))
    expect(sides(unit.commands)).toEqual([
      'debit net:knet:2026-11-22:USD 9850 USD',
      'debit fx:position:USD 150 USD',
      'credit merchant:USD 10000 USD',
    ])
    expect(transaction.leg?.settlement).toMatchObject({ amountMinor: 9_850n, currency: 'USD' })
    const keeping = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor: 5_000n } } as const
    expect(sides(step(transaction, keeping, profile).unit.commands)).toEqual([
      'debit merchant:USD 5000 USD',
      'credit net:knet:2026-11-22:USD 4925 USD',
      'credit fx:position:USD 75 USD',
    ])
    // A rate between a currency and itself is one.
    const rated = answered('00', { settlement: { ...own, rate: '61000000' } })
    expect(after(intent(usd), rated).transaction).toMatchObject({ state: 'unknown' })
  })

  test('leaves no account out of balance, however it is undone bit by bit', () => {
    const rounding = fc.oneof(
      fc.bigInt({ min: -1n, max: 1n }).map((more) => ({ amountMinor: settlement.amountMinor + more })),
      fc
        .bigInt({ min: 1n, max: 30_000n })
        .map((amountMinor) => ({ amountMinor, currencyNumeric: '840', rate: undefined })),
      fc
        .bigInt({ min: -1n, max: 1n })
        .map((more) => ({ amountMinor: 10_000n + more, currencyNumeric: '840', rate: '61000000' })),
    )
    const amounts = fc.uniqueArray(fc.bigInt({ min: 1n, max: 9_999n }), { maxLength: 4 })
    fc.assert(
      fc.property(rounding, amounts, fc.constantFrom('purchase', 'refund'), (more, left, kind) => {
        const said = { ...settlement, ...more }
        const first = after(
          intent({ ...usd, kind: kind as 'purchase' }),
          answered('00', { settlement: said }),
        )
        const commands = [...first.unit.commands]
        let { transaction } = first
        for (const actualMinor of [...left].sort((one, other) => (one < other ? 1 : -1))) {
          const part: TransactionEvent = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor } }
          const next = step(transaction, part, profile)
          commands.push(...next.unit.commands)
          ;({ transaction } = next)
        }
        const last = step(transaction, cancelled, profile)
        const ofAll = new Map<string, bigint>()
        for (const command of [...commands, ...last.unit.commands]) {
          const ofOne = new Map<string, bigint>()
          // The opposite of the only posting there is.
          const isOpposite = command.kind === 'reverse'
          const posted = isOpposite ? commands[0]! : command
          if (posted.kind !== 'post') throw new Error(posted.kind)
          for (const { account, amountMinor, currency, side } of posted.legs) {
            const signed = (side === 'debit') === isOpposite ? -amountMinor : amountMinor
            ofOne.set(currency, (ofOne.get(currency) ?? 0n) + signed)
            ofAll.set(account, (ofAll.get(account) ?? 0n) + signed)
          }
          expect([...ofOne.values()].every((sum) => sum === 0n)).toBe(true)
        }
        expect([...ofAll.values()].every((sum) => sum === 0n)).toBe(true)
      }),
    )
  })
})
