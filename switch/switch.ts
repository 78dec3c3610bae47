import type { Connector, Sealer } from '../connectors/connector.ts'
import type { Hsm, IssuerHsm, KeyExchangeHsm } from '../hsm/hsm.ts'
import type { Codec, FrameFormat } from '../iso8583/iso8583.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import type { DatabasePool } from '../kernel/database.ts'
import type { Random } from '../kernel/random.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { CutoverSchedule } from './business-date.ts'
import { BusinessDays, followCutovers, switchItself } from './business-days.ts'
import { Deliveries } from './deliveries.ts'
import { type ExchangedKeys, KeyExchanges } from './key-exchange.ts'
import { storedRulesOf } from './lanes.ts'
import { type LeasedLine, leaseOfNode, Leases, type LeaseTimes, usualLeaseTimes } from './leases.ts'
import { type Metrics, switchMetrics, watchedJournal } from './ports/metrics.ts'
import { connectorMetrics, databaseMetrics, processMetrics } from './ports/metrics-status.ts'
import type { Failpoints } from './ports/failpoints.ts'
import { postgresDayBook } from './ports/postgres-days.ts'
import { postgresKeyBook } from './ports/postgres-keys.ts'
import { postgresJournal } from './ports/postgres-journal.ts'
import { overdueUnmatched } from './ports/postgres-matching.ts'
import { postgresLeases } from './ports/postgres-leases.ts'
import type { WritesUnder } from './ports/rows.ts'
import { postgresRuleBook } from './ports/postgres-rules.ts'
import type { Edition } from './results.ts'
import type { RuleTexts } from './rules/files.ts'
import type { RuleDifference } from './rules/diff.ts'
import type { KnownToRules, RulesVersion } from './rules/rules.ts'
import { type Reloaded, type RuleChange, type RuleRequest, RulesInForce } from './rules/rules-in-force.ts'
import type { SourceRules } from './rules/source-rules.ts'
import { Shell } from './shell.ts'
import { reconciledBy } from './reconciliation.ts'
import { openSource, type Source, type SourceDoor } from './source.ts'
import { Sweeper } from './sweeper.ts'
import type { Wakeups } from './wakeups.ts'

/**
 * The switch room: the life of a transaction, from a source's bytes to a destination's answer and back, with the
 * journal that survives whatever happens in between. Keys are the HSM's, entries the ledger's, sessions the
 * connectors'.
 */
export interface SwitchOptions {
  /** Names this node in the journal; the same name again takes up what its earlier life left open. */
  readonly node: string
  readonly clock: Clock
  readonly random: Random
  readonly ledger: Ledger
  readonly pool: DatabasePool
  readonly hsm: Hsm & IssuerHsm & KeyExchangeHsm
  readonly connectors: ReadonlyMap<string, Connector>
  /** The key under which each destination takes PINs. */
  readonly pinKeys: ReadonlyMap<string, string>
  /** Of the destinations that send new keys in messages. */
  readonly exchangedKeys?: ReadonlyMap<string, ExchangedKeys>
  readonly sources: readonly SourceConfig[]
  /** The files of rules, by name and as texts, each time they are wanted; what they may say is in `rules/files.ts`. */
  readonly ruleTexts: () => Promise<RuleTexts>
  /** Of the destinations whose messages are not of 1987. */
  readonly editions?: ReadonlyMap<string, Edition>
  /** Of the destinations whose business date turns by the clock; the others' turns when the network says so. */
  readonly cutovers: ReadonlyMap<string, CutoverSchedule>
  /** Lines of which several nodes may open one at a time. */
  readonly leasedLines?: readonly LeasedLine[]
  readonly leaseTimes?: LeaseTimes
  /** Another node, or a later life of this one, has its place: nothing it does counts any more. */
  readonly onOusted: () => void
  /** False: nothing new is taken in. Left out: everything is. */
  readonly takesNew?: () => boolean
  /** For people, now. */
  readonly alarm: (what: string, subject: string) => void
  /** For the log: rules that came into force or were refused, and what they say otherwise than those before. */
  readonly onRules: (change: RuleChange, differences: readonly RuleDifference[]) => void
  /** Left out: the sweeper alone looks for what is due. */
  readonly wakeups?: Wakeups | undefined
  /** What a match with a network left open and nobody explains is an alarm after so long, and after as long again: a day. */
  readonly unmatchedAlarmAfterMs?: number
  /** For drills. */
  readonly failpoints?: Failpoints | undefined
}

export interface SourceConfig {
  readonly name: string
  readonly keys: SourceRules['keys']
  readonly host: string
  readonly port: number
  readonly codec: Codec
  readonly frame: FrameFormat
  readonly door?: SourceDoor
  /** By participant: the acquirers (DE32) that it may speak for. */
  readonly acquirers?: ReadonlyMap<string, readonly string[]>
}

