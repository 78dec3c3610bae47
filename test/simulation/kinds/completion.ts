import { type SimulatedKind, someAmount } from './kind.ts'

/** Of no authorization that anybody knows: it is told, not asked. */
export const completion: SimulatedKind = {
  kind: 'completion',
  mti: '0220',
  processingCode: '000000',
  weight: 1,
  amountMinor: someAmount,
  taken: 1n,
}
