import type {
  Connector,
  DestinationRules,
  LegAnswer,
  LegIdentity,
  NetworkRequest,
  NetworkRequestHandler,
  OutboundLeg,
} from '../../connectors/connector.ts'
import { usualReconciliation } from '../../connectors/usual.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { businessDateOf } from '../../switch/business-date.ts'
import type { Edge } from './edges/edge.ts'
import type { FaultRates } from './faults/faults.ts'
import type { SimulatedHsm } from './hsm.ts'
import { SimulatedIssuer } from './issuer.ts'
import type { Life } from './life.ts'
import { transmittedAtOf } from './time.ts'
import type { World } from './world.ts'

const rules: DestinationRules = {
  reversalMti: '0420',
  timeoutMs: 4_000,
  remainingMinMs: 500,
  acquirerId: '12345678901',
  approvals: ['00'],
  partialApprovals: ['10'],
  // Short, so that some are over before anybody completes them.
  holds: { authorizationMs: 600_000, preauthorizationMs: 40_000, tolerancePercent: { '5812': 10 } },
  reversalAnswers: { acknowledged: ['00', '21', '25', '94'], retry: ['19', '90', '91', '96'] },
  retryAfterMs: [2_000, 5_000, 10_000],
  stored: { lanes: 2, refusalsMax: 8 },
  reconciliation: usualReconciliation,
}

export interface ConnectorOptions {
  readonly life: Life
  /** What that life believes the time to be. */
  readonly clock: Clock
  readonly hsm: SimulatedHsm
  readonly edge: Edge
  /** Names a leg at a DE7. */
  readonly identify: (transmittedAt: string) => LegIdentity
  /** What an answer must have in common with its leg, where it is not everything that names one. */
  readonly matchKey: ((identity: LegIdentity) => string) | undefined
}

/** A card network: the way to its issuers and back, on which messages are lost, late, doubled and out of order. */
export class SimulatedNetwork {
  readonly name: string
  readonly issuer: SimulatedIssuer
  /** Whether its answers carry DE15. */
  readonly tellsDates: boolean
  /** No message gets through before that, ms since the history began. */
  awayUntil = 0
  #date: string
  readonly #cutoverHandlers = new Map<Life, NetworkRequestHandler>()
  readonly #world: World
  readonly #random: Random
  readonly #rates: () => FaultRates
  /** DE66 by date, when it was asked first, and the numbers under which the totals came. */
  readonly totals = new Map<
    string,
    { readonly code: string; readonly askedAtMs: number; readonly stans: Set<string> }
  >()
  readonly #dates: { readonly date: string; readonly fromMs: number }[]

