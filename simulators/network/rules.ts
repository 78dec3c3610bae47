import { type Random, seededRandom } from '../../kernel/random.ts'
import { Place } from '../documents.ts'
import type { Deed } from './deed.ts'

/** Which requests a rule is about. Everything that is said must hold. */
export interface Condition {
  /** Types; `*` stands for any digit. */
  readonly mti?: readonly RegExp[]
  /** The first digits of DE3. */
  readonly processingCode?: readonly string[]
  /** Minor units, both ends included. */
  readonly amount?: { readonly from: bigint; readonly to: bigint }
  /** The last digits of the amount. */
  readonly amountEndsWith?: readonly string[]
  /** The first digits of the card number, both ends included. */
  readonly pan?: { readonly from: string; readonly to: string }
  /** The n-th of those for which all of the above holds, counted from 1; or each n-th. */
  readonly nth?: number
  readonly every?: number
  /** So many of them, the first ones: refused so often, then accepted. */
  readonly first?: number
  readonly probability?: number
  /** Since the rules were loaded. */
  readonly window?: { readonly fromMs: number; readonly toMs: number }
}

export interface Rule {
  readonly name: string
  readonly when: Condition
  readonly deed: Deed
}

/** What a rule looks at. */
export interface RequestFacts {
  readonly mti: string
  readonly processingCode: string | undefined
  readonly amountMinor: bigint | undefined
  readonly pan: string | undefined
}

/** The rules that hold, in their order: the first that fits a request decides. The same from the same seed. */
export class Rules {
  readonly #rules: readonly { rule: Rule; seen: number; applied: number }[]
  readonly #random: Random
  readonly #loadedMs: number
  readonly #nowMs: () => number

  constructor(rules: readonly Rule[], seed: number, nowMs: () => number = () => performance.now()) {
    this.#rules = rules.map((rule) => ({ rule, seen: 0, applied: 0 }))
    this.#random = seededRandom(seed)
    this.#nowMs = nowMs
    this.#loadedMs = nowMs()
  }

