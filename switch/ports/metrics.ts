import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '../../kernel/clock.ts'
import type { CommitOutcome, Journal, JournalUnit } from '../journal.ts'
import type { Observer } from '../observer.ts'
import type { Transaction } from '../transaction/transaction.ts'

/** The switch's figures, all declared here. Labels are from closed sets: never a card, a STAN or a terminal. */
export interface Metrics {
  readonly observer: Observer
  readonly registry: Registry
  readonly committed: (unit: JournalUnit, outcome: CommitOutcome, tookMs: number) => void
}

export interface Gauges {
  inFlight(): number
  ledgerWaiting(): number
  /** Of each destination. */
  badSeals(): Iterable<readonly [destination: string, count: number]>
}

export function switchMetrics(gauges: Gauges, alarm: (what: string, subject: string) => void): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const transactions = new Counter({
    name: 'switch_txn_total',
    help: 'Transactions answered, by what became of them',
    labelNames: ['source', 'destination', 'kind', 'outcome', 'rc'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'switch_txn_seconds',
    help: 'From the arrival of a request to its answer (total), and what the network took of it (network)',
    labelNames: ['kind', 'part'] as const,
    buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers,
  })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames: [...labelNames], registers })
  const moves = counter('switch_moves_total', 'Durable changes of transactions, by event', ['event'])
  const duplicates = counter('switch_duplicate_total', 'Repeats, by what became of them', ['verdict'])
  const late = counter('switch_late_total', 'Answers after their leg was given up', ['destination', 'kind'])
  const unknown = counter('switch_commit_unknown_total', 'Commits nobody knows the end of', ['event'])
  const reversals = counter('switch_reversal_total', 'Deliveries of what is owed, and what came of them', [
    'destination',
    'cause',
    'state',
  ])
  const macFailures = new Gauge({
    name: 'switch_mac_fail_total',
    help: 'Messages with a wrong seal, or without one, by source or destination',
    labelNames: ['peer'],
    registers,
    collect() {
      for (const [peer, count] of gauges.badSeals()) this.set({ peer }, count)
    },
  })
  const standIns = counter('switch_standin_total', 'Asked in an issuer’s place, by card range', [
    'bin_group',
    'verdict',
  ])
  const commits = new Histogram({
    name: 'switch_journal_commit_seconds',
    help: 'How long a commit to journal and books took',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    registers,
  })
  const cutovers = counter('switch_cutover_total', 'Business dates begun', ['destination', 'cause'])
  const refused = counter('switch_refused_total', 'Messages that became no transaction', ['source', 'why'])
  const alarms = counter('switch_alarm_total', 'Things a person should look at now', ['what'])
  new Gauge({
    name: 'switch_requests_inflight',
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
        kind: kindOf(transaction),
        outcome: transaction.state,
        rc: transaction.answer?.responseCode ?? 'none',
      })
      seconds.observe({ kind: kindOf(transaction), part: 'total' }, afterMs / 1_000)
    },
    duplicate: (verdict) => duplicates.inc({ verdict }),
    late: (destination, kind) => late.inc({ destination, kind }),
    commitUnknown: (event) => unknown.inc({ event }),
    reversal: (destination, cause, state) => reversals.inc({ destination, cause, state }),
    cutover: (destination, _date, cause) => cutovers.inc({ destination, cause }),
    refused(source, why) {
      refused.inc({ source, why })
      if (why === 'seal') macFailures.inc({ peer: source })
    },
    alarm(what, subject) {
      alarms.inc({ what })
      alarm(what, subject)
    },
  }
  const committed: Metrics['committed'] = (unit, outcome, tookMs) => {
    commits.observe(tookMs / 1_000)
    const { detail } = unit.event
    const legMs = detail['legMs']
    if (typeof legMs === 'number' && outcome.kind === 'committed')
      seconds.observe({ kind: kindOf(unit.transaction), part: 'network' }, legMs / 1_000)
    if (unit.exposure?.kind !== 'new') return
    const verdict = outcome.kind === 'refused' ? outcome.reason : outcome.kind
    standIns.inc({ bin_group: unit.exposure.rule, verdict: verdict === 'committed' ? 'approved' : verdict })
  }
  return { observer, registry, committed }
}

/** The journal, each of whose commits is told of. */
export function watchedJournal(journal: Journal, clock: Clock, { committed }: Metrics): Journal {
  return Object.create(journal, {
    commit: {
      value: async (unit: JournalUnit): Promise<CommitOutcome> => {
        const startedMs = clock.monotonicMs()
        const outcome = await journal.commit(unit)
        committed(unit, outcome, clock.monotonicMs() - startedMs)
        return outcome
      },
    },
  }) as Journal
}

function kindOf(transaction: Transaction): string {
  return transaction.request?.kind ?? 'unknown'
}
