import { expect, test } from 'vitest'
import type { NamedObligation } from '../../switch/journal.ts'
import { owedLeg } from '../../switch/outbound.ts'
import type { Profile, TransactionEvent } from '../../switch/transaction/events.ts'
import { step } from '../../switch/transaction/step.ts'
import type { CardRequest, Leg, Transaction } from '../../switch/transaction/transaction.ts'

const profile: Profile = {
  timeoutResponseCode: '91',
  overtakenResponseCode: '12',
  cancelledResponseCode: '17',
  unknownOriginalResponseCode: '25',
  nothingToReverseResponseCode: '21',
  edition: '1987',
  approvals: ['00'],
  partialApprovals: [],
  takesPartialApprovals: false,
  tolerancePercent: 0,
  forcedPost: 'refuse',
  holdForMs: 1_000,
  days: { today: '2026-11-22', open: ['2026-11-22'] },
}

const request: CardRequest = {
  kind: 'purchase',
  mti: '0200',
  processingCode: '000000',
  amountMinor: 12_500n,
  currency: 'KWD',
  transmittedAt: '1122090000',
  stan: '000001',
  localTime: '120000',
  localDate: '1122',
  entryMode: '051',
  conditionCode: '00',
  rrn: '632609000001',
  terminalId: 'T0000001',
  merchantId: '000000000000001',
}

const leg: Leg = {
  id: '01890000-0000-7000-8000-000000000002',
  destination: 'visa',
  acquirerId: '12345678901',
  stan: '000777',
  transmittedAt: '1122090001',
  state: 'intent',
}

const when = { at: 1_000, node: 'node-1' }

function approvedWith(trace: Readonly<Record<string, string>> | undefined): Transaction {
  const begun = step(
    undefined,
    {
      kind: 'request',
      arrival: {
        id: '01890000-0000-7000-8000-000000000001',
        source: 'acq1',
        sourceKey: 'acq1|0200|20261122090000|000001||T0000001',
        fingerprint: 'f',
        businessDate: '2026-11-22',
        approvableForMs: 7_500,
      },
      card: { mask: '888888******0001', token: 'tok_a' },
      request,
      verdict: { kind: 'forward', leg },
      ...when,
    },
    profile,
  )
  const answer = { mti: '0210', responseCode: '00', described: '0210', ...(trace && { trace }) }
  const event: TransactionEvent = {
    kind: 'legEnded',
    outcome: { kind: 'answered', answer, sent: '0200' },
    ...when,
  }
  return step(begun.transaction, event, profile).transaction
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
