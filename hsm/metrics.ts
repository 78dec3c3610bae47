/** What the client counts, as Prometheus reads it. Labels are operations, faults, processes and keys' zones: closed sets. */
import { Gauge } from 'prom-client'
import type { Histogram, Registry } from 'prom-client'
import type { Hsm, HsmBackendStatus, HsmStatus } from './contract.ts'
import { secondsBounds } from './figures.ts'
import { parseLabel } from './key.ts'

/** Adds the HSM's figures to a registry; they are read from `status` whenever the registry is. */
export function registerHsmMetrics(registry: Registry, hsm: Pick<Hsm, 'status'>): void {
  // prom-client's own histogram counts by itself; this one shows what is counted already.
  registry.registerMetric({
    name: 'switch_hsm_seconds',
    help: 'How long callers waited for the HSM, by operation',
    type: 'histogram',
    aggregator: 'sum',
    get: () => Promise.resolve(secondsOf(hsm.status())),
    getLabels: () => ['op'],
    reset: () => undefined,
  } as unknown as Histogram)

  const gauge = (name: string, help: string, values: (status: HsmStatus) => readonly Value[]): void => {
    const labelNames = [...new Set(values(hsm.status()).flatMap(({ labels }) => Object.keys(labels)))]
    new Gauge({
      ...{ name, help, labelNames: labelNames.length > 0 ? labelNames : anyLabels },
      registers: [registry],
      collect() {
        this.reset()
        for (const { labels, value } of values(hsm.status())) this.set(labels, value)
      },
    })
  }
  const perBackend = (value: (backend: HsmBackendStatus) => number) => (status: HsmStatus) =>
    (status.backends ?? []).map((backend) => ({ labels: { backend: backend.name }, value: value(backend) }))

  gauge('switch_hsm_waiting', 'Calls without an answer', ({ pending }) => [{ labels: {}, value: pending }])
  gauge('switch_hsm_faults_total', 'Calls that failed, by operation and fault', faultsOf)
  gauge(
    'switch_hsm_inflight',
    'Calls that a process sits on',
    perBackend(({ outstanding }) => outstanding),
  )
  gauge(
    'switch_hsm_up',
    'Whether a process serves',
    perBackend(({ state }) => Number(state === 'up')),
  )
  gauge(
    'switch_hsm_breaker_state',
    '0 closed, 1 probing, 2 open',
    perBackend(({ breaker }) => breakers[breaker]),
  )
  gauge(
    'switch_hsm_restarts_total',
    'Processes started after the first',
    perBackend(({ restarts }) => restarts),
  )
  gauge(
    'switch_hsm_differing_keys',
    'References not asked of it',
    perBackend(({ differing }) => differing.length),
  )
  gauge('switch_key_age_seconds', 'Since a key became active', keyAges)
}

interface Value {
  readonly labels: Record<string, string>
  readonly value: number
}

const anyLabels = ['op', 'fault', 'backend', 'destination', 'type', 'direction']
const breakers = { closed: 0, probing: 1, open: 2 } as const

function faultsOf({ operations }: HsmStatus): Value[] {
  return Object.entries(operations ?? {}).flatMap(([op, { faults }]) =>
    Object.entries(faults).map(([fault, value]) => ({ labels: { op, fault }, value })),
  )
}

/** Of the version in use; keys that came without a ceremony have no date. */
function keyAges({ keys }: HsmStatus): Value[] {
  return (keys ?? []).flatMap(({ label, state, ageSeconds }) => {
    const [type, destination, direction] = parseLabel(label)?.ref.split('.') ?? []
    if (ageSeconds === undefined || state !== 'active' || type === undefined) return []
    return [{ labels: { destination: destination!, type, direction: direction! }, value: ageSeconds }]
  })
}

/** In the form in which prom-client has a histogram's values. */
function secondsOf({ operations }: HsmStatus): object {
  const name = 'switch_hsm_seconds'
  const values = Object.entries(operations ?? {}).flatMap(([op, { buckets, count, seconds }]) => {
    let below = 0
    const bounds = [...secondsBounds, '+Inf'] as const
    return [
      ...bounds.map((le, index) => ({
        ...{ metricName: `${name}_bucket`, labels: { le, op } },
        value: (below += buckets[index]!),
      })),
      { metricName: `${name}_sum`, labels: { op }, value: seconds },
      { metricName: `${name}_count`, labels: { op }, value: count },
    ]
  })
  const help = 'How long callers waited for the HSM, by operation'
  return { name, help, type: 'histogram', aggregator: 'sum', values }
}
