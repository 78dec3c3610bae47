import type { Random } from '../kernel/random.ts'
import type { InboundRequest } from './arrivals.ts'
import type { StandInTerms } from './rules/rules.ts'
import type { StandInRule } from './rules/stand-in-rules.ts'
import type { StandIn } from './transaction/events.ts'

/** What we would approve it under; undefined: not at all. The limits of card and range the commit itself will keep. */
export function standInFor(
  rules: readonly StandInRule[],
  { request, secrets }: InboundRequest,
  token: string | undefined,
): StandInRule | undefined {
  const { emv, pan, pinBlock } = secrets.reveal()
  if (token === undefined || pinBlock !== undefined || emv !== undefined) return undefined
  const rule = rules.find(({ bin, currency }) => pan.startsWith(bin) && currency === request.currency)
  if (rule === undefined || !rule.kinds.includes(request.kind)) return undefined
  if (request.amountMinor <= 0n || request.amountMinor > rule.perTransactionMinorMax) return undefined
  if (request.cashMinor !== undefined || !request.mti.startsWith('02')) return undefined
  if (rule.merchantTypes !== undefined && !rule.merchantTypes.includes(request.merchantType ?? ''))
    return undefined
  return rule.negative?.includes(token) === true ? undefined : rule
}

/** The offer to the step: an authorization number of our own, and the limits that its commit must keep. */
export function standInOf(rule: StandInRule, { settles }: StandInTerms, random: Random): StandIn {
  const { bin, currency, perCardCountMax, perCardMinorMax, perEpisodeMinorMax, perHourMinorMax } = rule
  return {
    kind: 'standIn',
    rule: `${bin} ${currency}`,
    authId: `S${String(random.below(100_000)).padStart(5, '0')}`,
    settles,
    limits: { perCardMinorMax, perCardCountMax, perEpisodeMinorMax, perHourMinorMax },
  }
}
