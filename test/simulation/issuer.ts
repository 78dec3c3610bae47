import type { LegAnswer, LegIdentity, OutboundLeg } from '../../connectors/connector.ts'
import { dateAfter } from '../../switch/business-date.ts'
import type { Random } from '../../kernel/random.ts'
import type { FaultRates } from './faults/faults.ts'
import type { SimulatedKind } from './kinds/kind.ts'
import { kindOfRequest } from './kinds/kinds.ts'
import type { World } from './world.ts'

const approvals = ['00', '10', '85']

interface Held {
  readonly rrn: string
  readonly kind: SimulatedKind
  readonly amountMinor: bigint
  /** What partial reversals have left of it. */
  leftMinor: bigint
  readonly responseCode: string
  /** Its business date when it decided. */
  readonly date: string
  reversed: boolean
  /** The issuer will not have it reversed, ever. */
  readonly stubborn: boolean
  completed: boolean
}

/**
 * The issuers behind one network: they keep their own book, answer repeats from it, and know nothing of the switch but
 * what they were sent.
 */
export class SimulatedIssuer {
  readonly #world: World
  readonly #random: Random
  readonly #rates: () => FaultRates
  readonly #originals = new Map<string, Held>()
  readonly #overtaken = new Set<string>()
  readonly #completions = new Set<string>()
  /** What was taken under two different completions. */
  readonly completedTwice: string[] = []
  /** How many different originals were sent for one request of a terminal. */
  readonly originalsOf = new Map<string, number>()
  /** References of reversals that it will never take. */
  readonly poisoned = new Set<string>()
  /** References of reversals that it would not have. */
  readonly refusedReversals = new Set<string>()
  /** Told of an approval while it still held one of its own for the same request. */
  readonly advisedTwice: string[] = []
  readonly #judged = new Set<string>()
  /** Questions for a balance that somebody saw fit to reverse. */
  readonly reversedInquiries: string[] = []

  readonly #today: () => string

  constructor(world: World, random: Random, rates: () => FaultRates, today: () => string) {
    this.#today = today
    this.#world = world
    this.#random = random
    this.#rates = rates
  }

  /** What has been taken for a request: below zero where something was given. */
  net(rrn: string): bigint {
    let sum = 0n
    for (const held of this.#originals.values()) {
      if (held.rrn === rrn && approvals.includes(held.responseCode) && !held.reversed)
        sum += held.kind.taken * held.leftMinor
    }
    return sum
  }

  /** On which date it accounts for a leg, where it has seen it. */
  dateOf({ stan, transmittedAt }: LegIdentity): string | undefined {
    return this.#originals.get(`${transmittedAt}|${stan}`)?.date
  }

  /** `tellsDate`: the answer carries DE15. */
  decide(leg: OutboundLeg, tellsDate: boolean): LegAnswer {
    if (/^0[12]2[01]$/.test(leg.mti)) {
      return leg.fields[90] === undefined ? this.#advise(leg) : this.#complete(leg)
    }
    return /^0[12]00$/.test(leg.mti) ? this.#authorize(leg, tellsDate) : this.#reverse(leg)
  }