  constructor(name: string, world: World, rates: () => FaultRates) {
    this.name = name
    this.#world = world
    this.#date = businessDateOf(world.wallMs())
    this.#dates = [{ date: this.#date, fromMs: 0 }]
    this.#random = world.random(`network ${name}`)
    this.#rates = rates
    this.issuer = new SimulatedIssuer(world, world.random(`issuer ${name}`), rates, () => this.#date)
    this.tellsDates = world.random(`dates of ${name}`).fraction() < 0.5
  }

  /** Its own business date. */
  get date(): string {
    return this.#date
  }

  /** Its dates at the moments between two. */
  datesBetween(fromMs: number, toMs: number): string[] {
    return this.#dates
      .filter((day, index) => day.fromMs <= toMs && (this.#dates[index + 1]?.fromMs ?? Infinity) >= fromMs)
      .map(({ date }) => date)
  }

  cutover(date: string): void {
    this.#date = date
    this.#dates.push({ date, fromMs: this.#world.monotonicMs() })
    this.#world.note(`${this.name} cuts over to ${date}`)
    this.tellCutover(date)
  }

  /** Says so on some node's session until it is acknowledged; either message may be lost. */
  tellCutover(date: string): void {
    const rates = this.#rates()
    let acknowledged = false
    const ask = (): void => {
      if (acknowledged) return
      this.#world.after(3_000, ask)
      const sessions = [...this.#cutoverHandlers].filter(([life]) => life.alive)
      const session = sessions[this.#random.below(Math.max(1, sessions.length))]
      if (session === undefined || this.#chance(rates.drop)) return
      const [life, handler] = session
      const said = { kind: 'cutover', code: '201', date: date.slice(5, 7) + date.slice(8), described: '0800' }
      // Of the message itself the switch reads nothing.
      life.enter(() => {
        void handler(said as NetworkRequest).then(
          () => (acknowledged ||= !this.#chance(rates.drop)),
          () => undefined,
        )
      })
    }
    ask()
  }

  /** No message gets through for so long. */
  goAway(forMs: number): void {
    this.#world.note(`${this.name} can't be reached for ${forMs} ms`)
    this.awayUntil = this.#world.monotonicMs() + forMs
  }

  /** The connector of one life of a node. */
  connect({ clock, edge, hsm, identify, life, matchKey }: ConnectorOptions): Connector {
    const { name } = this
    const wire = edge.wire({
      ...{ network: name, rules, life, clock, hsm, matchKey },
      random: this.#random,
      rates: this.#rates,
      carry: (arrive) => this.#carry(this.#rates(), arrive),
      decide: (leg) =>
        leg.mti.startsWith('05') ? this.#judgeTotals(leg) : this.issuer.decide(leg, this.tellsDates),
    })
    return {
      name,
      ...wire,
      adopt: () => undefined,
      availability: () => (this.#isAway || this.#chance(this.#rates().networkAway) ? 'offline' : 'available'),
      identify: () => identify(transmittedAtOf(clock.wallMs())),
      onAvailable: () => undefined,
      onNetworkRequest: (kind, handler) => {
        if (kind === 'cutover') this.#cutoverHandlers.set(life, handler)
      },
      askNetwork: () => Promise.resolve(undefined),
      status: () => ({
        ...{ name, dialect: 'simulated', session: 'online', sessions: [], breaker: 'closed', inFlight: 0 },
        anomalies: { orphan: 0, crossMatch: 0, badSeal: 0 },
        credits: { window: 1, borrowed: 0, waiting: 0 },
      }),
      drain: () => Promise.resolve(),
    }
  }

  /** Whether they are those of its own book. What it says of our totals it says again, however often it is asked. */
  #judgeTotals({ fields, identity }: OutboundLeg): LegAnswer {
    const date = fields[15] as string
    const said = this.totals.get(date) ?? {
      code: this.#chance(0.1) ? '3' : this.#agrees(date, fields) ? '1' : '2',
      askedAtMs: this.#world.monotonicMs(),
      stans: new Set<string>(),
    }
    this.totals.set(date, said)
    said.stans.add(identity.stan)
    this.#world.note(`${this.name} says ${said.code} to the totals of ${date}`)
    return { mti: '0510', responseCode: '00', settlementCode: said.code, described: '0510' }
  }

  /** What is left of debits and of credits: who asks can't know whether what it undid had ever been done. */
  #agrees(monthAndDay: string, fields: OutboundLeg['fields']): boolean {
    const left = { debit: 0n, credit: 0n, transfer: 0n }
    for (const { date, minor, total } of this.issuer.items)
      if (date.slice(5, 7) + date.slice(8) === monthAndDay) left[total] += minor
    const told = (de: number): bigint => fields[de] as bigint
    const { amount, sign } = fields[97] as { readonly sign: string; readonly amount: bigint }
    const net = left.credit - left.debit
    return (
      told(86) - told(87) === left.credit &&
      told(88) - told(89) === left.debit &&
      (sign === 'D' ? -amount : amount) === net
    )
  }

  get #isAway(): boolean {
    return this.#world.monotonicMs() < this.awayUntil
  }

  /** One way for one message: it arrives once, or twice, or never, soon or late. */
  #carry(rates: FaultRates, arrive: () => void): void {
    const copies = this.#chance(rates.duplicate) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#chance(rates.drop)) continue
      const takesMs = this.#chance(rates.slow) ? this.#random.below(20_000) : 1 + this.#random.below(40)
      this.#world.after(takesMs, () => {
        if (!this.#isAway) arrive()
      })
    }
  }

  #chance(rate: number): boolean {
    return this.#random.fraction() < rate
  }
}
