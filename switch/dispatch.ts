import assert from 'node:assert'
import type { Connector, DestinationRules, PreparedLeg } from '../connectors/connector.ts'
import { type Hsm, HsmError, type IssuerHsm } from '../hsm/hsm.ts'
import type { Clock } from '../kernel/clock.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { Random } from '../kernel/random.ts'
import type { AccountSpec } from '../ledger/ledger.ts'
import type { CardOnFile } from './admission.ts'
import type { InboundRequest } from './arrivals.ts'
import { type BusinessDays, switchItself } from './business-days.ts'
import { requestLeg } from './outbound.ts'
import { accountsOf, exposureAccountsOf } from './transaction/accounts.ts'
import { isOutOfReach as isOutOfReachCode, type Outcome, readCode, toldOf } from './results.ts'
import type { Routed } from './routing.ts'
import { type DestinationTerms, readingOf } from './rules/rules.ts'
import { SoftHealth } from './soft-health.ts'
import type { StandInRule } from './rules/stand-in-rules.ts'
import { standInFor, standInOf } from './stand-in.ts'
import type { LegEnd, StandIn, Verdict } from './transaction/events.ts'
import type { CardRequest, Leg, StoredCard } from './transaction/transaction.ts'

/** What must be at hand to send a request somewhere. */
export interface DispatchPorts {
  readonly clock: Clock
  readonly random: Random
  readonly hsm: PinMover
  readonly connectors: ReadonlyMap<string, Connector>
  /** The key under which a destination takes PINs. */
  readonly pinKeyOf: (destination: string) => string
  /** A destination comes behind the others of its routes from now on: it answers too little. */
  readonly onDemoted?: (destination: string) => void
  readonly openAccounts: (accounts: readonly AccountSpec[]) => Promise<void>
  readonly days: Pick<BusinessDays, 'today' | 'postingDays' | 'isClosed'>
}

type Routable = Pick<InboundRequest, 'source' | 'rules' | 'request' | 'secrets' | 'to'>

/** Why a request goes nowhere. */
export interface Refusal {
  readonly outcome: Outcome
  readonly cause: string
}

/** Where a request can go now. */
interface Way {
  readonly leg: Leg
  readonly businessDate: string
}

interface Destined {
  readonly verdict: Verdict
  readonly businessDate: string
}

export type PinMover = Pick<Hsm, 'translatePin'> & Pick<IssuerHsm, 'movePin'>

/** A leg that could leave, or why it can't. */
export type Prepared = PreparedLeg | (LegEnd & { readonly kind: 'notSent' })

/** Between the deadline for our answer and the source's own: serialisation, queueing, the wire. */
const marginMs = 500
/** So often a request may be sent elsewhere (G3). */
const reroutesMax = 2

/** Reasons of the destination's; the others are our own faults, for which nobody stands in. */
const isOutOfReach: ReadonlySet<string> = new Set([
  'offline',
  'keySync',
  'breakerOpen',
  'congested',
  'noTime',
  'draining',
])

/** Where a request goes, and its way there: everything about the destination that comes before and after commit 1. */
export class Dispatch {
  readonly #ports: DispatchPorts
  readonly #openAccounts = new Set<string>()
  readonly #health: SoftHealth

  constructor(ports: DispatchPorts) {
    this.#ports = ports
    this.#health = new SoftHealth(ports.clock)
  }

  /**
   * Where the request goes, or why it goes nowhere, and the business date it is routed on (B1). `refusedWith`: what it was
   * told before, when that could not be recorded.
   */
  async verdict(
    inbound: InboundRequest,
    file: CardOnFile,
    refusedWith: Refusal | string | undefined,
  ): Promise<Destined> {
    const refuseWith = (responseCode: string, cause: string): Destined => ({
      businessDate: this.#ports.days.today(switchItself),
      verdict: { kind: 'refuse', responseCode, cause },
    })
    const refuse = (outcome: Outcome, cause: string): Destined =>
      refuseWith(toldOf(inbound.source.told, outcome), cause)
    if (typeof refusedWith === 'string') return refuseWith(refusedWith, 'refused before')
    if (file.untokenised) return refuse('system', 'hsm')
    if (refusedWith !== undefined) return refuse(refusedWith.outcome, refusedWith.cause)
    if (isOverLimit(inbound)) return refuse('amountLimit', 'limit of the source')
    const routed = this.#route(inbound, file.card)
    if (routed.kind === 'invalidCard') return refuse('invalidCard', 'no card has that number')
    if (routed.kind === 'noRoute') return refuse('noSuchIssuer', 'no route')
    const chosen = await this.#firstOf(routed.targets, inbound)
    if ('cause' in chosen) {
      // In an issuer's place we approve only what was to be sent to it: the leg is made, and ends where it begins.
      const isOutOfReachOnly = isOutOfReach.has(chosen.cause) && this.#rule(inbound, file.card) !== undefined
      const way = isOutOfReachOnly ? await this.#wayTo(routed.targets[0]!, inbound) : chosen
      if ('cause' in way) return refuse(way.cause === 'books' ? 'system' : 'unavailable', way.cause)
      return { businessDate: way.businessDate, verdict: { kind: 'forward', leg: way.leg } }
    }
    return { businessDate: chosen.businessDate, verdict: { kind: 'forward', leg: chosen.leg } }
  }

