import { type SimulatedKind, someAmount } from './kind.ts'

export const refund: SimulatedKind = {
  kind: 'refund',
  mti: '0200',
  processingCode: '200000',
  weight: 1,
  amountMinor: someAmount,
  taken: -1n,
}
