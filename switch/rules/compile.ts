import { isApproval, isOutOfReach, outcomes } from '../results.ts'
import { type Route, RouteError, type RouteStrategy, routingTable } from '../routing.ts'
import type { RuleFileName, WrittenRules } from './files.ts'
import { type DestinationTerms, type KnownToRules, noStandIn, type Rules } from './rules.ts'
import type { SourceRules } from './source-rules.ts'
import { type StandInRule, StandInRuleError, standInRules } from './stand-in-rules.ts'

type Wrong = (file: RuleFileName, path: string, reason: string) => void

/** What files that have their form say together. What they contradict each other in is told to `wrong`. */
export function compileRules(
  written: WrittenRules,
  known: KnownToRules,
  wrong: Wrong,
): Omit<Rules, 'version'> {
  checkNames(written, known, wrong)
  const sources = new Map(
    [...known.sources].map(([name, source]) => [name, sourceOf(name, source, written)] as const),
  )
  const destinations = new Map(
    [...known.destinations].map(([name, own]) => [name, destinationOf(name, own, written)] as const),
  )
  checkTimers(sources, destinations, wrong)
  checkCodes(written, known, wrong)
  const { softHealth } = written['routes.yaml']
  return {
    sources,
    destinations,
    ...(softHealth === undefined ? {} : { softHealth: softHealthOf(softHealth) }),
    routes:
      orElse(
        () => routingTable(written['routes.yaml'].routes.map(routeOf), new Set(destinations.keys())),
        (reason) => wrong('routes.yaml', 'routes', reason),
      ) ?? routingTable([], new Set()),
    standIn:
      orElse(
        () => standInRules(written['stand-in.yaml'].ranges.map(standInRuleOf)),
        (reason) => wrong('stand-in.yaml', 'ranges', reason),
      ) ?? [],
  }
}

function orElse<Value>(make: () => Value, wrong: (reason: string) => void): Value | undefined {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof RouteError) && !(error instanceof StandInRuleError)) throw error
    wrong(error.what)
    return undefined
  }
}

/** Each source and each destination there is has its timers, and nobody is named who isn't there. */
function checkNames(written: WrittenRules, known: KnownToRules, wrong: Wrong): void {
  const all: readonly [RuleFileName, 'sources' | 'destinations', object, 'all' | 'some'][] = [
    ['limits.yaml', 'sources', written['limits.yaml'].sources, 'all'],
    ['timers.yaml', 'sources', written['timers.yaml'].sources, 'all'],
    ['timers.yaml', 'destinations', written['timers.yaml'].destinations, 'all'],
    ['result-codes.yaml', 'sources', written['result-codes.yaml'].sources, 'some'],
    ['result-codes.yaml', 'destinations', written['result-codes.yaml'].destinations, 'some'],
    ['stand-in.yaml', 'destinations', written['stand-in.yaml'].destinations, 'some'],
  ]
  for (const [file, path, named, wanted] of all) {
    const there = known[path]
    for (const name of Object.keys(named))
      if (!there.has(name))
        wrong(file, `${path}.${name}`, `is not configured; there are ${[...there.keys()].join(', ')}`)
    if (wanted === 'all')
      for (const name of there.keys()) if (!(name in named)) wrong(file, path, `${name} is not there`)
  }
}

function sourceOf(
  name: string,
  source: Pick<SourceRules, 'name' | 'keys'>,
  written: WrittenRules,
): SourceRules {
  const timers = written['timers.yaml'].sources[name]
  const terms = written['limits.yaml'].sources[name]
  const told = written['result-codes.yaml'].sources[name]
  return {
    ...source,
    timeoutMs: Number(timers?.timeoutMs ?? 1),
    terminalTimeoutMs: Number(timers?.terminalTimeoutMs ?? 1),
    takesPartialApprovals: terms?.takesPartialApprovals === 'yes',
    ...(terms?.hearsBilling === 'yes' ? { hearsBilling: true } : {}),
    ...(terms?.feeInAmount === 'no' ? { feeInAmount: false } : {}),
    forcedPost: terms?.forcedPost ?? 'refuse',
    limits: (terms?.limits ?? []).map((limit) => ({
      ...limit,
      amountMinorMax: BigInt(limit.amountMinorMax),
    })),
    ...(told === undefined ? {} : { told }),
  }
}

function destinationOf(
  name: string,
  {
    edition,
    rules,
  }: { readonly rules: DestinationTerms['rules']; readonly edition: DestinationTerms['edition'] },
  written: WrittenRules,
): DestinationTerms {
  const timers = written['timers.yaml'].destinations[name]
  const { holds } = rules
  const timeoutMs = Number(timers?.timeoutMs ?? rules.timeoutMs)
  const ownHolds = timers?.holdMsByMerchantType
  return {
    edition,
    meanings: written['result-codes.yaml'].destinations[name] ?? {},
    standIn: written['stand-in.yaml'].destinations[name] ?? noStandIn,
    rules: {
      ...rules,
      timeoutMs,
      remainingMinMs: Number(
        timers?.remainingMinMs ?? Math.min(rules.remainingMinMs, Math.max(1, Math.floor(timeoutMs / 4))),
      ),
      ...(timers?.retryAfterMs === undefined ? {} : { retryAfterMs: timers.retryAfterMs.map(Number) }),
      ...(holds === undefined || ownHolds === undefined
        ? {}
        : { holds: { ...holds, byMerchantType: { ...holds.byMerchantType, ...numbers(ownHolds) } } }),
    },
  }
}

function numbers(texts: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Number(text)]))
}

