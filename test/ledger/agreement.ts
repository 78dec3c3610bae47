import assert from 'node:assert/strict'
import { fingerprintOf } from '../../ledger/canonical.ts'
import { emptyBooks, newAccount } from '../../ledger/books.ts'
import { apply, decide } from '../../ledger/decide.ts'
import type { Books } from '../../ledger/books.ts'
import type { Decision } from '../../ledger/decide.ts'
import type { Unit, UnitOutcome } from '../../ledger/ledger.ts'
import { Model } from './model.ts'
import { modelAccounts, opening } from './units.ts'

/** The pure decisions and the model side by side. */

export function openBooks(): Books {
  const books = emptyBooks()
  for (const [index, spec] of modelAccounts.entries()) {
    books.accounts.set(spec.path, newAccount({ id: BigInt(index + 1), ...spec }))
  }
  return books
}

function openModel(): Model {
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

export function commit(
  books: Books,
  unit: Unit,
): { readonly outcome: UnitOutcome; readonly decision: Decision } {
  const fingerprint = fingerprintOf(unit)
  const decision = decide(books, unit, fingerprint)
  apply(books, unit, fingerprint, decision)
  return { outcome: outcomeOf(decision), decision }
}

function accountsOf({ accounts }: Books): unknown {
  return [...accounts.values()].map((account) => {
    const { path, debits, credits, debitsPending, creditsPending, version, closed } = account
    return [path, debits, credits, debitsPending, creditsPending, version, closed]
  })
}

function accountsOfModel({ state }: Model): unknown {
  return Object.entries(state.accounts).map(([path, { dr, cr, drHeld, crHeld, entries, closed }]) => {
    return [path, dr, cr, drHeld, crHeld, entries, closed]
  })
}

/** How often each answer was given. */
export const seen = new Map<string, number>()

/** Asks the same of both; throws where they differ. */
export function checkAgreement(asked: readonly Unit[]): void {
  const books = openBooks()
  const model = openModel()
  for (const unit of [opening, ...asked]) {
    const { outcome, decision } = commit(books, unit)
    const wanted = model.commit(unit)
    const name = outcome.kind === 'refused' ? outcome.reason : decision.kind
    if (outcome.kind !== wanted.kind || outcome.kind === 'refused') assert.deepEqual(outcome, wanted)
    seen.set(name, (seen.get(name) ?? 0) + 1)
  }
  assert.deepEqual(accountsOf(books), accountsOfModel(model))
  assert.deepEqual(Object.fromEntries(books.periods), model.state.closed)
  for (const [reference, hold] of Object.entries(model.state.holds)) {
    const held = books.holds.get(reference)!
    const open = held.legs.map(({ openMinor }) => openMinor)
    assert.deepEqual(
      [held.state !== 'open', held.amountMinor, held.capturedMinor, open],
      [hold.over, hold.total, hold.taken, hold.legs.map((leg) => leg.open)],
    )
  }
}