export interface Switch {
  readonly metrics: Metrics['registry']
  readonly recovered: { readonly reversed: number; readonly unproven: number }
  /** The port of each source's listener, by name. */
  readonly ports: ReadonlyMap<string, number>
  readonly inFlight: number
  /** The business date of what is routed to a destination now. */
  today(destination: string): string
  /** The rules in force, and by which switch they are known. */
  readonly rules: RulesVersion
  /** Reads the rules again: all of them come into force, or none (F51). */
  reloadRules(request: RuleRequest): Promise<Reloaded>
  /** Refuses new requests, answers those under way, then closes every link. */
  drain(waitMs: number): Promise<void>
}

export { FailpointError, failpointNames, Failpoints } from './ports/failpoints.ts'
export { journalRows } from './ports/row-kinds.ts'
export { expiryRows } from './ports/rows.ts'
export { openBullmqWakeups } from './ports/bullmq-wakeups.ts'
export { postgresStanBlocks } from './ports/stan-blocks.ts'
export { type DiskReserve, watchDisk } from './ports/disk-reserve.ts'
export { transactionFamily, transactionLife } from './life.ts'
export {
  approveOperation,
  askOperation,
  findWaiting,
  listExposures,
  listUnproven,
  listWaiting,
  operationsOn,
} from './operations.ts'
export type { LeaseTimes } from './leases.ts'
export type { Act, Exposed, OperationRecord, Waiting, Wanted } from './operations.ts'
export type { Life, LifeEvent } from './life.ts'
export type { Edition } from './results.ts'
export { diffRules, type RuleDifference } from './rules/diff.ts'
export { ruleFileNames, type RuleTexts } from './rules/files.ts'
export { mistakeText, readRules } from './rules/read.ts'
export { type KnownToRules, type RulesVersion, versionText } from './rules/rules.ts'
export type { RuleChange } from './rules/rules-in-force.ts'
export {
  askRuleReload,
  ruleAnswers,
  type RuleChangeOnRecord,
  ruleHistory,
  rulesByNode,
  ruleTextsOf,
} from './ports/postgres-rules.ts'
export type { CutoverSchedule } from './business-date.ts'
export type { SourceDoor } from './source.ts'
export {
  beginByOperator,
  businessDayHistory,
  reconciliationHistory,
  reconciliationItems,
} from './ports/postgres-days.ts'
export { doneBy, netOf } from './reconciliation.ts'
export { type Difference, match, type MatchItem, type MatchReport, movesMoney } from './matching.ts'
export { readStatement, StatementError, writeStatement } from './ports/statement.ts'
export {
  type BookDifference,
  type BookTotal,
  closeUnmatched,
  datedItems,
  explainUnmatched,
  journalTotals,
  keepMatch,
  keptMax,
  matchDate,
  type MatchedDate,
  matchRuns,
  type OwnBooks,
  ownBooks,
  type Unmatched,
  unmatchedHistory,
  unmatchedItems,
} from './ports/postgres-matching.ts'
export type { DayOnRecord, ReconciliationItem, ReconciliationOnRecord } from './ports/postgres-days.ts'
export { keyExchangeHistory, wantKeyExchange } from './ports/postgres-keys.ts'
export type { ExchangedKeys } from './key-exchange.ts'
export { RouteError, routingTable } from './routing.ts'
export { kinds } from './transaction/kinds.ts'
export type { Route, RouteQuestion } from './routing.ts'
export { postingReferences } from './transaction/postings.ts'

