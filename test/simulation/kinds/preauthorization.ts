import { type SimulatedKind, someAmount } from './kind.ts'

export const preauthorization: SimulatedKind = {
  kind: 'preauthorization',
  mti: '0100',
  processingCode: '000000',
  weight: 2,
  amountMinor: someAmount,
  taken: 1n,
  conditionCode: '06',
  extra: () => ({ merchantType: '5812' }),
}
