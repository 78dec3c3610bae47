import type { Random } from '../../kernel/random.ts'
import { amountOutcomes, cardNamed, type TestCard } from '../cards.ts'

/** What a purchase of the estate is made to go through, and what the terminal must see. */
export interface Scenario {
  /** What is asked for; a purchase when absent. */
  readonly kind?: EstateKind
  /** How often it comes up, beside the others' weights. */
  readonly weight: number
  /** A card of the table by its name; one of the load cards when absent. */
  readonly card?: string
  readonly pin?: 'wrong'
  /** The amount's fils, to make the network misbehave. */
  readonly endsWith?: string
  readonly spoiled?: 'seal' | 'format'
  readonly then?: FollowUp
  /** The response codes that are right; undefined where the terminal's own reversal makes any of them right. */
  readonly expects?: readonly string[]
  /** Whether its answer waits for nothing but the work: only such count for the latency figures. */
  readonly prompt: boolean
}

/** What the estate's terminals ask for; `ecommerce` is a purchase from afar, with card number and PIN. */
export type EstateKind = 'withdrawal' | 'refund' | 'balance' | 'preauthorization' | 'ecommerce'

type FollowUp =
  /** After the approval: what was set aside is taken, most of it. */
  | 'complete'
  /** After the approval: the customer changes their mind. */
  | 'cancel'
  /** After the approval: 0201, which must bring the same answer. */
  | 'repeat'
  /** After the approval: the same key with another amount, which must bring 94. */
  | 'conflict'
  /** The reversal leaves while the purchase is in flight. */
  | 'reverseInFlight'
  /** The reversal leaves, and is acknowledged, before the purchase. */
  | 'reverseFirst'

const approved = ['00'] as const

/**
 * Weights out of some 2,000, so that 1 is rare: 70 % purchases, of which a few are declined or cancelled, 8 % from afar,
 * 5 % cash, 5 % authorizations and their completions, 4 % refunds, 3 % questions for a balance, 5 % faults.
 */
export const scenarios = {
  approve: { weight: 1_100, expects: approved, prompt: true },
  ecommerce: { weight: 160, kind: 'ecommerce', expects: approved, prompt: true },
  cash: { weight: 100, kind: 'withdrawal', expects: approved, prompt: true },
  preauthorized: { weight: 100, kind: 'preauthorization', then: 'complete', expects: approved, prompt: true },
  refund: { weight: 80, kind: 'refund', expects: approved, prompt: true },
  balance: { weight: 60, kind: 'balance', expects: approved, prompt: true },
  wrongPin: { weight: 40, pin: 'wrong', expects: ['55'], prompt: true },
  insufficientFunds: { weight: 40, card: 'poor', expects: ['51'], prompt: true },
  expired: { weight: 20, card: 'expired', expects: ['54'], prompt: true },
  overLimit: { weight: 20, card: 'limited', expects: ['61'], prompt: true },
  refusedCard: { weight: 20, card: 'refused', expects: ['05'], prompt: true },
  issuerDown: byAmount(20, '991'),
  unknownBin: { weight: 30, card: 'discover', expects: ['15'], prompt: true },
  formatError: { weight: 10, spoiled: 'format', expects: ['30'], prompt: true },
  badSeal: { weight: 10, spoiled: 'seal', expects: ['63'], prompt: false },
  cancel: { weight: 60, then: 'cancel', expects: approved, prompt: true },
  cancelUnansweredTwice: { ...byAmount(4, '921'), then: 'cancel' },
  cancelRetried: { ...byAmount(4, '922'), then: 'cancel' },
  repeat: { weight: 30, then: 'repeat', expects: approved, prompt: true },
  conflict: { weight: 20, then: 'conflict', expects: approved, prompt: true },
  reverseInFlight: { weight: 24, then: 'reverseInFlight', prompt: false },
  reverseFirst: { weight: 8, then: 'reverseFirst', expects: ['12'], prompt: false },
  duplicateAnswer: byAmount(8, '904'),
  differingAnswer: byAmount(6, '906'),
  silent: byAmount(8, '901'),
  lateApproval: byAmount(6, '902'),
  lateDecline: byAmount(4, '903'),
  requestLost: byAmount(4, '909'),
  // A cut line takes everybody's purchases with it for as long as the breaker is careful: only where asked for.
  disconnectBefore: byAmount(0, '907'),
  disconnectAfter: byAmount(0, '908'),
} as const satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof scenarios

export const scenarioNames = Object.keys(scenarios) as ScenarioName[]

/** Weights by name. What is not named does not come up. */
export type Mix = Readonly<Partial<Record<ScenarioName, number>>>

export const defaultMix: Mix = Object.fromEntries(
  Object.entries(scenarios).map(([name, { weight }]) => [name, weight]),
)

/** An outage may answer any purchase with one of these; they are counted, and no surprise. */
export const outageCodes: readonly string[] = ['91', '96', '68']

function byAmount(weight: number, endsWith: string): Scenario {
  const outcome = amountOutcomes.find((candidate) => candidate.endsWith === endsWith)
  if (outcome === undefined) throw new Error(`no outcome for amounts that end in ${endsWith}`)
  const prompt = outcome.answer === 'once' || outcome.answer.startsWith('twice')
  return { weight, endsWith, expects: outcome.terminalSees, prompt }
}

/** Draws scenarios by weight. */
export class ScenarioDraw {
  readonly #random: Random
  readonly #steps: (readonly [name: ScenarioName, upTo: number])[] = []
  #total = 0

  constructor(mix: Mix, random: Random) {
    this.#random = random
    for (const name of scenarioNames) {
      const weight = mix[name] ?? 0
      if (weight <= 0) continue
      this.#total += weight
      this.#steps.push([name, this.#total])
    }
  }

  next(): ScenarioName {
    const drawn = this.#random.fraction() * this.#total
    return this.#steps.find(([, upTo]) => drawn < upTo)?.[0] ?? 'approve'
  }
}

/** The card, PIN and amount of one purchase. `cards` are those behind each network that may be drawn from. */
export function drawTerms(
  scenario: Scenario,
  random: Random,
  cards: readonly (readonly TestCard[])[],
): { card: TestCard; pin: string; amountMinor: bigint; entry: 'pan' | 'track2' } {
  const card = scenario.card === undefined ? drawCard(cards, random) : cardNamed(scenario.card)
  const pin = pinFor(scenario, card)
  const entry = random.below(2) === 0 ? 'pan' : 'track2'
  return { card, pin, amountMinor: drawAmount(scenario, card, random), entry }
}

/** The card's own, or one that is not. */
export function pinFor({ pin }: Scenario, card: TestCard): string {
  return pin === 'wrong' ? String((Number(card.pin) + 1) % 10_000).padStart(4, '0') : card.pin
}

/** Each network as often as any other, however many cards it has. */
function drawCard(cards: readonly (readonly TestCard[])[], random: Random): TestCard {
  const own = cards.length === 1 ? cards[0]! : cards[random.below(cards.length)]!
  return own[random.below(own.length)]!
}

/** KWD 0.500 to KWD 49.990 in steps of ten fils; above the card's limit where the scenario is about that. */
function drawAmount({ endsWith, kind }: Scenario, { limitMinor = 0n }: TestCard, random: Random): bigint {
  if (kind === 'balance') return 0n
  if (endsWith !== undefined) return BigInt(random.below(50)) * 1_000n + BigInt(endsWith)
  return limitMinor + BigInt(50 + random.below(4_950)) * 10n
}
