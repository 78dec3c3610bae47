import { type SimulatedKind, someAmount } from './kind.ts'

export const deposit: SimulatedKind = {
  kind: 'deposit',
  mti: '0200',
  processingCode: '210000',
  weight: 1,
  amountMinor: someAmount,
  taken: -1n,
}
