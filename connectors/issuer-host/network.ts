import { binary2Frame } from '../../iso8583/iso8583.ts'
import { edition1993 } from '../edition-1993.ts'
import { usualKeyExchange } from '../key-exchange.ts'
import type { NetworkProfile } from '../network.ts'
import { usualReconciliation, usualRetryAfterMs, usualReversalAnswers1993, usualSession } from '../usual.ts'
import { issuerHostGeneric } from './dialect.ts'

/** An issuer's host that speaks the edition of 1993: see notes.md. */
export const network: NetworkProfile = {
  name: 'issuer-host',
  dialect: issuerHostGeneric,
  frame: { ...binary2Frame, lengthBytes: 4 },
  // DE12 has the date in 1993, and names a message better than DE7 does.
  correlation: { key: [7, 11, 12, 37, 41], networkManagementKey: [7, 11], echoCheck: [2, 3] },
  sealedClasses: ['1', '2', '4', '5'],
  wording: edition1993,
  session: {
    ...usualSession,
    mti: '1804',
    codeElement: 24,
    codes: { signOn: '801', signOff: '802', echo: '831', cutover: ['821'], keyExchange: ['811'] },
    approved: ['800', '000'],
    refusals: { refused: '100', unsupported: '902', malfunction: '909' },
  },
  inFlightMax: 200,
  lateMs: 15 * 60_000,
  // Key management data are bytes in 1993. 916: the seal is wrong; 904: not a key; 128: PIN keys out of step.
  keys: {
    ...usualKeyExchange,
    element: 96,
    form: 'bytes',
    askCode: '812',
    answers: { kcvDiffers: '916', refused: '904' },
    outOfStep: ['128'],
  },
  rules: {
    reversalMti: '0420',
    timeoutMs: 15_000,
    remainingMinMs: 2_000,
    acquirerId: '41400004',
    approvals: ['000', '001', '003'],
    partialApprovals: ['002'],
    reversalAnswers: usualReversalAnswers1993,
    retryAfterMs: usualRetryAfterMs,
    reconciliation: usualReconciliation,
    pinFormat: 4,
  },
}
