import type {
  Connector,
  DestinationRules,
  LegAnswer,
  LegIdentity,
  LegOutcome,
  OutboundLeg,
} from '../../connectors/connector.ts'
import type { Random } from '../../kernel/random.ts'
import type { FaultRates } from './faults/faults.ts'
import { SimulatedIssuer } from './issuer.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

const rules: DestinationRules = {
  reversalMti: '0420',
  timeoutMs: 4_000,
  remainingMinMs: 500,
  acquirerId: '12345678901',
  approvals: ['00'],
  partialApprovals: ['10'],
  reversalAnswers: { acknowledged: ['00', '21', '25', '94'], retry: ['19', '90', '91', '96'] },
  retryAfterMs: [2_000, 5_000, 10_000],
}

/** A card network: the way to its issuers and back, on which messages are lost, late, doubled and out of order. */
export class SimulatedNetwork {
  readonly name: string
  readonly issuer: SimulatedIssuer
  readonly #world: World
  readonly #random: Random
  readonly #rates: () => FaultRates

  constructor(name: string, world: World, rates: () => FaultRates) {
    this.name = name
    this.#world = world
    this.#random = world.random(`network ${name}`)
    this.#rates = rates
    this.issuer = new SimulatedIssuer(world, world.random(`issuer ${name}`), rates)
  }

  /** The connector of one life of a node. */
  connect(life: Life, nextStan: () => string): Connector {
    const { name } = this
    let onLate: (identity: LegIdentity, answer: LegAnswer) => void = () => undefined
    return {
      name,
      rules,
      availability: () => (this.#chance(this.#rates().networkAway) ? 'offline' : 'available'),
      identify: () => ({ stan: nextStan(), transmittedAt: transmittedAt(life.wallMs()) }),
      prepare: (leg) => Promise.resolve({ leg, message: Buffer.alloc(0) }),
      send: ({ leg }, deadline) => this.#send(leg, deadline, life, (answer) => onLate(leg.identity, answer)),
      onLate: (listener) => (onLate = listener),
      onAvailable: () => undefined,
      onNetworkRequest: () => undefined,
      askNetwork: () => Promise.resolve(undefined),
      status: () => ({ name, dialect: 'simulated', session: 'ONLINE', breaker: 'closed', inFlight: 0 }),
      drain: () => Promise.resolve(),
    }
  }

  #send(
    leg: OutboundLeg,
    deadline: number,
    life: Life,
    late: (answer: LegAnswer) => void,
  ): Promise<LegOutcome> {
    const rates = this.#rates()
    return new Promise((resolve) => {
      let over = false
      const end = (outcome: LegOutcome): void => {
        if (over) return
        over = true
        resolve(outcome)
      }
      const answered = (answer: LegAnswer): void => {
        if (over) late(answer)
        else end({ kind: 'answered', answer, sent: leg.mti })
      }
      const arrive = (): void => {
        const answer = this.issuer.decide(leg)
        this.#carry(rates, () => life.enter(() => answered(answer)))
      }
      const lost = this.#chance(rates.linkLost)
      this.#carry(rates, arrive)
      if (lost)
        life.after(this.#random.below(100), () =>
          end({ kind: 'maybeSent', reason: 'linkLost', sent: leg.mti }),
        )
      life.after(deadline - life.monotonicMs(), () =>
        end({ kind: 'maybeSent', reason: 'deadline', sent: leg.mti }),
      )
    })
  }

  /** One way for one message: it arrives once, or twice, or never, soon or late. */
  #carry(rates: FaultRates, arrive: () => void): void {
    const copies = this.#chance(rates.duplicate) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#chance(rates.drop)) continue
      const takesMs = this.#chance(rates.slow) ? this.#random.below(20_000) : 1 + this.#random.below(40)
      this.#world.after(takesMs, arrive)
    }
  }

  #chance(rate: number): boolean {
    return this.#random.fraction() < rate
  }
}

/** DE7, MMDDhhmmss in UTC. */
function transmittedAt(wallMs: number): string {
  const iso = new Date(wallMs).toISOString()
  return iso.slice(5, 7) + iso.slice(8, 10) + iso.slice(11, 13) + iso.slice(14, 16) + iso.slice(17, 19)
}
