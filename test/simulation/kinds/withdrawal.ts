import { type SimulatedKind, someAmount } from './kind.ts'

export const withdrawal: SimulatedKind = {
  kind: 'withdrawal',
  mti: '0200',
  processingCode: '010000',
  weight: 1,
  amountMinor: someAmount,
  taken: 1n,
  extra: () => ({ feeMinor: 250n }),
}