  /**
   * Another way for a request whose leg did not leave (G3): the next target of its route that it has not been to, while
   * there is time. Whether a leg left is never guessed: only `notSent` comes here.
   */
  async another(
    inbound: InboundRequest,
    card: StoredCard,
    tried: readonly string[],
  ): Promise<Way | undefined> {
    if (tried.length > reroutesMax) return undefined
    const routed = this.#route(inbound, card)
    if (routed.kind !== 'targets') return undefined
    const left = routed.targets.filter((name) => !tried.includes(name))
    const chosen = await this.#firstOf(left, inbound)
    return 'cause' in chosen ? undefined : chosen
  }

  #route(
    inbound: Routable,
    card: StoredCard,
  ):
    | Exclude<Routed, { kind: 'targets' }>
    | { readonly kind: 'targets'; readonly targets: readonly string[] } {
    const { source, request, secrets, to } = inbound
    if (to !== undefined) return { kind: 'targets', targets: [to] }
    const { pan } = secrets.reveal()
    return inbound.rules.routes.route({
      ...request,
      pan,
      token: card.token ?? card.mask,
      source: source.name,
    })
  }

  /** The first target that can be had now, with its leg named; else why the last one can't. */
  async #firstOf(
    targets: readonly string[],
    inbound: InboundRequest,
  ): Promise<Way | { readonly cause: string }> {
    let cause = 'no target'
    for (const name of this.#health.inOrder(targets, inbound.rules.softHealth)) {
      const connector = this.#ports.connectors.get(name)
      assert(connector !== undefined)
      const availability = connector.availability()
      const { remainingMinMs } = rulesOf(inbound, connector)
      const hasTime = this.#legTimeMs(inbound, connector) >= remainingMinMs
      cause = availability === 'available' ? 'noTime' : availability
      if (availability !== 'available' || !hasTime) continue
      const way = await this.#wayTo(name, inbound)
      if (!('cause' in way) || way.cause === 'books') return way
      cause = way.cause
    }
    return { cause }
  }

  /** A named leg to a target, whether or not it can be had now. */
  async #wayTo(name: string, inbound: InboundRequest): Promise<Way | { readonly cause: string }> {
    const connector = this.#ports.connectors.get(name)
    assert(connector !== undefined)
    const businessDate = this.#ports.days.today(name)
    const accounts = accountsOf({ ...inbound.request, destination: name, businessDate })
    if (!(await this.ensureOpen(accounts))) return { cause: 'books' }
    const identity = connector.identify()
    if (identity === undefined) return { cause: 'noStan' }
    const id = uuidv7(this.#ports.clock, this.#ports.random)
    const { acquirerId } = connector.rules
    return { businessDate, leg: { id, destination: name, acquirerId, ...identity, state: 'intent' } }
  }

  /**
   * The PIN into the destination's zone, and the message sealed: all of the work that lets nothing out. Never rejects for
   * a fault of the outside.
   */
  async prepare(inbound: InboundRequest, leg: Leg): Promise<Prepared> {
    const connector = this.#connector(leg)
    const secrets = inbound.secrets.reveal()
    let pinBlock: Uint8Array | undefined
    try {
      pinBlock = await this.#movedPin(inbound, connector)
    } catch (error) {
      if (!(error instanceof HsmError)) throw error
      return { kind: 'notSent', reason: error.fault.kind === 'pinBlock' ? 'pinBlock' : 'hsm' }
    }
    return connector.prepare(
      requestLeg({
        request: inbound.request,
        leg,
        secrets,
        pinBlock,
        fees: rulesOf(inbound, connector).fees,
      }),
    )
  }

  /** The leg, to its end. Never rejects for a fault of the outside. */
  async send(inbound: InboundRequest, leg: Leg, prepared: Prepared): Promise<LegEnd> {
    if ('kind' in prepared) return prepared
    const connector = this.#connector(leg)
    return connector.send(prepared, this.#ports.clock.monotonicMs() + this.#legTimeMs(inbound, connector))
  }

  /** How a leg ended, for the order in which later requests try their targets (G6). */
  heard(inbound: InboundRequest, { destination }: Leg, outcome: LegEnd): void {
    const { destinations, softHealth: rules } = inbound.rules
    const terms = destinations.get(destination)
    if (rules === undefined || terms === undefined || outcome.kind === 'notSent') return
    const before = this.#health.isDemoted(destination, rules)
    this.#health.heard(destination, isNoAnswer(outcome, terms) ? 'toNothing' : 'toAnAnswer', rules)
    const isDemoted = this.#health.isDemoted(destination, rules)
    if (isDemoted && !before) this.#ports.onDemoted?.(destination)
  }

  /** The first target of its route, whether or not it can be had now. */
  destinationOf(inbound: Routable, card: StoredCard): string | undefined {
    const routed = this.#route(inbound, card)
    return routed.kind === 'targets' ? routed.targets[0] : undefined
  }

  /** Opens what a completion is posted to; false: the books can't be reached. */
  openFor(request: CardRequest, destination: string): Promise<boolean> {
    const businessDate = this.#ports.days.today(destination)
    return this.ensureOpen(accountsOf({ ...request, kind: 'completion', destination, businessDate }))
  }

  /** A name for what will be told by an advice alone, with the accounts for it; undefined: there is none to be had. */
  async namedFor(request: CardRequest, destination: string): Promise<Leg | undefined> {
    const connector = this.#ports.connectors.get(destination)
    if (!(await this.openFor(request, destination))) return undefined
    const identity = connector?.identify()
    if (connector === undefined || identity === undefined) return undefined
    const id = uuidv7(this.#ports.clock, this.#ports.random)
    const { acquirerId } = connector.rules
    return { id, destination, acquirerId, ...identity, state: 'notSent' }
  }

  /**
   * What is done where the destination can't be asked or does not answer, or where something before the issuer answered
   * that it couldn't ask it: never where the issuer did.
   */
  async instead(
    inbound: InboundRequest,
    card: StoredCard,
    leg: Leg,
    outcome: LegEnd,
  ): Promise<StandIn | undefined> {
    const terms = inbound.rules.destinations.get(leg.destination)
    if (terms === undefined || !isOutOfReachAfter(outcome, terms)) return undefined
    const rule = this.#rule(inbound, card)
    if (rule === undefined) return undefined
    const accounts = exposureAccountsOf(leg.destination, inbound.request.currency)
    if (!(await this.ensureOpen(accounts))) return undefined
    return standInOf(rule, terms.standIn, this.#ports.random)
  }

  #rule(inbound: InboundRequest, { token }: StoredCard): StandInRule | undefined {
    // What it is about only its issuer knows.
    if (inbound.to !== undefined) return undefined
    return standInFor(inbound.rules.standIn, inbound, token)
  }

  /** How long an answer is still of use to the source. */
  answerableForMs(inbound: InboundRequest): number {
    const answerBy = inbound.receivedMonotonicMs + inbound.source.timeoutMs - marginMs
    return Math.max(0, Math.floor(answerBy - this.#ports.clock.monotonicMs()))
  }

  /** The PIN block under the destination's key, in its format. Rejects with `HsmError`. */
  async #movedPin(inbound: InboundRequest, { name, rules }: Connector): Promise<Uint8Array | undefined> {
    const { pan, pinBlock } = inbound.secrets.reveal()
    if (pinBlock === undefined) return undefined
    const [from, to] = [inbound.source.keys.pin, this.#ports.pinKeyOf(name)]
    // Whoever sends one bad PIN block after another is slowed down in the HSM, and nobody else.
    const source = `${inbound.source.name}:${inbound.request.terminalId}`
    const { pinFormat = 0 } = rules
    if (pinFormat === 0) return this.#ports.hsm.translatePin({ from, to, pinBlock, pan, source })
    return this.#ports.hsm.movePin({ key: from, to, pinBlock, toFormat: pinFormat, pan, source })
  }

  #legTimeMs(inbound: InboundRequest, connector: Connector): number {
    return Math.min(rulesOf(inbound, connector).timeoutMs, this.answerableForMs(inbound) - marginMs)
  }

  #connector({ destination }: Leg): Connector {
    const connector = this.#ports.connectors.get(destination)
    assert(connector !== undefined)
    return connector
  }

  /** False when the books can't be asked. */
  async ensureOpen(accounts: readonly AccountSpec[]): Promise<boolean> {
    const missing = accounts.filter((account) => !this.#openAccounts.has(account.path))
    if (missing.length === 0) return true
    try {
      await this.#ports.openAccounts(missing)
    } catch {
      // The books can't be reached: nothing was sent, and the request is refused.
      return false
    }
    for (const account of missing) this.#openAccounts.add(account.path)
    return true
  }
}

/** Those it began with; a destination that has joined since is nobody's target yet. */
function rulesOf({ rules }: InboundRequest, { name, rules: own }: Connector): DestinationRules {
  return rules.destinations.get(name)?.rules ?? own
}

function isOutOfReachAfter(outcome: LegEnd, terms: DestinationTerms): boolean {
  switch (outcome.kind) {
    case 'notSent':
      return isOutOfReach.has(outcome.reason)
    case 'maybeSent':
      return true
    case 'answered':
      return terms.standIn.onOutcomes.includes(
        readCode(readingOf(terms), outcome.answer.responseCode).outcome,
      )
  }
}

/** Silence, and the answers of a front end that could not ask its issuer. */
function isNoAnswer(outcome: LegEnd, terms: DestinationTerms): boolean {
  if (outcome.kind !== 'answered') return true
  return isOutOfReachCode(readCode(readingOf(terms), outcome.answer.responseCode).outcome)
}

/** What a source may ask for at once, by kind and currency. A refund has no purchase of its own to be measured by. */
function isOverLimit({ source, request }: InboundRequest): boolean {
  return (source.limits ?? []).some(
    (limit) =>
      limit.kind === request.kind &&
      limit.currency === request.currency &&
      request.amountMinor > limit.amountMinorMax,
  )
}
