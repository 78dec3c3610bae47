import { type SimulatedKind, someAmount } from './kind.ts'

export const cashback: SimulatedKind = {
  kind: 'cashback',
  mti: '0200',
  processingCode: '090000',
  weight: 1,
  amountMinor: someAmount,
  taken: 1n,
  extra: () => ({ cashMinor: 400n }),
}
