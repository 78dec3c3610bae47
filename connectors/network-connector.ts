import {
  type Anomaly,
  type ClientTls,
  type Message,
  type MessageBody,
  wireBytes,
  type ExchangeOutcome,
  IsoCodecError,
  Multiplexer,
  type PlaintextConsent,
} from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { Breaker, type BreakerLimits, type LegHealth } from './breaker.ts'
import type {
  Connector,
  ConnectorStatus,
  DestinationRules,
  LegAnswer,
  LegIdentity,
  LegOutcome,
  NetworkQuestion,
  NetworkRequestHandler,
  NetworkRequestKind,
  NotSentReason,
  OutboundLeg,
  PreparedLeg,
  Sealer,
  StanBlocks,
} from './connector.ts'
import { Credits } from './credits.ts'
import type { Endpoint, ServerDoorOptions } from './doors.ts'
import { type ForeignLine, LeasedLine } from './leased-line.ts'
import type { Line } from './line.ts'
import { Remembered } from './remembered.ts'
import { isUp } from './session-state.ts'
import type { ConnectorKeys, KeyExchangeRules } from './key-exchange.ts'
import { Management } from './management.ts'
import type { Log, NetworkProfile } from './network.ts'
import { NetworkRequests } from './network-requests.ts'
import { openLine } from './open-line.ts'
import { answerOf, healthOf, legOutcome, logAnomaly, needOf } from './outcomes.ts'
import type { Relay, RelayedLine } from './relay.ts'
import type { RelayedOutcome, RelayedRequest } from './relay-words.ts'
import { Speech } from './speech.ts'
import { StanSource } from './stans.ts'

export interface ConnectorOptions {
  /** Where we connect to, or listen for the network's own connections when `serve` is there. */
  readonly host: string
  readonly port: number
  /** Tried in this order when the first can't be had. */
  readonly alternates?: readonly Endpoint[]
  /** Connections held at once; 1 where nothing is stated. */
  readonly sessions?: number
  readonly tls?: ClientTls
  readonly plaintext?: PlaintextConsent
  /** The network connects to us. */
  readonly serve?: Omit<ServerDoorOptions, keyof Endpoint>
  /** The network allows one session: the line is open only while `grant` says so. */
  readonly leased?: boolean
  /** Between the nodes: of a leased line, requests go over the one that has it. */
  readonly relay?: Relay
  readonly clock: Clock
  readonly random: Random
  readonly stanBlocks: StanBlocks
  readonly sealer: Sealer
  readonly log: Log
  readonly breaker?: Partial<BreakerLimits>
}

/** Opens the connector to one network and starts to connect. It is there at once, and available later. */
export function openConnector(network: NetworkProfile, options: ConnectorOptions): NetworkConnector {
  return new NetworkConnector(network, options)
}

type LateListener = (identity: LegIdentity, answer: LegAnswer) => void

/** A connector for any network that a `NetworkProfile` describes. */
export class NetworkConnector implements Connector, RelayedLine {
  readonly name: string
  readonly keys?: ConnectorKeys
  /** Open to operators: its state can be forced, with an expiry. */
  readonly breaker: Breaker
  readonly #network: NetworkProfile
  #rules: DestinationRules
  readonly #clock: Clock
  readonly #log: Log
  readonly #speech: Speech
  readonly #multiplexer: Multiplexer
  /** Requests over another's line, and of others over ours, of which nobody knows what became. */
  readonly #unknown: Remembered
  #relay: Relay | undefined
  readonly #stans: StanSource
  readonly #networkRequests: NetworkRequests
  readonly #credits: Credits
  readonly #line: Line
  #leased: LeasedLine | undefined
  readonly #anomalies = { orphan: 0, crossMatch: 0, badSeal: 0 }
  readonly #lateListeners: LateListener[] = []
  readonly #availableListeners: (() => void)[] = []
  #legs = 0
  readonly #keyListeners: (() => void)[] = []
  #keySync = false
  #draining = false
  #started = false
  #wasAvailable = false
  #idle: (() => void) | undefined

