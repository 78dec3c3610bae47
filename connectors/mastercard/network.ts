import { binary2Frame } from '../../iso8583/iso8583.ts'
import { usualKeyExchange } from '../key-exchange.ts'
import type { NetworkProfile } from '../network.ts'
import { usualReconciliation, usualRetryAfterMs, usualReversalAnswers, usualSession } from '../usual.ts'
import { mastercardPublicFacts } from './dialect.ts'
import { traceIdentifier } from './trace.ts'

/** Mastercard as far as this switch may know it: see notes.md for what is public and what is our own choice. */
export const network: NetworkProfile = {
  name: 'mastercard',
  dialect: mastercardPublicFacts,
  frame: binary2Frame,
  correlation: { key: [7, 11, 32, 37, 41], networkManagementKey: [7, 11], echoCheck: [2, 3] },
  sealedClasses: ['1', '2', '4', '5'],
  wording: traceIdentifier,
  session: { ...usualSession, codes: { ...usualSession.codes, keyExchange: ['161'] } },
  inFlightMax: 300,
  lateMs: 15 * 60_000,
  // DE48 is tagged here. Codes of their own: 161 brings a key, 162 asks for one.
  keys: { ...usualKeyExchange, element: 120, askCode: '162', outOfStep: ['88'] },
  rules: {
    reversalMti: '0420',
    timeoutMs: 20_000,
    remainingMinMs: 3_000,
    acquirerId: '41400003',
    approvals: ['00', '08'],
    partialApprovals: ['10'],
    reversalAnswers: usualReversalAnswers,
    retryAfterMs: usualRetryAfterMs,
    // Told, not asked.
    reconciliation: { ...usualReconciliation, mti: '0520' },
    traceElements: ['63', '15'],
  },
}