  /** What was approved in its place is taken as it is told. */
  #advise(leg: OutboundLeg): LegAnswer {
    const key = `${leg.identity.transmittedAt}|${leg.identity.stan}`
    const rrn = leg.fields[37] as string
    const amountMinor = leg.fields[4] as bigint
    if (!this.#originals.has(key)) {
      for (const held of this.#originals.values()) {
        if (held.rrn === rrn && approvals.includes(held.responseCode) && !held.reversed)
          this.advisedTwice.push(rrn)
      }
      const kind = kindOfRequest({
        mti: '0200',
        processingCode: leg.fields[3] as string,
        conditionCode: leg.fields[25] as string,
        amountMinor,
      })
      const held = { rrn, kind, amountMinor, leftMinor: amountMinor, responseCode: '00', reversed: false }
      this.#originals.set(key, { ...held, stubborn: false, completed: false, date: this.#today() })
      this.#world.note(`issuer is told of ${rrn}`)
    }
    return { mti: '0230', responseCode: '00', amountMinor, described: '0230' }
  }

  #authorize(leg: OutboundLeg, tellsDate: boolean): LegAnswer {
    const key = `${leg.identity.transmittedAt}|${leg.identity.stan}`
    const rrn = leg.fields[37] as string
    let held = this.#originals.get(key)
    if (held === undefined) {
      const rates = this.#rates()
      const requested = leg.fields[4] as bigint
      const declined = this.#overtaken.has(key) || this.#random.fraction() < rates.decline
      const kind = kindOfRequest({
        mti: leg.mti,
        processingCode: leg.fields[3] as string,
        conditionCode: leg.fields[25] as string,
        amountMinor: requested,
      })
      const isPart = requested > 0n && this.#random.fraction() < rates.partialApproval
      const grantedMinor = isPart ? requested - 100n : requested
      const amountMinor = this.#random.fraction() < rates.wrongAmount ? requested + 1n : grantedMinor
      held = {
        rrn,
        kind,
        amountMinor,
        leftMinor: amountMinor,
        responseCode: declined ? '51' : isPart ? '10' : (kind.responseCode ?? '00'),
        date: this.#random.fraction() < rates.oldDate ? dateAfter(this.#today(), -1) : this.#today(),
        reversed: false,
        stubborn: this.#random.fraction() < rates.reversalRefused,
        completed: false,
      }
      this.#originals.set(key, held)
      this.originalsOf.set(rrn, (this.originalsOf.get(rrn) ?? 0) + 1)
      this.#world.note(`issuer says ${held.responseCode} to ${rrn}`)
    }
    const additionalAmounts = held.kind.additionalAmounts?.(rrn)
    return {
      mti: `${leg.mti.slice(0, 2)}10`,
      responseCode: held.responseCode,
      ...(approvals.includes(held.responseCode) ? { authId: 'A12345' } : {}),
      amountMinor: held.amountMinor,
      ...(tellsDate ? { settlementDate: held.date.slice(5, 7) + held.date.slice(8) } : {}),
      ...(additionalAmounts === undefined ? {} : { additionalAmounts }),
      described: '0210',
    }
  }

  /** What was set aside is taken: so much of it, once. */
  #complete(leg: OutboundLeg): LegAnswer {
    const original = leg.fields[90] as { stan: string; transmittedAt: string }
    const held = this.#originals.get(`${original.transmittedAt}|${original.stan}`)
    const key = `${leg.identity.transmittedAt}|${leg.identity.stan}`
    if (held !== undefined && !this.#completions.has(key)) {
      this.#completions.add(key)
      if (held.completed) this.completedTwice.push(held.rrn)
      held.completed = true
      held.leftMinor = leg.fields[4] as bigint
    }
    this.#world.note(`issuer completes ${leg.fields[37] as string} with ${leg.fields[4] as bigint}`)
    return { mti: '0230', responseCode: held === undefined ? '25' : '00', described: '0230' }
  }

  #reverse(leg: OutboundLeg): LegAnswer {
    const original = leg.fields[90] as { stan: string; transmittedAt: string }
    const key = `${original.transmittedAt}|${original.stan}`
    const rrn = leg.fields[37] as string
    if (!this.#judged.has(rrn) && this.#random.fraction() < this.#rates().poison) this.poisoned.add(rrn)
    this.#judged.add(rrn)
    if (this.poisoned.has(rrn)) {
      this.#world.note(`issuer chokes on the reversal of ${rrn}`)
      return { mti: '0430', responseCode: '96', described: '0430' }
    }
    const held = this.#originals.get(key)
    if (held?.stubborn === true) this.refusedReversals.add(rrn)
    if (held?.stubborn === true) return { mti: '0430', responseCode: '12', described: '0430' }
    if (held === undefined) this.#overtaken.add(key)
    else {
      const part = leg.fields[95] as { readonly transaction: bigint } | undefined
      if (part === undefined) held.reversed = true
      // A part of what was set aside is nothing to what was taken since.
      else if (held.completed) return { mti: '0430', responseCode: '21', described: '0430' }
      else if (part.transaction < held.leftMinor) held.leftMinor = part.transaction
      if (held.kind.taken === 0n) this.reversedInquiries.push(held.rrn)
    }
    this.#world.note(`issuer reverses ${rrn}`)
    return { mti: '0430', responseCode: held === undefined ? '25' : '00', described: '0430' }
  }
}
