import type { SimulatedKind } from './kind.ts'

export const verification: SimulatedKind = {
  kind: 'verification',
  mti: '0100',
  processingCode: '000000',
  weight: 1,
  amountMinor: () => 0n,
  taken: 0n,
  responseCode: '85',
}
