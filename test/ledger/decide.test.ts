import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprintOf } from '../../ledger/canonical.ts'
import { decide } from '../../ledger/decide.ts'
import type { Unit } from '../../ledger/ledger.ts'
import { checkAgreement, commit, openBooks, seen } from './agreement.ts'
import { opening, units } from './units.ts'

test('whatever is asked of the books, they answer and stand as the model does', () => {
  fc.assert(fc.property(units, checkAgreement), { numRuns: Number(process.env['LEDGER_RUNS'] ?? 1_500) })
}, 7_200_000)

test('the runs above meet every answer that the books have', () => {
  const answers = [
    'accepted',
    'replay',
    'keyReused',
    'unknownAccount',
    'closedAccount',
    'wrongCurrency',
    'unbalanced',
  ]
  const more = [
    'badAmount',
    'insufficientFunds',
    'unknownHold',
    'holdNotOpen',
    'overCapture',
    'overRelease',
    'closedPeriod',
    'openAccount',
    'unknownPosting',
  ]
  const rest = [
    'alreadyReversed',
    'duplicateId',
    'overflow',
    'holdNotExpired',
    'conditionFailed',
    'accountNotEmpty',
  ]
  expect([...answers, ...more, ...rest].filter((name) => (seen.get(name) ?? 0) < 3)).toEqual([])
})

test('each posting that is accepted sums to zero in each currency and layer', () => {
  fc.assert(
    fc.property(units, (asked) => {
      const books = openBooks()
      for (const unit of [opening, ...asked]) {
        const { decision } = commit(books, unit)
        if (decision.kind !== 'accepted') continue
        for (const { entries } of decision.postings) {
          for (const [, group] of Map.groupBy(entries, ({ currency, layer }) => `${currency} ${layer}`)) {
            expect(group.reduce((sum, { amount }) => sum + amount, 0n)).toBe(0n)
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('deciding alone changes nothing', () => {
  fc.assert(
    fc.property(units, (asked) => {
      const books = openBooks()
      for (const unit of [opening, ...asked]) commit(books, unit)
      const before = structuredClone(books)
      for (const unit of asked) decide(books, { ...unit, key: 'another key' }, 'another body')
      expect(books).toEqual(before)
    }),
    { numRuns: 200 },
  )
})

test('texts and times that no book could hold are malformed', () => {
  const books = openBooks()
  const [post] = opening.commands as [Extract<Unit['commands'][number], { kind: 'post' }>]
  const wrong: Unit[] = [
    { ...opening, key: '' },
    { ...opening, key: 'x'.repeat(201) },
    { ...opening, key: 'nul\0' },
    { ...opening, key: '\ud800' },
    { ...opening, commands: [{ ...post, id: '' }] },
    { ...opening, commands: [{ ...post, effectiveAt: Number.NaN }] },
    { ...opening, commands: [{ ...post, effectiveAt: 1.5 }] },
    { ...opening, commands: [{ ...post, effectiveAt: -1 }] },
    { ...opening, commands: [{ ...post, effectiveAt: 1e15 }] },
    { ...opening, commands: [{ ...post, meta: { note: 'nul\0' } }] },
  ]
  for (const unit of wrong) {
    expect(decide(books, unit, 'f')).toEqual({ kind: 'refused', reason: 'malformed', stored: false })
  }
})

test('two bodies that differ anywhere have different fingerprints', () => {
  fc.assert(
    fc.property(fc.tuple(units, units), ([[first], [second]]) => {
      const text = (unit: Unit): string =>
        JSON.stringify(unit.commands, (_, value: unknown) =>
          typeof value === 'bigint' ? `${value}n` : value,
        )
      expect(fingerprintOf(first!) === fingerprintOf(second!)).toBe(text(first!) === text(second!))
    }),
    { numRuns: 500 },
  )
})
