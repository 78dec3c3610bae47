import { binary2Frame, sizedHeader } from '../../iso8583/iso8583.ts'
import { usualKeyExchange } from '../key-exchange.ts'
import type { NetworkProfile } from '../network.ts'
import { usualReconciliation, usualRetryAfterMs, usualReversalAnswers, usualSession } from '../usual.ts'
import { dualMessage } from '../wording.ts'
import { visaPublicFacts } from './dialect.ts'

/** Visa as far as this switch may know it: see notes.md for what is public and what is our own choice. */
export const network: NetworkProfile = {
  name: 'visa',
  dialect: visaPublicFacts,
  // A header of 22 bytes; of its parts only the first, its size, is known here.
  frame: { ...binary2Frame, header: sizedHeader(`16${'00'.repeat(21)}`) },
  correlation: { key: [7, 11, 32, 37, 41], networkManagementKey: [7, 11], echoCheck: [2, 3] },
  sealedClasses: ['1', '2', '4', '5'],
  wording: dualMessage,
  session: usualSession,
  inFlightMax: 300,
  lateMs: 15 * 60_000,
  keys: { ...usualKeyExchange, element: 125, checkDigits: 4 },
  rules: {
    reversalMti: '0400',
    timeoutMs: 15_000,
    remainingMinMs: 3_000,
    acquirerId: '41400002',
    approvals: ['00', '11'],
    partialApprovals: ['10'],
    reversalAnswers: usualReversalAnswers,
    retryAfterMs: usualRetryAfterMs,
    reconciliation: usualReconciliation,
    traceElements: ['62.2'],
  },
}
