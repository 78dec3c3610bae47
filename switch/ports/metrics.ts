import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observer } from '../observer.ts'

/** The switch's figures, all declared here. Labels are from closed sets: never a card, a STAN or a terminal. */
export interface Metrics {
  readonly observer: Observer
  readonly registry: Registry
}

export interface Gauges {
  inFlight(): number
  ledgerWaiting(): number
}

export function switchMetrics(gauges: Gauges, alarm: (what: string, subject: string) => void): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const transactions = new Counter({
    name: 'switch_txn_total',
    help: 'Transactions answered, by what became of them',
    labelNames: ['source', 'destination', 'outcome', 'rc'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'switch_txn_seconds',
    help: 'From the arrival of a request to its answer',
    labelNames: ['outcome'] as const,
    buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers,
  })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames: [...labelNames], registers })
  const moves = counter('switch_moves_total', 'Durable changes of transactions, by event', ['event'])
  const duplicates = counter('switch_duplicate_total', 'Repeats, by what became of them', ['verdict'])
  const late = counter('switch_late_total', 'Answers after their leg was given up', [
    'destination',
    'verdict',
  ])
  const unknown = counter('switch_commit_unknown_total', 'Commits nobody knows the end of', ['event'])
  const reversals = counter('switch_reversal_total', 'Deliveries of reversals', ['destination', 'verdict'])
  const cutovers = counter('switch_cutover_total', 'Business dates begun', ['destination', 'cause'])
  const refused = counter('switch_refused_total', 'Messages that became no transaction', ['source', 'why'])
  const alarms = counter('switch_alarm_total', 'Things a person should look at now', ['what'])
  new Gauge({
    name: 'switch_legs_inflight',
    help: 'Requests being served',
    registers,
    collect() {
      this.set(gauges.inFlight())
    },
  })
  new Gauge({
    name: 'switch_ledger_waiting',
    help: 'Units waiting for the commit writer',
    registers,
    collect() {
      this.set(gauges.ledgerWaiting())
    },
  })

  const observer: Observer = {
    moved: (_transaction, event) => moves.inc({ event: event.kind }),
    answered(transaction, afterMs) {
      transactions.inc({
        source: transaction.source,
        destination: transaction.leg?.destination ?? 'none',
        outcome: transaction.state,
        rc: transaction.answer?.responseCode ?? 'none',
      })
      seconds.observe({ outcome: transaction.state }, afterMs / 1_000)
    },
    duplicate: (verdict) => duplicates.inc({ verdict }),
    late: (destination, verdict) => late.inc({ destination, verdict }),
    commitUnknown: (event) => unknown.inc({ event }),
    reversal: (destination, verdict) => reversals.inc({ destination, verdict }),
    cutover: (destination, _date, cause) => cutovers.inc({ destination, cause }),
    refused: (source, why) => refused.inc({ source, why }),
    alarm(what, subject) {
      alarms.inc({ what })
      alarm(what, subject)
    },
  }
  return { observer, registry }
}