  deedFor(facts: RequestFacts): Deed | undefined {
    for (const each of this.#rules) {
      const { when, deed } = each.rule
      if (!fits(when, facts)) continue
      const sinceMs = this.#nowMs() - this.#loadedMs
      if (when.window !== undefined && (sinceMs < when.window.fromMs || sinceMs > when.window.toMs)) continue
      each.seen++
      if (when.nth !== undefined && each.seen !== when.nth) continue
      if (when.first !== undefined && each.seen > when.first) continue
      if (when.every !== undefined && each.seen % when.every !== 0) continue
      if (when.probability !== undefined && this.#random.fraction() >= when.probability) continue
      each.applied++
      return deed.delay === undefined ? deed : { ...deed, delayMs: this.#drawn(deed.delay) }
    }
    return undefined
  }

  /** Log-normal, which is how networks are late. Two uniform numbers make a normal one (Box and Muller). */
  #drawn({ p50Ms, p99Ms }: NonNullable<Deed['delay']>): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random.fraction()))
    const normal = radius * Math.cos(2 * Math.PI * this.#random.fraction())
    return Math.round(p50Ms * Math.exp((Math.log(p99Ms / p50Ms) / normal99) * normal))
  }

  /** Names, and how often each was seen to fit and was applied. */
  list(): { name: string; seen: number; applied: number }[] {
    return this.#rules.map(({ rule: { name }, seen, applied }) => ({ name, seen, applied }))
  }
}

/** 99 % of a normal distribution are below this. */
const normal99 = 2.326

function fits(when: Condition, { mti, processingCode, amountMinor, pan }: RequestFacts): boolean {
  const { amount, amountEndsWith } = when
  if (when.mti !== undefined && !when.mti.some((form) => form.test(mti))) return false
  if (when.processingCode?.some((start) => processingCode?.startsWith(start) === true) === false) return false
  if (
    amount !== undefined &&
    !(amountMinor !== undefined && amountMinor >= amount.from && amountMinor <= amount.to)
  )
    return false
  if (amountEndsWith?.some((end) => endsWith(amountMinor, end)) === false) return false
  return when.pan === undefined || (pan !== undefined && inRange(pan, when.pan))
}

function endsWith(amountMinor: bigint | undefined, end: string): boolean {
  return amountMinor?.toString().padStart(12, '0').endsWith(end) === true
}

function inRange(pan: string, { from, to }: { from: string; to: string }): boolean {
  return pan.slice(0, from.length) >= from && pan.slice(0, to.length) <= to
}

const digits = /^[0-9]+$/
const mtiForm = /^[0-9*]{4}$/
const timeMs = { min: 0, max: 86_400_000 }
const count = { min: 1, max: 1_000_000 }

/** Rules as a file says them: `rules:` and a list. Throws a `SimulatorError` with file, line and reason. */
export function readRules(text: string, file: string): Rule[] {
  const whole = Place.read(text, file)
  const { rules } = whole.fields(['rules'])
  if (rules === undefined) return whole.refuse('rules are needed')
  return rules.items().map((place) => {
    const { name, when, then } = place.fields(['name', 'when', 'then'])
    if (then === undefined) return place.refuse('a rule needs a then')
    return {
      name: name?.text() ?? `line ${place.line}`,
      when: when === undefined ? {} : readCondition(when),
      deed: readDeed(then),
    }
  })
}

function readCondition(place: Place): Condition {
  const said = place.fields([
    ...(['mti', 'processingCode', 'amount', 'amountEndsWith', 'pan'] as const),
    ...(['nth', 'every', 'first', 'probability', 'window'] as const),
  ])
  const range = (from: Place, form: RegExp, wanted: string): { from: string; to: string } => {
    const ends = from.fields(['from', 'to'])
    if (ends.from === undefined || ends.to === undefined) return from.refuse('from and to are needed')
    return { from: ends.from.text(form, wanted), to: ends.to.text(form, wanted) }
  }
  const amount = said.amount && range(said.amount, digits, 'minor units in digits')
  const window = said.window?.fields(['fromMs', 'toMs'])
  return defined<Condition>({
    mti: said.mti?.oneOrMore().map((each) => mtiPattern(each.text(mtiForm, 'four digits or *'))),
    processingCode: said.processingCode
      ?.oneOrMore()
      .map((each) => each.text(/^[0-9]{1,6}$/, 'one to six digits')),
    amount: amount && { from: BigInt(amount.from), to: BigInt(amount.to) },
    amountEndsWith: said.amountEndsWith?.oneOrMore().map((each) => each.text(digits, 'digits')),
    pan: said.pan && range(said.pan, /^[0-9]{1,19}$/, 'the first digits of a card number'),
    nth: said.nth?.number(count),
    every: said.every?.number(count),
    first: said.first?.number(count),
    probability: said.probability?.number({ min: 0, max: 1 }),
    window: window && {
      fromMs: window.fromMs?.number(timeMs) ?? 0,
      toMs: window.toMs?.number(timeMs) ?? timeMs.max,
    },
  })
}

function mtiPattern(form: string): RegExp {
  return new RegExp(`^${form.replaceAll('*', '[0-9]')}$`)
}

function readDeed(place: Place): Deed {
  const said = place.fields([
    ...(['request', 'refuse', 'delayMs', 'copies', 'then', 'disconnect', 'seal'] as const),
    ...(['mti', 'set', 'remove', 'addMinor', 'delay', 'session', 'overwrite', 'cutTo', 'charge'] as const),
  ])
  said.request?.oneOf(['lost'])
  said.session?.oneOf(['other'])
  const element = (each: Place, name: string): number => {
    const de = Number(name)
    return Number.isInteger(de) && de >= 2 && de <= 128 ? de : each.refuse('elements 2 to 128')
  }
  return defined<Deed>({
    lost: said.request === undefined ? undefined : true,
    refuse: said.refuse?.text(/^[0-9A-Z]{2}$/, 'a response code of two characters'),
    delayMs: said.delayMs?.number({ min: 0, max: 600_000 }),
    delay: said.delay && readDelay(said.delay),
    otherSession: said.session === undefined ? undefined : true,
    overwrite: said.overwrite && readOverwrite(said.overwrite),
    cutTo: said.cutTo?.number({ min: 1, max: 8_192 }),
    copies: said.copies?.number({ min: 0, max: 20 }),
    then: said.then?.text(/^[0-9A-Z]{2}$/, 'a response code of two characters'),
    disconnect: said.disconnect?.oneOf(['before', 'after']),
    seal: said.seal?.oneOf(['wrong', 'none']),
    mti: said.mti?.text(/^[0-9]{4}$/, 'four digits'),
    set:
      said.set &&
      Object.fromEntries(said.set.entries().map(([name, each]) => [element(each, name), each.text()])),
    remove: said.remove?.oneOrMore().map((each) => element(each, each.text())),
    charge: said.charge && readCharge(said.charge),
    addMinor: said.addMinor && BigInt(said.addMinor.text(digits, 'minor units in digits')),
  })
}

function readCharge(place: Place): NonNullable<Deed['charge']> {
  const { minor, sign } = place.fields(['minor', 'sign'])
  if (minor === undefined) return place.refuse('minor is needed')
  return {
    sign: sign?.oneOf(['C', 'D']) ?? 'D',
    minor: BigInt(minor.text(/^[0-9]{1,8}$/, 'minor units, eight digits at most')),
  }
}

function readDelay(place: Place): NonNullable<Deed['delay']> {
  const { p50Ms, p99Ms } = place.fields(['p50Ms', 'p99Ms'])
  if (p50Ms === undefined || p99Ms === undefined) return place.refuse('p50Ms and p99Ms are needed')
  const half = p50Ms.number({ min: 1, max: 60_000 })
  return { p50Ms: half, p99Ms: p99Ms.number({ min: half, max: 600_000 }) }
}

function readOverwrite(place: Place): NonNullable<Deed['overwrite']> {
  const { at, hex } = place.fields(['at', 'hex'])
  if (at === undefined || hex === undefined) return place.refuse('at and hex are needed')
  return {
    at: at.number({ min: 0, max: 8_191 }),
    hex: hex.text(/^([0-9A-Fa-f]{2})+$/, 'bytes in hexadecimal'),
  }
}

/** Without what was not said. */
function defined<Whole extends object>(parts: { [Name in keyof Whole]: Whole[Name] | undefined }): Whole {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as Whole
}
