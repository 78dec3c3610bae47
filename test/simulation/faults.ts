import type { Random } from '../../kernel/random.ts'

/** How often things go wrong in one history. Each is on or off, then of some rate: a swarm, not an average. */
export interface FaultRates {
  /** Of messages between switch and network. */
  readonly drop: number
  readonly slow: number
  readonly duplicate: number
  /** The link to the network breaks under a leg. */
  readonly linkLost: number
  /** Of answers to terminals: known not to have left, and lost on the way. */
  readonly answerUnsent: number
  readonly answerLost: number
  /** Of commits: lost without effect, made but not heard of, made after everybody gave up. */
  readonly commitLost: number
  readonly commitUnheard: number
  readonly commitZombie: number
  readonly commitSlow: number
  readonly journalAway: number
  readonly hsm: number
  /** Crashes of the switch in the history. */
  readonly crashes: number
  /** The network is away for a while. */
  readonly networkAway: number
  /** Of network decisions: decline, another amount. */
  readonly decline: number
  readonly wrongAmount: number
  /** Of terminals: ask again, reverse at once, reverse later, other data under the same key, reverse a part. */
  readonly repeat: number
  readonly reverseEarly: number
  readonly reverseAfter: number
  readonly mismatch: number
  readonly partial: number
}

export const faultNames = [
  'drop',
  'slow',
  'duplicate',
  'linkLost',
  'answerUnsent',
  'answerLost',
  'commitLost',
  'commitUnheard',
  'commitZombie',
  'commitSlow',
  'journalAway',
  'hsm',
  'crashes',
  'networkAway',
  'decline',
  'wrongAmount',
  'repeat',
  'reverseEarly',
  'reverseAfter',
  'mismatch',
  'partial',
] as const satisfies readonly (keyof FaultRates)[]

export function drawFaults(random: Random, off: ReadonlySet<string>): FaultRates {
  const rates: Record<string, number> = {}
  for (const name of faultNames) {
    const on = random.fraction() < 0.5
    const rate = random.fraction() * 0.3
    const wanted = on && !off.has(name)
    rates[name] = name === 'crashes' ? (wanted ? 1 + Math.floor(rate * 10) : 0) : wanted ? rate : 0
  }
  return rates as unknown as FaultRates
}
