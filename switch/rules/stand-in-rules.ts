import { type Kind, kinds } from '../transaction/kinds.ts'

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
  /** Of one card as long as its issuer does not know of it: until it has acknowledged what it was told. */
  readonly perEpisodeMinorMax: bigint
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
    const { perEpisodeMinorMax } = rule
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
    if (perTransactionMinorMax > perEpisodeMinorMax)
      throw new StandInRuleError(`range ${name}: an episode takes one transaction at least`)
    if (perTransactionMinorMax > perCardMinorMax || perCardMinorMax > perHourMinorMax)
      throw new StandInRuleError(
        `range ${name}: a card may not do more than its range, a transaction not more than its card`,
      )
  }
  return [...rules].sort((one, other) => other.bin.length - one.bin.length)
}

export class StandInRuleError extends Error {
  readonly what: string

  constructor(what: string) {
    super(`stand-in: ${what}`)
    this.name = 'StandInRuleError'
    this.what = what
  }
}
