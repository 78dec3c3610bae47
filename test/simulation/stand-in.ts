import type { StandInRule } from '../../switch/rules/stand-in-rules.ts'

const rule: StandInRule = {
  bin: '888888',
  kinds: ['purchase'],
  currency: 'KWD',
  perTransactionMinorMax: 45_000n,
  perCardMinorMax: 60_000n,
  perCardCountMax: 2,
  perEpisodeMinorMax: 45_000n,
  perHourMinorMax: 61_000n,
}

/** So low that a dozen purchases come up against them. */
export const simulatedStandIn: readonly StandInRule[] = [rule]

/** Those of the second set of rules. */
export const stricterStandIn: readonly StandInRule[] = [
  { ...rule, perTransactionMinorMax: 30_000n, perCardCountMax: 1, perEpisodeMinorMax: 30_000n },
]