/** Takes up what an earlier life left open, then listens: in that order (§4.22). */
export async function openSwitch(options: SwitchOptions): Promise<Switch> {
  const { clock, failpoints, ledger, node, pool, random } = options
  const hsm = failpoints?.hsm(options.hsm) ?? options.hsm
  const connectors = failpoints?.connectors(options.connectors) ?? options.connectors
  const rules = rulesOf(options, connectors, (what, subject) => metrics.observer.alarm(what, subject))
  const metrics = switchMetrics(
    {
      inFlight: () => shell.inFlight,
      ledgerWaiting: () => ledger.status().waiting,
      badSeals: () =>
        [...connectors].map(([name, connector]) => [name, connector.status().anomalies.badSeal] as const),
    },
    options.alarm,
  )
  connectorMetrics(metrics.registry, connectors)
  databaseMetrics(metrics.registry, pool)
  const lag = processMetrics(metrics.registry)
  const { observer } = metrics
  const lanesOf = (destination: string): number => {
    const rules = connectors.get(destination)?.rules
    return rules === undefined ? 1 : storedRulesOf(rules).lanes
  }
  const under = (): WritesUnder | undefined =>
    leases.token === undefined ? undefined : { lease: leaseOfNode(node), token: leases.token }
  const written = postgresJournal(ledger, pool, lanesOf, under)
  const journal = watchedJournal(failpoints?.journal(written) ?? written, clock, metrics)
  const book = postgresDayBook(ledger, pool, {
    wallMs: () => clock.wallMs(),
    reconciledBy: (destination) => reconciledBy(connectors.get(destination)),
  })
  const schedules = new Map([[switchItself, kuwaitMidnight], ...options.cutovers])
  const destinations = [...connectors.keys()]
  const days = new BusinessDays({ clock, node, book, observer, destinations, schedules })
  for (const connector of connectors.values()) followCutovers(connector, days)
  await rules.open()
  const shell = new Shell({
    node,
    clock,
    random,
    journal,
    hsm,
    connectors,
    observer,
    rules,
    pinKeyOf: (destination) => options.pinKeys.get(destination) ?? '',
    openAccounts: (accounts) => ledger.openAccounts(accounts),
    days,
    ...(options.takesNew && { takesNew: options.takesNew }),
    wake: (destination) => deliveries.wake(destination),
  })
  const deliveries = new Deliveries({
    ...{ clock, random, journal, hsm, connectors, shell, observer },
    ...(options.wakeups && { wakeups: options.wakeups }),
  })
  const keyExchanges = new KeyExchanges({
    ...{ clock, node, hsm: options.hsm, connectors: options.connectors, observer },
    keys: options.exchangedKeys ?? new Map(),
    book: postgresKeyBook(pool),
  })
  const pageUnmatched = async (): Promise<void> => {
    for (const { count, destination } of await overdueUnmatched(pool, options.unmatchedAlarmAfterMs ?? dayMs))
      observer.alarm(
        'items of a date do not match and nobody has explained them',
        `${count} of ${destination}`,
      )
  }
  const sweeper = new Sweeper({
    ...{ clock, node, journal, shell, deliveries, days, rules, keyExchanges, pageUnmatched },
  })
  const leases = new Leases({
    ...{ node, clock, observer },
    store: postgresLeases(pool),
    lines: options.leasedLines ?? [],
    times: options.leaseTimes ?? usualLeaseTimes,
    takeUp: (dead) => sweeper.takeUp(dead),
    onOusted: options.onOusted,
  })

  await leases.open()
  await days.open()

  const recovered = await sweeper.recover()
  sweeper.start()
  leases.start()
  const sources: Source[] = []
  for (const { keys: _keys, ...listener } of options.sources) {
    const door = failpoints?.door(shell) ?? shell
    sources.push(await openSource({ ...listener, rules, hsm, shell: door, clock, observer }))
  }

  return {
    metrics: metrics.registry,
    recovered,
    ports: new Map(options.sources.map(({ name }, index) => [name, sources[index]!.port])),
    get inFlight() {
      return shell.inFlight
    },
    today: (destination) => days.today(destination),
    get rules() {
      return rules.current.version
    },
    reloadRules: (request) => rules.reload(request),
    async drain(waitMs) {
      for (const source of sources) source.drain()
      const until = clock.monotonicMs() + waitMs
      while (shell.inFlight > 0 && clock.monotonicMs() < until) await sleep(clock, 20)
      deliveries.stop()
      sweeper.stop()
      await Promise.all([...connectors.values()].map((connector) => connector.drain(until)))
      await leases.stop()
      lag.stop()
      await Promise.all(sources.map((source) => source.close()))
    },
  }
}

/** The HSM's seal under one key, as connectors use it. */
export function sealerOf(hsm: Hsm, key: string): Sealer {
  return {
    seal: (data) => hsm.generateMac({ key, data }),
    verify: (data, mac) => hsm.verifyMac({ key, data, mac }),
  }
}

const dayMs = 24 * 3_600_000
const kuwaitMidnight: CutoverSchedule = { at: '00:00', timeZone: 'Asia/Kuwait' }

/** The rules of this node: over what its connectors and sources are by themselves. */
function rulesOf(
  options: SwitchOptions,
  connectors: ReadonlyMap<string, Connector>,
  alarm: (what: string, subject: string) => void,
): RulesInForce {
  const { node, pool, ruleTexts: texts, onRules: onChange, sources } = options
  const known: KnownToRules = {
    sources: new Map(sources.map(({ name, keys }) => [name, { name, keys }])),
    destinations: new Map(
      [...connectors].map(([name, { rules }]) => [
        name,
        { rules, edition: options.editions?.get(name) ?? '1987' },
      ]),
    ),
  }
  return new RulesInForce({
    ...{ node, known, texts, onChange },
    book: postgresRuleBook(pool),
    observer: { alarm },
    adopt: ({ destinations }) => {
      for (const [name, { rules }] of destinations) connectors.get(name)?.adopt(rules)
    },
  })
}