/** T_terminal > T_source > T_out + margins (§4.4): otherwise answers come to nobody. */
function checkTimers(
  sources: ReadonlyMap<string, SourceRules>,
  destinations: ReadonlyMap<string, DestinationTerms>,
  wrong: Wrong,
): void {
  const file = 'timers.yaml'
  for (const [name, { timeoutMs, terminalTimeoutMs }] of sources) {
    if (terminalTimeoutMs <= timeoutMs)
      wrong(file, `sources.${name}.terminalTimeoutMs`, 'its terminals must wait longer than the source does')
    for (const [destination, { rules }] of destinations) {
      if (timeoutMs <= rules.timeoutMs + 1_000)
        wrong(
          file,
          `sources.${name}.timeoutMs`,
          `it must wait at least a second longer than destination ${destination} may take, ${rules.timeoutMs} ms`,
        )
    }
  }
  for (const [name, { rules }] of destinations) {
    const path = `destinations.${name}`
    if (rules.remainingMinMs >= rules.timeoutMs)
      wrong(file, `${path}.remainingMinMs`, 'it must be less than timeoutMs')
    if (rules.retryAfterMs.some((wait, index) => wait < (rules.retryAfterMs[index - 1] ?? 1)))
      wrong(file, `${path}.retryAfterMs`, 'waits must not become shorter')
  }
}

/** No table of codes may make an approval of what is none, or say one where there is none. */
function checkCodes(written: WrittenRules, known: KnownToRules, wrong: Wrong): void {
  const file = 'result-codes.yaml'
  const { destinations, sources } = written[file]
  for (const [name, meanings] of Object.entries(destinations)) {
    const form = known.destinations.get(name)?.edition === '1993' ? /^[0-9]{3}$/ : /^[0-9A-Z]{2}$/
    for (const [code, outcome] of Object.entries(meanings)) {
      const path = `destinations.${name}.${code}`
      if (!form.test(code)) wrong(file, path, 'is no code of its edition')
      if (isApproval(outcome))
        wrong(file, path, "what approves stands in the network's own list of approvals and nowhere else")
    }
  }
  for (const [name, told] of Object.entries(sources)) {
    for (const [outcome, code] of Object.entries(told)) {
      const path = `sources.${name}.${outcome}`
      if (outcome !== 'timeout' && !(outcome in outcomes)) wrong(file, path, 'no outcome is called so')
      else if (!/^[0-9A-Z]{2}$/.test(code)) wrong(file, path, 'is no code of 1987, which its source speaks')
      else if (isApprovalTo(code) !== (outcome !== 'timeout' && isApproval(outcome as keyof typeof outcomes)))
        wrong(file, path, 'an approval is said as an approval, and nothing else is')
    }
  }
  for (const [name, { onOutcomes }] of Object.entries(written['stand-in.yaml'].destinations)) {
    for (const [index, outcome] of onOutcomes.entries()) {
      if (!isOutOfReach(outcome))
        wrong(
          'stand-in.yaml',
          `destinations.${name}.onOutcomes.${index}`,
          'that is an answer of the issuer, and nobody approves in the place of one that has answered',
        )
    }
  }
}

/** What a terminal of 1987 takes for an approval. */
function isApprovalTo(code: string): boolean {
  return ['00', '08', '10', '11', '16', '85'].includes(code)
}

function softHealthOf(
  written: NonNullable<WrittenRules['routes.yaml']['softHealth']>,
): NonNullable<Rules['softHealth']> {
  const { demotePercent, requestsMin, windowMs } = written
  return {
    windowMs: Number(windowMs),
    requestsMin: Number(requestsMin),
    demotePercent: Number(demotePercent),
  }
}

type WrittenRoute = WrittenRules['routes.yaml']['routes'][number]

function routeOf({ low, high, priority, luhn, filters, strategy }: WrittenRoute): Route {
  const { amountMinorMin, amountMinorMax, ...rest } = filters ?? {}
  return {
    low,
    high,
    ...(priority === undefined ? {} : { priority: Number(priority) }),
    ...(luhn === undefined ? {} : { luhn: luhn === 'yes' }),
    ...(filters === undefined
      ? {}
      : {
          filters: {
            ...rest,
            ...(amountMinorMin === undefined ? {} : { amountMinorMin: BigInt(amountMinorMin) }),
            ...(amountMinorMax === undefined ? {} : { amountMinorMax: BigInt(amountMinorMax) }),
          },
        }),
    strategy: strategyOf(strategy),
  }
}

function strategyOf(strategy: WrittenRoute['strategy']): RouteStrategy {
  switch (strategy.kind) {
    case 'percent':
      return {
        kind: 'percent',
        targets: strategy.targets.map(({ destination, percent }) => ({
          destination,
          percent: Number(percent),
        })),
      }
    case 'leastCost':
      return {
        kind: 'leastCost',
        targets: strategy.targets.map(({ destination, feeMinor, feeBasisPoints }) => ({
          destination,
          feeMinor: BigInt(feeMinor),
          feeBasisPoints: Number(feeBasisPoints),
        })),
      }
    case 'priority':
    case 'onUs':
      return strategy
  }
}

function standInRuleOf(written: WrittenRules['stand-in.yaml']['ranges'][number]): StandInRule {
  const {
    perTransactionMinorMax,
    perCardMinorMax,
    perCardCountMax,
    perEpisodeMinorMax,
    perHourMinorMax,
    ...rest
  } = written
  return {
    ...rest,
    perTransactionMinorMax: BigInt(perTransactionMinorMax),
    perCardMinorMax: BigInt(perCardMinorMax),
    perCardCountMax: Number(perCardCountMax),
    perEpisodeMinorMax: BigInt(perEpisodeMinorMax),
    perHourMinorMax: BigInt(perHourMinorMax),
  }
}
