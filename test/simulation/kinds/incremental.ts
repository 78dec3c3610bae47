import { type SimulatedKind, someAmount } from './kind.ts'

/** Of an authorization that it names: nobody asks for one by itself. */
export const incremental: SimulatedKind = {
  kind: 'incremental',
  mti: '0100',
  processingCode: '000000',
  weight: 0,
  amountMinor: someAmount,
  taken: 1n,
}
