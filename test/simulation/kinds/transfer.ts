import { type SimulatedKind, someAmount } from './kind.ts'

export const transfer: SimulatedKind = {
  kind: 'transfer',
  mti: '0200',
  processingCode: '400000',
  weight: 1,
  amountMinor: someAmount,
  taken: 1n,
  extra: (rrn) => ({ fromAccount: `from-${rrn}`, toAccount: `to-${rrn}` }),
}
