import type {
  Connector,
  DestinationRules,
  LegAnswer,
  LegIdentity,
  LegOutcome,
  OutboundLeg,
} from '../../connectors/connector.ts'
import { type Kind, kindOf } from '../../switch/transaction/kinds.ts'
import type { Random } from '../../kernel/random.ts'
import type { FaultRates } from './faults.ts'
import type { World } from './world.ts'

const rules: DestinationRules = {
  reversalMti: '0420',
  timeoutMs: 4_000,
  remainingMinMs: 500,
  acquirerId: '12345678901',
  approvals: ['00'],
  reversalAnswers: { acknowledged: ['00', '21', '25', '94'], retry: ['19', '90', '91', '96'] },
  retryAfterMs: [2_000, 5_000, 10_000],
}

interface Held {
  readonly rrn: string
  readonly kind: Kind
  readonly amountMinor: bigint
  /** What partial reversals have left of it. */
  leftMinor: bigint
  readonly responseCode: string
  reversed: boolean
}

/**
 * The issuer behind the network: it keeps its own book, answers repeats from it, and knows nothing of the switch but
 * what it was sent.
 */
export class SimulatedNetwork {
  readonly #world: World
  readonly #random: Random
  readonly #faults: () => FaultRates
  readonly #originals = new Map<string, Held>()
  readonly #overtaken = new Set<string>()
  /** How many different originals were sent for one request of a terminal. */
  readonly originalsOf = new Map<string, number>()
  /** Questions for a balance that somebody saw fit to reverse. */
  readonly reversedInquiries: string[] = []

  constructor(world: World, faults: () => FaultRates) {
    this.#world = world
    this.#random = world.random('network')
    this.#faults = faults
  }

  /** What the issuer has taken for a request: below zero where it gave. */
  net(rrn: string): bigint {
    let sum = 0n
    for (const held of this.#originals.values()) {
      if (held.rrn === rrn && held.responseCode === '00' && !held.reversed)
        sum += takenBy[held.kind] * held.leftMinor
    }
    return sum
  }

  connect(name: string, alive: () => boolean, nextStan: () => string): Connector {
    let onLate: (identity: LegIdentity, answer: LegAnswer) => void = () => undefined
    return {
      name,
      rules,
      availability: () => (this.#random.fraction() < this.#faults().networkAway ? 'offline' : 'available'),
      identify: () => ({ stan: nextStan(), transmittedAt: transmittedAt(this.#world) }),
      prepare: (leg) => Promise.resolve({ leg, message: Buffer.alloc(0) }),
      send: ({ leg }, deadline) => this.#send(leg, deadline, alive, (answer) => onLate(leg.identity, answer)),
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
    alive: () => boolean,
    late: (answer: LegAnswer) => void,
  ): Promise<LegOutcome> {
    const faults = this.#faults()
    const chance = (rate: number): boolean => this.#random.fraction() < rate
    return new Promise((resolve) => {
      let over = false
      const end = (outcome: LegOutcome): void => {
        if (over || !alive()) return
        over = true
        resolve(outcome)
      }
      const travels = (): number =>
        chance(faults.slow) ? this.#random.below(20_000) : 1 + this.#random.below(40)
      const answered = (answer: LegAnswer): void => {
        if (!alive()) return
        if (over) late(answer)
        else end({ kind: 'answered', answer, sent: leg.mti })
      }
      const arrive = (): void => {
        const answer = this.#decide(leg)
        const copies = chance(faults.duplicate) ? 2 : 1
        for (let copy = 0; copy < copies; copy++) {
          if (!chance(faults.drop)) this.#world.after(travels(), () => answered(answer))
        }
      }
      const lost = chance(faults.linkLost)
      const copies = chance(faults.duplicate) ? 2 : 1
      for (let copy = 0; copy < copies; copy++) {
        if (!chance(faults.drop)) this.#world.after(travels(), arrive)
      }
      if (lost)
        this.#world.after(this.#random.below(100), () =>
          end({ kind: 'maybeSent', reason: 'linkLost', sent: leg.mti }),
        )
      this.#world.after(deadline - this.#world.monotonicMs(), () =>
        end({ kind: 'maybeSent', reason: 'deadline', sent: leg.mti }),
      )
    })
  }

  #decide(leg: OutboundLeg): LegAnswer {
    return leg.mti.startsWith('02') ? this.#purchase(leg) : this.#reverse(leg)
  }

  #purchase(leg: OutboundLeg): LegAnswer {
    const key = `${leg.identity.transmittedAt}|${leg.identity.stan}`
    const rrn = leg.fields[37] as string
    const known = this.#originals.get(key)
    if (known === undefined) {
      const faults = this.#faults()
      const requested = leg.fields[4] as bigint
      const overtaken = this.#overtaken.has(key)
      const declined = overtaken || this.#random.fraction() < faults.decline
      const amountMinor = this.#random.fraction() < faults.wrongAmount ? requested + 1n : requested
      const kind = kindOf(leg.fields[3] as string)!
      const held = {
        rrn,
        kind,
        amountMinor,
        leftMinor: amountMinor,
        responseCode: declined ? '51' : '00',
        reversed: false,
      }
      this.#originals.set(key, held)
      this.originalsOf.set(rrn, (this.originalsOf.get(rrn) ?? 0) + 1)
      this.#world.note(`network ${held.responseCode} for ${rrn}`)
    }
    const held = this.#originals.get(key)!
    return {
      mti: '0210',
      responseCode: held.responseCode,
      ...(held.responseCode === '00' ? { authId: 'A12345' } : {}),
      amountMinor: held.amountMinor,
      ...(held.kind === 'balance' ? { additionalAmounts: balanceOf(rrn) } : {}),
      described: '0210',
    }
  }

  #reverse(leg: OutboundLeg): LegAnswer {
    const original = leg.fields[90] as { stan: string; transmittedAt: string }
    const key = `${original.transmittedAt}|${original.stan}`
    const held = this.#originals.get(key)
    if (held === undefined) this.#overtaken.add(key)
    else {
      const part = leg.fields[95] as { readonly transaction: bigint } | undefined
      if (part === undefined) held.reversed = true
      else if (part.transaction < held.leftMinor) held.leftMinor = part.transaction
      if (held.kind === 'balance') this.reversedInquiries.push(held.rrn)
    }
    this.#world.note(`network reverses ${leg.fields[37] as string}`)
    return { mti: '0430', responseCode: held === undefined ? '25' : '00', described: '0430' }
  }
}

/** What an issuer takes for each unit of an amount. Its own table: the switch's might be wrong. */
const takenBy: Readonly<Record<Kind, bigint>> = { purchase: 1n, withdrawal: 1n, refund: -1n, balance: 0n }

/** DE54 that only this request may hear. */
export function balanceOf(rrn: string): string {
  return `0002414C${rrn}`
}

function transmittedAt(world: World): string {
  const iso = new Date(world.wallMs()).toISOString()
  return iso.slice(5, 7) + iso.slice(8, 10) + iso.slice(11, 13) + iso.slice(14, 16) + iso.slice(17, 19)
}
