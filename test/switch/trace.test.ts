import { expect, test } from 'vitest'
import type { NamedObligation } from '../../switch/journal.ts'
import { owedLeg } from '../../switch/outbound.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { after, answered, intent, leg } from './transactions.ts'

function approvedWith(trace: Readonly<Record<string, string>> | undefined): Transaction {
  return after(intent(), answered('00', trace && { trace })).transaction
}

function reversalOf(transaction: Transaction): ReturnType<typeof owedLeg> {
  const claimed = {
    id: leg.id,
    kind: 'reversal',
    cause: 'timeout',
    attempts: 1,
    refusals: 0,
    fence: 1n,
    identity: leg,
    leg: transaction.leg,
    transaction,
  } as const
  return owedLeg(claimed as NamedObligation, { reversalMti: '0420' }, '8888')
}

test('what an answer says of itself is kept with the leg and goes back with its reversal', () => {
  const approved = approvedWith({ '62.2': '123456789012345', '63': 'ABC123' })
  expect(approved.leg?.trace).toEqual({ '62.2': '123456789012345', '63': 'ABC123' })
  expect(reversalOf(approved).fields).toMatchObject({ 62: { '2': '123456789012345' }, 63: 'ABC123' })
})

test('a reversal repeats nothing where the answer said nothing of itself', () => {
  const { fields } = reversalOf(approvedWith(undefined))
  expect(62 in fields || 63 in fields).toBe(false)
})
