import type { StandInRule } from '../../switch/stand-in.ts'

/** So low that a dozen purchases come up against them. */
export const simulatedStandIn: readonly StandInRule[] = [
  {
    bin: '888888',
    kinds: ['purchase'],
    currency: 'KWD',
    perTransactionMinorMax: 45_000n,
    perCardMinorMax: 45_000n,
    perCardCountMax: 1,
    perHourMinorMax: 46_000n,
  },
]
