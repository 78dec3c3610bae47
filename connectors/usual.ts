import type { ReconciliationRules } from './connector.ts'
import type { SessionProfile } from './network.ts'

/** What most networks would agree to: generic practice, where a network's own document would speak. */
export const usualSession: SessionProfile = {
  codes: { signOn: '001', signOff: '002', echo: '301' },
  approved: ['00'],
  answerMs: 10_000,
  echoAfterMs: 30_000,
  unansweredMax: 3,
  reconnectMs: 500,
  reconnectMsMax: 30_000,
  steadyMs: 60_000,
  refusedMs: 5_000,
  refusedMsMax: 60_000,
}

/** What the answer to a reversal means, in the codes of 1987. */
export const usualReversalAnswers = {
  // Done; nothing to do; not found, so nothing to undo; had it before.
  acknowledged: ['00', '21', '25', '94'],
  // Re-enter, cutover, unavailable, malfunction.
  retry: ['19', '90', '91', '96'],
  // Bad format, bad seal.
  spoiled: ['30', '63'],
} as const

/** The same in the action codes of 1993. */
export const usualReversalAnswers1993 = {
  // Accepted; approved; nothing to do; not found; a duplicate.
  acknowledged: ['400', '000', '914', '913'],
  // Re-enter, cutover, inoperative, malfunction, too late, not available.
  retry: ['903', '906', '907', '909', '910', '911', '912'],
  // Bad format, bad seal.
  spoiled: ['904', '916'],
} as const

export const usualRetryAfterMs = [2_000, 5_000, 15_000, 30_000, 60_000] as const

/** Totals of a business date in the elements of ISO 8583:1987. */
export const usualReconciliation: ReconciliationRules = {
  mti: '0500',
  elements: {
    creditCount: 74,
    creditReversalCount: 75,
    debitCount: 76,
    debitReversalCount: 77,
    transferCount: 78,
    transferReversalCount: 79,
    inquiryCount: 80,
    authorizationCount: 81,
    creditProcessingFeeMinor: 82,
    creditTransactionFeeMinor: 83,
    debitProcessingFeeMinor: 84,
    debitTransactionFeeMinor: 85,
    creditMinor: 86,
    creditReversalMinor: 87,
    debitMinor: 88,
    debitReversalMinor: 89,
  },
}
