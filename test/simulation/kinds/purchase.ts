import { type SimulatedKind, someAmount } from './kind.ts'

export const purchase: SimulatedKind = {
  kind: 'purchase',
  mti: '0200',
  processingCode: '000000',
  weight: 3,
  amountMinor: someAmount,
  taken: 1n,
}
