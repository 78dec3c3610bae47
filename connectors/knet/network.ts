import { ascii4Frame } from '../../iso8583/iso8583.ts'
import { usualKeyExchange } from '../key-exchange.ts'
import type { NetworkProfile } from '../network.ts'
import { usualReconciliation, usualRetryAfterMs, usualReversalAnswers, usualSession } from '../usual.ts'
import { knetPlaceholder } from './dialect.ts'

const day = 24 * 3_600_000

/**
 * KNET as far as this switch may know it. Everything below is our own choice where the network's document would
 * speak: generic practice, and values that a test network of ours agrees to. See notes.md.
 */
export const network: NetworkProfile = {
  name: 'knet',
  dialect: knetPlaceholder,
  frame: ascii4Frame,
  correlation: {
    // The acquirer, its reference, its terminal and the moment, beside the STAN.
    key: [7, 11, 32, 37, 41],
    networkManagementKey: [7, 11],
    // The amount is not here: an approval for another amount belongs to its request, and is reversed in full.
    echoCheck: [2, 3],
  },
  // Authorizations, financial messages, reversals and totals. Network management must work while keys are out of step.
  sealedClasses: ['1', '2', '4', '5'],
  session: usualSession,
  inFlightMax: 300,
  lateMs: 15 * 60_000,
  keys: { ...usualKeyExchange, element: 48 },
  rules: {
    reversalMti: '0420',
    timeoutMs: 25_000,
    remainingMinMs: 3_000,
    acquirerId: '41400001',
    approvals: ['00'],
    partialApprovals: ['10'],
    holds: {
      authorizationMs: 7 * day,
      preauthorizationMs: 7 * day,
      // Hotels and car hire: guests stay, and tip, and use the minibar.
      byMerchantType: { '7011': 30 * day, '7512': 30 * day },
      tolerancePercent: { '5812': 20, '7011': 15, '7512': 15 },
    },
    reversalAnswers: usualReversalAnswers,
    retryAfterMs: usualRetryAfterMs,
    fees: { reversed: true },
    reconciliation: usualReconciliation,
  },
}
