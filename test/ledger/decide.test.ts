import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprintOf } from '../../ledger/canonical.ts'
import { apply, decide, emptyBooks, newAccount } from '../../ledger/decide.ts'
import type { Books, Decision } from '../../ledger/decide.ts'
import type { Unit, UnitOutcome } from '../../ledger/ledger.ts'
import { Model } from './model.ts'
import { modelAccounts, opening, units } from './units.ts'

function openBooks(): Books {
  const books = emptyBooks()
  for (const [index, spec] of modelAccounts.entries()) {
    books.accounts.set(spec.path, newAccount({ id: BigInt(index + 1), ...spec }))
  }
  return books
}

export function openModel(): Model {
  const none = { closed: false, dr: 0n, cr: 0n, drHeld: 0n, crHeld: 0n, entries: 0n }
  return new Model(
    Object.fromEntries(
      modelAccounts.map(({ path, currency, normalSide, limit }) => [
        path,
        { currency, debitNormal: normalSide === 'debit', limited: limit === 'noOverdraft', ...none },
      ]),
    ),
  )
}

function outcomeOf(decision: Decision): UnitOutcome {
  if (decision.kind === 'accepted') return { kind: 'committed' }
  if (decision.kind === 'conflict') return { kind: 'refused', reason: 'keyReused' }
  const reason = decision.kind === 'replay' ? decision.refusal : decision.reason
  return reason === undefined ? { kind: 'committed' } : { kind: 'refused', reason }
}

function commit(books: Books, unit: Unit): { readonly outcome: UnitOutcome; readonly decision: Decision } {
  const fingerprint = fingerprintOf(unit)
  const decision = decide(books, unit, fingerprint)
  apply(books, unit, fingerprint, decision)
  return { outcome: outcomeOf(decision), decision }
}

const seen = new Map<string, number>()

test('whatever is asked of the books, they answer and stand as the model does', () => {
  fc.assert(
    fc.property(units, (asked) => {
      const books = openBooks()
      const model = openModel()
      for (const unit of [opening, ...asked]) {
        const { outcome, decision } = commit(books, unit)
        expect(outcome).toEqual(model.commit(unit))
        const name = outcome.kind === 'refused' ? outcome.reason : decision.kind
        seen.set(name, (seen.get(name) ?? 0) + 1)
      }
      for (const [path, account] of Object.entries(model.state.accounts)) {
        expect(books.accounts.get(path)).toMatchObject({
          debits: account.dr,
          credits: account.cr,
          debitsPending: account.drHeld,
          creditsPending: account.crHeld,
          version: account.entries,
          closed: account.closed,
        })
      }
      for (const [reference, hold] of Object.entries(model.state.holds)) {
        const held = books.holds.get(reference)!
        expect({
          over: held.state !== 'open',
          total: held.amountMinor,
          taken: held.capturedMinor,
          open: held.legs.map(({ openMinor }) => openMinor),
        }).toEqual({
          over: hold.over,
          total: hold.total,
          taken: hold.taken,
          open: hold.legs.map(({ open }) => open),
        })
      }
    }),
    { numRuns: Number(process.env['LEDGER_RUNS'] ?? 400) },
  )
})

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
