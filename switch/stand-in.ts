import type { Random } from '../kernel/random.ts'
import type { InboundRequest } from './arrivals.ts'
import type { StandIn } from './transaction/events.ts'
import { type Kind, kinds } from './transaction/kinds.ts'

/**
 * Where we may approve in the place of an issuer that can't be reached (§4.11), and up to which amounts. No rule, no
 * stand-in. What needs a PIN or a cryptogram to be checked is not approved here: we can't vouch for it.
 */
export interface StandInRule {
  /** Leading digits of the cards; the longest range wins. */
  readonly bin: string
  readonly kinds: readonly Kind[]
  readonly currency: string
  readonly perTransactionMinorMax: bigint
  /** Of one card in any 24 hours. */
  readonly perCardMinorMax: bigint
  readonly perCardCountMax: number
  /** Of all cards of the range in any hour. */
  readonly perHourMinorMax: bigint
  /** DE18: only these, where any are named. */
  readonly merchantTypes?: readonly string[]
  /** Tokens of cards that are not stood in for. */
  readonly negative?: readonly string[]
}

/** Throws `StandInRuleError` on rules that contradict themselves. */
export function standInRules(rules: readonly StandInRule[]): readonly StandInRule[] {
  const seen = new Set<string>()
  for (const rule of rules) {
    const { bin, currency, perCardCountMax, perCardMinorMax, perHourMinorMax, perTransactionMinorMax } = rule
    if (!/^\d{4,11}$/.test(bin)) throw new StandInRuleError('a range is 4 to 11 digits')
    const name = `${bin} ${currency}`
    if (seen.has(name)) throw new StandInRuleError(`range ${name} stands twice`)
    seen.add(name)
    for (const kind of rule.kinds) {
      if (kinds[kind].books !== 'post' || kinds[kind].cardholder !== 'pays' || kind === 'withdrawal')
        throw new StandInRuleError(`range ${name}: ${kind} is never approved in an issuer's place`)
    }
    if (perTransactionMinorMax <= 0n || perCardCountMax < 1)
      throw new StandInRuleError(`range ${name}: limits are above zero`)
    if (perTransactionMinorMax > perCardMinorMax || perCardMinorMax > perHourMinorMax)
      throw new StandInRuleError(
        `range ${name}: a card may not do more than its range, a transaction not more than its card`,
      )
  }
  return [...rules].sort((one, other) => other.bin.length - one.bin.length)
}

class StandInRuleError extends Error {
  constructor(what: string) {
    super(`stand-in: ${what}`)
    this.name = 'StandInRuleError'
  }
}

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
export function standInOf(rule: StandInRule, random: Random): StandIn {
  const { bin, currency, perCardCountMax, perCardMinorMax, perHourMinorMax } = rule
  return {
    kind: 'standIn',
    rule: `${bin} ${currency}`,
    authId: `S${String(random.below(100_000)).padStart(5, '0')}`,
    limits: { perCardMinorMax, perCardCountMax, perHourMinorMax },
  }
}
