import type { DestinationRules } from '../../connectors/connector.ts'
import { type RouteStrategy, routingTable } from '../../switch/routing.ts'
import type { Rules } from '../../switch/rules/rules.ts'
import type { SourceRules } from '../../switch/rules/source-rules.ts'
import { standInRules } from '../../switch/rules/stand-in-rules.ts'
import { simulatedStandIn, stricterStandIn } from './stand-in.ts'

export const simulatedSource: SourceRules = {
  name: 'acq',
  takesPartialApprovals: true,
  forcedPost: 'flag',
  keys: { pin: 'tpk.acq.in', mac: 'tak.acq.both' },
  timeoutMs: 8_000,
  terminalTimeoutMs: 10_000,
}

/** What a source is told of silence by each set of rules, so that a decline shows by which it was made. */
export const toldOfSilence: Readonly<Record<number, string>> = { 1: '91', 2: '68' }

/** The two sets that a history goes by in turn. */
export function simulatedRules(
  destinations: ReadonlyMap<string, DestinationRules>,
  { number, standsIn }: { readonly number: 1 | 2; readonly standsIn: boolean },
): Rules {
  const names = [...destinations.keys()]
  const strategy: RouteStrategy =
    number === 1 ? sharesOf(names) : { kind: 'priority', targets: names.toReversed() }
  const terms = (rules: DestinationRules) => ({
    rules,
    edition: '1987' as const,
    meanings: {},
    standIn: { settles: 'reversalThenAdvice' as const, onOutcomes: [] },
  })
  return {
    version: { number, hash: String(number).repeat(64) },
    routes: routingTable(names.length === 0 ? [] : [{ low: '8', high: '8', strategy }], new Set(names)),
    standIn: standsIn ? standInRules(number === 1 ? simulatedStandIn : stricterStandIn) : [],
    sources: new Map([['acq', { ...simulatedSource, told: { timeout: toldOfSilence[number]! } }]]),
    destinations: new Map([...destinations].map(([name, rules]) => [name, terms(rules)] as const)),
  }
}

/** Every network has its share of the cards, and takes those of another that can't be reached. */
function sharesOf(names: readonly string[]): RouteStrategy {
  const even = Math.floor(100 / names.length)
  const targets = names.map((destination, index) => ({
    destination,
    percent: index === 0 ? 100 - even * (names.length - 1) : even,
  }))
  return { kind: 'percent', targets }
}

/** The rules of one life of a node: read when it starts, and again when somebody says so. */
export class SimulatedRules {
  #current: Rules
  readonly #made: (number: 1 | 2) => Rules

  constructor(made: (number: 1 | 2) => Rules, number: 1 | 2) {
    this.#made = made
    this.#current = made(number)
  }

  get current(): Rules {
    return this.#current
  }

  reload(number: 1 | 2): void {
    this.#current = this.#made(number)
  }
}
