import { type SimulatedKind, someAmount } from './kind.ts'

export const authorization: SimulatedKind = {
  kind: 'authorization',
  mti: '0100',
  processingCode: '000000',
  weight: 1,
  amountMinor: someAmount,
  taken: 1n,
}
