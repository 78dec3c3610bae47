import type { LegAnswer } from '../../connectors/connector.ts'
import type { Arrival, Profile, TransactionEvent } from '../../switch/transaction/events.ts'
import { obligationId } from '../../switch/transaction/owed.ts'
import { step } from '../../switch/transaction/step.ts'
import type { CardRequest, Leg, Transaction } from '../../switch/transaction/transaction.ts'

// A transaction as tests of the pure step need one: what they set is what they are about.

export const profile: Profile = {
  timeoutResponseCode: '91',
  overtakenResponseCode: '12',
  cancelledResponseCode: '17',
  unknownOriginalResponseCode: '25',
  nothingToReverseResponseCode: '21',
  edition: '1987',
  approvals: ['00'],
  partialApprovals: ['10'],
  takesPartialApprovals: false,
  tolerancePercent: 0,
  forcedPost: 'refuse',
  holdForMs: 1_000_000,
  days: { today: '2026-11-22', open: ['2026-11-22'] },
}

export const arrival: Arrival = {
  id: '01890000-0000-7000-8000-000000000001',
  source: 'acq1',
  sourceKey: 'acq1|0200|20261122090000|000001||T0000001',
  fingerprint: 'f',
  businessDate: '2026-11-22',
  approvableForMs: 7_500,
}

export const request: CardRequest = {
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

export const leg: Leg = {
  id: '01890000-0000-7000-8000-000000000002',
  destination: 'knet',
  acquirerId: '12345678901',
  stan: '000777',
  transmittedAt: '1122090001',
  state: 'intent',
}

export const when = { at: 1_000, node: 'node-1' }

export const reversalId = obligationId(`reversal:${leg.id}`)

export function intent(asked: CardRequest = request): Transaction {
  const card = { mask: '888888******0001', token: 'tok_a' }
  return step(
    undefined,
    { kind: 'request', arrival, card, request: asked, verdict: { kind: 'forward', leg }, ...when },
    profile,
  ).transaction
}

export function after(transaction: Transaction, ...events: TransactionEvent[]): ReturnType<typeof step> {
  let result = step(transaction, events[0]!, profile)
  for (const event of events.slice(1)) result = step(result.transaction, event, profile)
  return result
}

export function answered(responseCode: string, extra: object = {}): TransactionEvent {
  return {
    kind: 'legEnded',
    outcome: {
      kind: 'answered',
      answer: { mti: '0210', responseCode, described: '0210', ...extra },
      sent: '0200',
    },
    ...when,
  }
}

/** An approval whose commit was refused. */
export function notCommitted(
  answer: LegAnswer,
  reason: 'late' | 'books' = 'late',
): TransactionEvent & { kind: 'notCommitted' } {
  return { kind: 'notCommitted', reason, outcome: { kind: 'answered', answer, sent: '0200' }, ...when }
}

export const lost: TransactionEvent = {
  kind: 'legEnded',
  outcome: { kind: 'maybeSent', reason: 'deadline', sent: '0200' },
  ...when,
}
export const cancelled = {
  kind: 'cancel',
  reversal: { source: 'acq1', sourceKey: 'r', fingerprint: 'r', actualMinor: 0n },
  ...when,
} as const satisfies TransactionEvent
