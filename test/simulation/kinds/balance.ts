import type { SimulatedKind } from './kind.ts'

export const balance: SimulatedKind = {
  kind: 'balance',
  mti: '0200',
  processingCode: '310000',
  weight: 1,
  amountMinor: () => 0n,
  taken: 0n,
  additionalAmounts: (rrn) => `0002414C${rrn}`,
}
