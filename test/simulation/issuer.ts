import type { LegAnswer, LegIdentity, OutboundLeg } from '../../connectors/connector.ts'
import { dateAfter } from '../../switch/business-date.ts'
import type { Random } from '../../kernel/random.ts'
import type { FaultRates } from './faults/faults.ts'
import type { SimulatedKind } from './kinds/kind.ts'
import { kindOfRequest } from './kinds/kinds.ts'
import { preauthorization } from './kinds/preauthorization.ts'
import { transfer } from './kinds/transfer.ts'
import type { IssuerItem } from './totals.ts'
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
  /** What completions have taken; what is set aside is `leftMinor` besides, until the last. */
  takenMinor: bigint
  completed: boolean
  /** What it raises. */
  readonly raises: Held | undefined
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
  /** Everything that it did, for the totals of its dates. */
  readonly items: IssuerItem[] = []
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
        sum += held.kind.taken * (held.leftMinor + held.takenMinor)
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
        // A completion of a pre-authorization that nobody knows says that it was one; it takes as a purchase does.
        conditionCode: leg.fields[25] === preauthorization.conditionCode ? '00' : (leg.fields[25] as string),
        amountMinor,
      })
      const held = { rrn, kind, amountMinor, leftMinor: amountMinor, responseCode: '00', reversed: false }
      const untouched = { takenMinor: 0n, completed: false, raises: undefined }
      const date = this.#today()
      this.#originals.set(key, { ...held, ...untouched, stubborn: false, date })
      this.#count(rrn, totalOf(kind), amountMinor, date)
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
      const raises = this.#raisedBy(leg)
      // What was undone or taken meanwhile can't be raised.
      const isVain = raises !== undefined && (raises === 'nothing' || raises.reversed || raises.completed)
      const declined = isVain || this.#overtaken.has(key) || this.#random.fraction() < rates.decline
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
        takenMinor: 0n,
        completed: false,
        raises: raises === 'nothing' ? undefined : raises,
      }
      this.#originals.set(key, held)
      if (!declined) this.#count(rrn, totalOf(kind), amountMinor, held.date)
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
      const [number, last] = [leg.fields[71], leg.fields[72]]
      this.#take(held, leg.fields[4] as bigint, number !== last)
    }
    this.#world.note(`issuer completes ${leg.fields[37] as string} with ${leg.fields[4] as bigint}`)
    return { mti: '0230', responseCode: held === undefined ? '25' : '00', described: '0230' }
  }

  /** What is taken is set aside no more, of the original first; behind the last completion nothing is. */
  #take(held: Held, amountMinor: bigint, othersFollow: boolean): void {
    held.takenMinor += amountMinor
    this.#count(held.rrn, 'debit', amountMinor, this.#today())
    let rest = amountMinor
    for (const one of [held, ...this.#raisesOf(held)]) {
      const part = rest < one.leftMinor ? rest : one.leftMinor
      one.leftMinor -= part
      rest -= part
    }
    const isAll = [held, ...this.#raisesOf(held)].every(({ leftMinor }) => leftMinor === 0n)
    held.completed = !othersFollow || isAll
    if (!held.completed) return
    for (const one of [held, ...this.#raisesOf(held)]) {
      one.leftMinor = 0n
      one.completed = true
    }
  }

  #raisesOf(held: Held): Held[] {
    return [...this.#originals.values()].filter(
      ({ raises, responseCode, reversed }) =>
        raises === held && approvals.includes(responseCode) && !reversed,
    )
  }

  #raisedBy({ fields, mti }: OutboundLeg): Held | 'nothing' | undefined {
    const original = fields[90] as { stan: string; transmittedAt: string } | undefined
    if (original === undefined || mti !== '0100') return undefined
    return this.#originals.get(`${original.transmittedAt}|${original.stan}`) ?? 'nothing'
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
      // What a completion took of a raise is undone with what it raises.
      if (held.raises !== undefined && held.completed)
        return { mti: '0430', responseCode: '21', described: '0430' }
      if (part === undefined) {
        // With an authorization all that raised it goes.
        if (!held.reversed) this.#uncount(held, moneyOf(held))
        for (const one of [held, ...this.#raisesOf(held)]) one.reversed = true
      }
      // A part of what was set aside is nothing to what was taken since.
      else if (held.completed || held.takenMinor > 0n)
        return { mti: '0430', responseCode: '21', described: '0430' }
      else if (part.transaction < held.leftMinor) {
        const before = moneyOf(held)
        held.leftMinor = part.transaction
        this.#uncount(held, before - moneyOf(held))
      }
      if (held.kind.taken === 0n) this.reversedInquiries.push(held.rrn)
    }
    this.#world.note(`issuer reverses ${rrn}`)
    return { mti: '0430', responseCode: held === undefined ? '25' : '00', described: '0430' }
  }
  #uncount(held: Held, minor: bigint): void {
    if (approvals.includes(held.responseCode))
      this.#count(held.rrn, totalOf(held.kind) ?? 'debit', -minor, this.#today())
  }

  #count(rrn: string, total: IssuerItem['total'] | undefined, minor: bigint, date: string): void {
    if (total !== undefined && minor !== 0n)
      this.items.push({ rrn, total, minor, date, atMs: this.#world.monotonicMs() })
  }
}

/** What it counts to when it is approved; what is only set aside counts when it is taken. */
function totalOf(kind: SimulatedKind): IssuerItem['total'] | undefined {
  if (kind.taken === 0n || kind.mti === '0100') return undefined
  if (kind === transfer) return 'transfer'
  return kind.taken === 1n ? 'debit' : 'credit'
}

/** What of it is money, and not only set aside. */
function moneyOf({ kind, leftMinor, takenMinor }: Held): bigint {
  return totalOf(kind) === undefined ? takenMinor : leftMinor + takenMinor
}