  constructor(network: NetworkProfile, options: ConnectorOptions) {
    const { clock } = options
    const log = named(options.log, network.name)
    this.name = network.name
    this.#rules = network.rules
    this.#network = network
    if (network.keys !== undefined) this.keys = this.#keysOf(network.keys)
    this.#clock = clock
    this.#log = log
    this.#speech = new Speech(network, options.sealer, log)
    this.#unknown = new Remembered(clock, network.lateMs)
    this.#multiplexer = this.#newMultiplexer()
    this.#networkRequests = new NetworkRequests({
      profile: network.session,
      clock,
      log,
      describe: (message) => this.#speech.codec.describe(message),
    })
    const { inFlightMax } = network
    this.#credits = new Credits({
      window: inFlightMax,
      reserve: Math.max(2, Math.ceil(inFlightMax / 10)),
      clock,
      onFault: (error) => log.error({ fault: nameOf(error) }, 'the pool of credits'),
    })
    this.#line = this.#openLine(options)
    this.breaker = new Breaker({
      clock,
      inFlightMax,
      ...(options.breaker && { limits: options.breaker }),
      onProbe: () => void this.#line.echo().then((answered) => this.breaker.probed(answered)),
      onChange: (change) => {
        log.warn(change, 'breaker changes')
        this.#announce()
      },
    })
    this.#stans = new StanSource({
      blocks: options.stanBlocks,
      destination: network.name,
      clock,
      inUse: (stan) => this.#multiplexer.inUse(stan),
      onRefilled: () => this.#onStans(),
      onFault: (error) => log.error({ fault: nameOf(error) }, 'no block of STANs to be had'),
    })
  }

  get rules(): DestinationRules {
    return this.#rules
  }

  adopt(rules: DestinationRules): void {
    this.#rules = rules
  }

  availability(): 'available' | NotSentReason {
    const refused = this.#refusal()
    if (refused !== undefined) return refused
    if (this.#credits.full) return 'congested'
    return this.#stans.dry ? 'noStan' : 'available'
  }

  identify(): LegIdentity | undefined {
    const stan = this.#stans.next()
    return stan === undefined ? undefined : { stan, transmittedAt: transmissionTime(this.#clock.wallMs()) }
  }

  async prepare(leg: OutboundLeg): Promise<PreparedLeg> {
    return { leg, message: await this.#speech.encode(this.#bodyOf(leg)) }
  }

  async send({ leg, message }: PreparedLeg, deadlineMonotonicMs: number): Promise<LegOutcome> {
    const refused = this.#refusal(deadlineMonotonicMs)
    if (refused !== undefined) return { kind: 'notSent', reason: refused }
    if (typeof message === 'string') return { kind: 'notSent', reason: message }
    const outcome = await this.#exchange({ mti: leg.mti, message }, deadlineMonotonicMs)
    if (outcome.kind === 'notSent') {
      const { reason } = outcome
      return { kind: 'notSent', reason: reason === 'closed' ? 'offline' : reason }
    }
    return legOutcome(
      outcome,
      () => this.#speech.codec.describe(this.#bodyOf(leg)),
      (answer) => this.#answer(answer),
    )
  }

  /** Whether other nodes may send over our line. */
  get isHeld(): boolean {
    return !this.#draining && this.#leased?.isHeld === true
  }

  /** An answer that came to another node, for a request of ours that nobody waits for any more. */
  hearLate(bytes: Buffer): void {
    const message = this.#read(bytes)
    if (message.kind === 'answered' && this.#unknown.has(this.#keyOf(bytes))) this.#tellLate(message.message)
  }

  /** A request of a node that has no line of its own. */
  async serve(request: RelayedRequest, deadlineMonotonicMs: number): Promise<RelayedOutcome> {
    const refused = this.isHeld ? this.#refusal(deadlineMonotonicMs) : 'offline'
    const outcome =
      refused === undefined
        ? await this.#exchange(request, deadlineMonotonicMs)
        : { kind: 'notSent' as const, reason: refused }
    if (outcome.kind === 'answered') return { kind: 'answered', message: wireBytes(outcome.message) }
    if (outcome.kind === 'maybeSent') {
      this.#unknown.add(this.#keyOf(request.message))
      return outcome
    }
    const reason = outcome.reason === 'congested' || outcome.reason === 'noTime' ? outcome.reason : 'closed'
    return { kind: 'notSent', reason }
  }

  onLate(listener: LateListener): void {
    this.#lateListeners.push(listener)
  }

  onAvailable(listener: () => void): void {
    this.#availableListeners.push(listener)
  }

  onNetworkRequest(kind: NetworkRequestKind, handler: NetworkRequestHandler): void {
    this.#networkRequests.handle(kind, handler)
  }

  askNetwork(question: NetworkQuestion): Promise<Message | undefined> {
    return this.#line.ask(question)
  }

  /** Until when, on the monotonic clock, a leased line may be open. */
  grant(untilMonotonicMs: number): void {
    this.#leased?.grant(untilMonotonicMs)
  }

  status(): ConnectorStatus {
    return {
      name: this.name,
      dialect: this.#speech.codec.name,
      session: this.#keySync && this.#line.state === 'online' ? 'keySync' : this.#line.state,
      sessions: this.#line.sessions,
      breaker: this.breaker.state,
      inFlight: this.#legs,
      credits: this.#credits.status,
      anomalies: { ...this.#anomalies },
    }
  }

  async drain(deadlineMonotonicMs: number): Promise<void> {
    this.#draining = true
    if (this.#legs > 0) await this.#idleUntil(deadlineMonotonicMs)
    this.#multiplexer.abandon()
    await this.#line.end()
    await this.#credits.drain(0)
    this.#stans.stop()
    this.breaker.stop()
  }

  async #exchange(request: RelayedRequest, deadlineMonotonicMs: number): Promise<Exchanged> {
    this.#legs++
    try {
      return await this.#exchangeOnCredit(request, deadlineMonotonicMs)
    } finally {
      this.#legs--
      if (this.#legs === 0) this.#idle?.()
      this.#announce()
    }
  }

  async #exchangeOnCredit({ mti, message }: RelayedRequest, deadlineMonotonicMs: number): Promise<Exchanged> {
    const credit = await this.#credits.acquire(needOf(mti), this.#sparedMs(deadlineMonotonicMs))
    if (credit === undefined) return { kind: 'notSent', reason: 'congested' }
    let health: LegHealth = 'neutral'
    // Much may have happened while it waited for the credit.
    const refused = this.#refusal(deadlineMonotonicMs)
    const permit = refused === undefined ? this.breaker.enter() : undefined
    try {
      if (permit === undefined) return { kind: 'notSent', reason: refused ?? 'breakerOpen' }
      const outcome = await this.#line.exchange(message, deadlineMonotonicMs)
      health = healthOf(outcome)
      return outcome
    } finally {
      credit.release()
      permit?.done(health)
    }
  }

  /** The line of another node: undefined where nodes do not speak to each other. */
  #foreignLine(relay: Relay | undefined, onState: () => void): ForeignLine | undefined {
    if (relay === undefined) return undefined
    this.#relay = relay
    relay.add(this)
    relay.onChange(onState)
    const { name } = this
    return {
      get isThere() {
        return relay.reaches(name)
      },
      exchange: async (message, deadlineMs) => {
        const { mti } = this.#speech.codec.decode(message)
        const outcome = await relay.ask(name, { mti, message }, deadlineMs)
        if (outcome.kind === 'maybeSent') this.#unknown.add(this.#keyOf(message))
        return outcome.kind === 'answered' ? this.#read(outcome.message) : outcome
      },
    }
  }

  #read(bytes: Buffer): ExchangeOutcome {
    try {
      return { kind: 'answered', message: this.#speech.codec.decode(bytes) }
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      return { kind: 'maybeSent', reason: 'unparseable' }
    }
  }

  #keyOf(bytes: Buffer): string {
    const message = this.#speech.codec.decode(bytes)
    return [message.text(7), message.text(11)].join('|')
  }

  #keysOf(rules: KeyExchangeRules): ConnectorKeys {
    const isOutOfStep = (): boolean => this.#keySync
    const sealsOf = (): number => this.#speech.seals
    return {
      rules,
      get outOfStep() {
        return isOutOfStep()
      },
      get seals() {
        return sealsOf()
      },
      agrees: (responseCode) => this.#network.session.approved.includes(responseCode),
      onOutOfStep: (listener) => void this.#keyListeners.push(listener),
      renewed: () => {
        this.#speech.renewed()
        this.#inStep()
      },
    }
  }

  #newMultiplexer(): Multiplexer {
    const { correlation, lateMs, responseAffinity } = this.#network
    return new Multiplexer({
      codec: this.#speech.codec,
      clock: this.#clock,
      correlation,
      anyLink: responseAffinity === 'group',
      limits: { lateMs },
      checkSeal: (message) => this.#checkSeal(message),
      events: {
        onLate: (identity, message) => this.#onLate(identity, message),
        onAnomaly: (anomaly) => this.#onAnomaly(anomaly),
      },
    })
  }

  #openLine(options: ConnectorOptions): Line {
    const { clock } = options
    const management = new Management({
      profile: this.#network.session,
      dialect: this.#network.dialect,
      multiplexer: this.#multiplexer,
      clock,
      identify: () => this.identify(),
      encode: async (body) => {
        const bytes = await this.#speech.encode(body)
        return typeof bytes === 'string' ? undefined : bytes
      },
      requests: this.#networkRequests,
      log: this.#log,
    })
    const onState = (): void => {
      if (isUp(this.#line.state)) this.breaker.online()
      else this.breaker.offline()
      this.#announce()
    }
    const { random } = options
    const onFailed = (): void => this.breaker.failed()
    const ports = {
      multiplexer: this.#multiplexer,
      management,
      clock,
      random,
      log: this.#log,
      onState,
      onFailed,
    }
    const open = (): Line => openLine(this.#network, options, ports)
    if (options.leased !== true) return open()
    this.#leased = new LeasedLine({
      clock,
      open,
      onState,
      foreign: this.#foreignLine(options.relay, onState),
    })
    return this.#leased
  }

  #idleUntil(deadlineMonotonicMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(deadlineMonotonicMs - this.#clock.monotonicMs(), resolve)
      this.#idle = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  #refusal(deadlineMonotonicMs = Number.POSITIVE_INFINITY): NotSentReason | undefined {
    if (this.#draining) return 'draining'
    if (!isUp(this.#line.state)) return 'offline'
    if (this.#keySync) return 'keySync'
    if (this.#sparedMs(deadlineMonotonicMs) < 0) return 'noTime'
    return this.breaker.admits ? undefined : 'breakerOpen'
  }

  /** How long it may still wait before it is sent. */
  #sparedMs(deadlineMonotonicMs: number): number {
    return deadlineMonotonicMs - this.#clock.monotonicMs() - this.rules.remainingMinMs
  }

  #bodyOf({ mti, identity, fields }: OutboundLeg): MessageBody {
    const { stan, transmittedAt } = identity
    const body = { mti, fields: { ...fields, 7: transmittedAt, 11: stan, 32: this.rules.acquirerId } }
    return this.#network.wording?.say(body, this.#clock.wallMs()) ?? body
  }

  #answer(message: Message): LegAnswer {
    // The peer says so itself (K6). What it refused is refused; the next will be under other keys.
    if (this.#network.keys?.outOfStep.includes(message.text(39) ?? '') === true) this.#tellOutOfStep()
    return answerOf(message, this.rules, this.#speech.codec.describe(message))
  }

  #onLate(identity: LegIdentity & { readonly mti: string }, message: Message): void {
    if (identity.mti[1] === '8') return
    const { stan, transmittedAt } = identity
    if (this.#unknown.has([transmittedAt, stan].join('|'))) this.#relay?.late(this.name, wireBytes(message))
    else this.#tellLate(message, identity)
  }

  #tellLate(
    message: Message,
    { stan, transmittedAt }: LegIdentity = {
      stan: message.text(11) ?? '',
      transmittedAt: message.text(7) ?? '',
    },
  ): void {
    this.#log.info({ stan, responseCode: message.text(39) }, 'late answer')
    const answer = this.#answer(message)
    for (const listener of this.#lateListeners) listener({ stan, transmittedAt }, answer)
  }

  #onAnomaly(anomaly: Anomaly): void {
    logAnomaly(this.#log, anomaly)
    const { kind } = anomaly
    if (kind === 'orphan' || kind === 'crossMatch' || kind === 'badSeal') this.#anomalies[kind]++
    if (anomaly.kind === 'badSeal' && this.#speech.badSeal()) this.#outOfStep()
  }

  async #checkSeal(message: Message): Promise<boolean> {
    const good = await this.#speech.checkSeal(message)
    if (good && this.#speech.inStep) this.#inStep()
    return good
  }

  /** Not one bad message, but another key (X3). Where somebody sees to it nothing more is risked under it. */
  #outOfStep(): void {
    if (this.#keyListeners.length === 0 || this.#keySync) return
    this.#keySync = true
    this.#announce()
    this.#tellOutOfStep()
  }

  #tellOutOfStep(): void {
    for (const listener of this.#keyListeners) listener()
  }

  #inStep(): void {
    if (!this.#keySync) return
    this.#keySync = false
    this.#log.info({}, 'keys are in step again')
    this.#announce()
  }

  #onStans(): void {
    if (!this.#started) {
      this.#started = true
      this.#line.start()
    }
    this.#announce()
  }

  #announce(): void {
    const available = this.availability() === 'available'
    const became = available && !this.#wasAvailable
    this.#wasAvailable = available
    if (became) for (const listener of this.#availableListeners) listener()
  }
}

type Exchanged = ExchangeOutcome | { readonly kind: 'notSent'; readonly reason: NotSentReason }

/** DE7: MMDDhhmmss in UTC. */
function transmissionTime(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(5, 19).replace(/\D/g, '')
}

function named(log: Log, destination: string): Log {
  return {
    info: (details, text) => log.info({ destination, ...details }, text),
    warn: (details, text) => log.warn({ destination, ...details }, text),
    error: (details, text) => log.error({ destination, ...details }, text),
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
