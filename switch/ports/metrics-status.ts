import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'
import { type Connector, type ConnectorStatus, sessionStates } from '../../connectors/connector.ts'
import type { DatabasePool } from '../../kernel/database.ts'

/** One figure with its labels. */
interface Value {
  readonly labels: Record<string, string>
  readonly value: number
}

/** How breakers stand, as numbers: what dashboards draw is how far from good order. Sessions are told so too. */
const breakerStates = ['closed', 'rampWide', 'rampNarrow', 'halfOpen', 'open']

/** What connectors say of themselves, read when somebody asks. */
export function connectorMetrics(registry: Registry, connectors: ReadonlyMap<string, Connector>): void {
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    values: (status: ConnectorStatus) => readonly Value[],
  ): void => {
    new Gauge({
      ...{ name, help, labelNames: [...labelNames], registers: [registry] },
      collect() {
        this.reset()
        for (const connector of connectors.values()) {
          const status = connector.status()
          for (const { labels, value } of values(status))
            this.set({ destination: status.name, ...labels }, value)
        }
      },
    })
  }
  const perSession =
    (value: (session: ConnectorStatus['sessions'][number]) => number | undefined) =>
    (status: ConnectorStatus): Value[] =>
      status.sessions.flatMap((session, index) => {
        const own = value(session)
        return own === undefined ? [] : [{ labels: { session: String(index + 1) }, value: own }]
      })
  const anomalies =
    (kind: keyof ConnectorStatus['anomalies']) =>
    (status: ConnectorStatus): Value[] => [{ labels: {}, value: status.anomalies[kind] }]
  gauge(
    'switch_legs_inflight',
    'Requests that a destination has not answered',
    ['destination'],
    ({ inFlight }) => [{ labels: {}, value: inFlight }],
  )
  gauge('switch_credits', 'Of what may be in flight', ['destination', 'state'], ({ credits }) =>
    Object.entries(credits).map(([state, value]) => ({ labels: { state }, value })),
  )
  gauge(
    'switch_session_state',
    sessionStates.map((state, index) => `${index} ${state}`).join(', '),
    ['destination', 'session'],
    perSession(({ state }) => (sessionStates as readonly string[]).indexOf(state)),
  )
  gauge(
    'switch_echo_seconds',
    'How long the last echo took',
    ['destination', 'session'],
    perSession(({ echoMs }) => (echoMs === undefined ? undefined : echoMs / 1_000)),
  )
  gauge(
    'switch_breaker_state',
    breakerStates.map((state, index) => `${index} ${state}`).join(', '),
    ['destination'],
    ({ breaker }) => [{ labels: {}, value: breakerStates.indexOf(breaker) }],
  )
  gauge('switch_orphan_total', 'Answers to nothing that was asked', ['destination'], anomalies('orphan'))
  gauge(
    'switch_cross_match_total',
    'Answers that would have gone to another request',
    ['destination'],
    anomalies('crossMatch'),
  )
}

/** What only the database knows. One short statement each time somebody asks; while it is away nothing is said. */
export function databaseMetrics(registry: Registry, pool: DatabasePool): void {
  const gauges = new Map<string, Gauge>()
  const look = async (): Promise<void> => {
    let rows: readonly { name: string; label: string | null; value: number }[]
    try {
      ;({ rows } = await pool.query(figures))
    } catch {
      return
    }
    for (const gauge of gauges.values()) gauge.reset()
    for (const { name, label, value } of rows) {
      const gauge = gauges.get(name)!
      if (label === null) gauge.set(value)
      else gauge.set({ [labelOf(name)]: label }, value)
    }
  }
  // All of them are read at once, and wait for the same look.
  let looking: Promise<void> | undefined
  const collect = (): Promise<void> =>
    (looking ??= look().finally(() => {
      looking = undefined
    }))
  const add = (name: string, help: string, labelNames: readonly string[]): void => {
    gauges.set(name, new Gauge({ name, help, labelNames: [...labelNames], registers: [registry], collect }))
  }
  add('switch_saf_depth', 'Messages owed to a destination', ['destination'])
  add('switch_saf_oldest_seconds', 'Since when the oldest of them is owed', ['destination'])
  add('switch_saf_parked', 'Messages that wait for a person', ['destination'])
  add('switch_standin_exposure_minor', 'Approved in an issuer’s place and not undone, of 24 h', ['currency'])
  add('switch_delivery_unproven', 'Approvals of which nobody knows whether they arrived', [])
  add('switch_ledger_imbalance_minor', 'What the books are out by: zero', ['currency'])
  add('switch_recon_unmatched', 'Totals of a day that a network did not agree to', ['network'])
  add('switch_recon_unexplained', 'What a match with a network left open and nobody explained', [
    'destination',
  ])
  add('switch_recon_oldest_seconds', 'Since when the oldest of that is known', ['destination'])
}

function labelOf(name: string): string {
  if (name === 'switch_recon_unmatched') return 'network'
  return /^switch_(saf|recon)_/.test(name) ? 'destination' : 'currency'
}

/** Most look-ups go through indexes that have only what is open; the other tables have few rows. */
const figures = `
  WITH owed AS MATERIALIZED (
    SELECT destination, count(*)::float8 AS depth, extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS oldest
      FROM switch.obligation WHERE state = 'due' GROUP BY destination),
  unexplained AS MATERIALIZED (
    SELECT destination, count(*)::float8 AS many,
        extract(epoch FROM clock_timestamp() - min(first_seen))::float8 AS oldest
      FROM switch.unmatched WHERE status = 'open' GROUP BY destination)
  SELECT 'switch_saf_depth' AS name, destination AS label, depth AS value FROM owed
  UNION ALL SELECT 'switch_saf_oldest_seconds', destination, oldest FROM owed
  UNION ALL SELECT 'switch_saf_parked', destination, count(*)::float8
    FROM switch.obligation WHERE state = 'parked' GROUP BY destination
  UNION ALL SELECT 'switch_standin_exposure_minor', currency, sum(amount_minor)::float8
    FROM switch.exposure WHERE at > now() - interval '24 hours' GROUP BY currency
  UNION ALL SELECT 'switch_delivery_unproven', NULL, count(*)::float8
    FROM switch.transaction WHERE state = 'approved' AND delivery = 'unproven'
  UNION ALL SELECT 'switch_ledger_imbalance_minor', a.currency, abs(sum(b.debits::numeric - b.credits))::float8
    FROM ledger.balance b JOIN ledger.account a ON a.id = b.account_id GROUP BY a.currency
  UNION ALL SELECT 'switch_recon_unmatched', destination, count(*)::float8
    FROM switch.reconciliation WHERE balance <> 'in' GROUP BY destination
  UNION ALL SELECT 'switch_recon_unexplained', destination, many FROM unexplained
  UNION ALL SELECT 'switch_recon_oldest_seconds', destination, oldest FROM unexplained`

/** How late this process comes to what is due, at worst since somebody last asked. */
export function processMetrics(registry: Registry): { stop(): void } {
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  new Gauge({
    name: 'switch_eventloop_lag_seconds',
    help: 'p99 of how late the event loop was, since this was last read',
    registers: [registry],
    collect() {
      // What it measures is the whole interval, not what came on top.
      const nanoseconds = lag.percentile(99)
      this.set(Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - 0.01) : 0)
      lag.reset()
    },
  })
  return { stop: () => void lag.disable() }
}
