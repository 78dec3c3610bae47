import assert from 'node:assert'
import type { Anomaly, ClientTls, Message, PlaintextConsent } from '../iso8583/iso8583.ts'
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
import { Dialogue, type DialoguePorts } from './dialogue.ts'
import type { Endpoint, ServerDoorOptions } from './doors.ts'
import type { ConnectorKeys } from './key-exchange.ts'
import { KeySync } from './key-sync.ts'
import { LeasedLine } from './leased-line.ts'
import type { Line, Written } from './line.ts'
import type { Log, NetworkProfile } from './network.ts'
import { openLine } from './open-line.ts'
import { answerOf, healthOf, legOutcome, logAnomaly, needOf } from './outcomes.ts'
import type { Relay } from './relay.ts'
import { isUp } from './session-state.ts'
import { type Exchanged, SharedLine } from './shared-line.ts'
import { StanSource } from './stans.ts'
import { hindrances } from './swap.ts'

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

interface Request extends Written {
  readonly mti: string
}

/** A connector for any network that a `NetworkProfile` describes. */
export class NetworkConnector implements Connector {
  readonly name: string
  readonly keys?: ConnectorKeys
  /** Open to operators: its state can be forced, with an expiry. */
  readonly breaker: Breaker
  readonly #options: ConnectorOptions
  #rules: DestinationRules
  readonly #clock: Clock
  readonly #log: Log
  readonly #handlers = new Map<NetworkRequestKind, NetworkRequestHandler>()
  /** What new connections speak. */
  #current: Dialogue
  /** That, and before it what older connections may still speak. */
  #dialogues: readonly Dialogue[]
  readonly #keySync: KeySync
  readonly #stans: StanSource
  readonly #credits: Credits
  readonly #line: Line
  #leased: LeasedLine | undefined
  #shared: SharedLine | undefined
  readonly #anomalies = { orphan: 0, crossMatch: 0, badSeal: 0 }
  readonly #lateListeners: LateListener[] = []
  readonly #availableListeners: (() => void)[] = []
  #legs = 0
  #draining = false
  #started = false
  #wasAvailable = false
  #idle: (() => void) | undefined

  constructor(network: NetworkProfile, options: ConnectorOptions) {
    const { clock } = options
    const log = named(options.log, network.name)
    this.name = network.name
    this.#options = options
    this.#rules = network.rules
    this.#clock = clock
    this.#log = log
    this.#current = new Dialogue(network, this.#dialoguePorts())
    this.#dialogues = [this.#current]
    this.#keySync = new KeySync({
      rules: network.keys,
      approved: () => this.#current.session.approved,
      seals: () => this.#dialogues.reduce((sum, { speech }) => sum + speech.seals, 0),
      onRenewed: () => {
        for (const { speech } of this.#dialogues) speech.renewed()
      },
      onChange: () => this.#announce(),
      log,
    })
    const { keys } = this.#keySync
    if (keys !== undefined) this.keys = keys
    const { inFlightMax } = network
    this.#credits = new Credits({
      window: inFlightMax,
      reserve: Math.max(2, Math.ceil(inFlightMax / 10)),
      clock,
      onFault: (error) => log.error({ fault: nameOf(error) }, 'the pool of credits'),
    })
    this.#line = this.#openLine(network)
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
      inUse: (stan) => this.#dialogues.some(({ multiplexer }) => multiplexer.inUse(stan)),
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

  /**
   * Connections from here on speak as `network` says; those that are open go on as they began. What else than speech is
   * otherwise in it can't be had without a restart: then nothing is changed, and each such thing is returned with its path.
   */
  speak(network: NetworkProfile): readonly string[] {
    const why = hindrances(this.#current.network, network, this.#options)
    if (why.length > 0) return why
    this.#current = new Dialogue({ ...network, name: this.name }, this.#dialoguePorts())
    // Connections hold theirs themselves: what falls off here is only not asked any more whether it uses a STAN.
    this.#dialogues = [...this.#dialogues.slice(1 - dialoguesMax), this.#current]
    this.#log.info({ dialect: network.dialect.name }, 'new connections speak another edition')
    return []
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
    const dialogue = this.#line.dialogue() ?? this.#current
    return { leg, message: await dialogue.write(leg), writtenFor: dialogue }
  }

  async send(prepared: PreparedLeg, deadlineMonotonicMs: number): Promise<LegOutcome> {
    const { leg, message, writtenFor } = prepared
    const refused = this.#refusal(deadlineMonotonicMs)
    if (refused !== undefined) return { kind: 'notSent', reason: refused }
    if (typeof message === 'string') return { kind: 'notSent', reason: message }
    const dialogue = writtenFor instanceof Dialogue ? writtenFor : this.#current
    const request = { mti: leg.mti, dialogue, bytes: message }
    const outcome = await this.#exchange(request, deadlineMonotonicMs)
    if (outcome.kind === 'notSent') {
      const { reason } = outcome
      if (reason !== 'closed') return { kind: 'notSent', reason }
      const speaks = this.#line.dialogue(dialogue)
      if (speaks === undefined || speaks === dialogue) return { kind: 'notSent', reason: 'offline' }
      // The last connection that spoke it has ended, and another is there: nothing of it has left.
      return this.send(await this.prepare(leg), deadlineMonotonicMs)
    }
    return legOutcome(
      outcome,
      () => dialogue.describe(dialogue.bodyOf(leg)),
      (answer) => this.#answer(answer, dialogue),
    )
  }

  onLate(listener: LateListener): void {
    this.#lateListeners.push(listener)
  }

  onAvailable(listener: () => void): void {
    this.#availableListeners.push(listener)
  }

  onNetworkRequest(kind: NetworkRequestKind, handler: NetworkRequestHandler): void {
    assert(!this.#handlers.has(kind), `two handlers for ${kind}`)
    this.#handlers.set(kind, handler)
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
      dialect: this.#current.speech.codec.name,
      session: this.#keySync.isOut && this.#line.state === 'online' ? 'keySync' : this.#line.state,
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
    for (const { multiplexer } of this.#dialogues) multiplexer.abandon()
    await this.#line.end()
    await this.#credits.drain(0)
    this.#stans.stop()
    this.breaker.stop()
  }

  async #exchange(request: Request, deadlineMonotonicMs: number): Promise<Exchanged> {
    this.#legs++
    try {
      return await this.#exchangeOnCredit(request, deadlineMonotonicMs)
    } finally {
      this.#legs--
      if (this.#legs === 0) this.#idle?.()
      this.#announce()
    }
  }

  async #exchangeOnCredit(request: Request, deadlineMonotonicMs: number): Promise<Exchanged> {
    const credit = await this.#credits.acquire(needOf(request.mti), this.#sparedMs(deadlineMonotonicMs))
    if (credit === undefined) return { kind: 'notSent', reason: 'congested' }
    let health: LegHealth = 'neutral'
    // Much may have happened while it waited for the credit.
    const refused = this.#refusal(deadlineMonotonicMs)
    const permit = refused === undefined ? this.breaker.enter() : undefined
    try {
      if (permit === undefined) return { kind: 'notSent', reason: refused ?? 'breakerOpen' }
      const outcome = await this.#line.exchange(request, deadlineMonotonicMs)
      health = healthOf(outcome)
      return outcome
    } finally {
      credit.release()
      permit?.done(health)
    }
  }

  #dialoguePorts(): DialoguePorts {
    return {
      clock: this.#clock,
      sealer: this.#options.sealer,
      log: this.#log,
      identify: () => this.identify(),
      handlers: this.#handlers,
      acquirerId: () => this.#rules.acquirerId,
      onLate: (dialogue, identity, message) => this.#onLate(dialogue, identity, message),
      onAnomaly: (dialogue, anomaly) => this.#onAnomaly(dialogue, anomaly),
      onInStep: () => this.#keySync.inStep(),
    }
  }

  #openLine(network: NetworkProfile): Line {
    const { leased, random, relay } = this.#options
    const onState = (): void => {
      if (isUp(this.#line.state)) this.breaker.online()
      else this.breaker.offline()
      this.#announce()
    }
    const ports = {
      dialogue: () => this.#current,
      clock: this.#clock,
      random,
      log: this.#log,
      onState,
      onFailed: () => this.breaker.failed(),
    }
    const open = (): Line => openLine(network, this.#options, ports)
    if (leased !== true) return open()
    this.#shared = this.#share(this.#current, relay)
    this.#leased = new LeasedLine({
      clock: this.#clock,
      open,
      onState,
      foreign: this.#shared.foreign(onState),
    })
    return this.#leased
  }

  #share(dialogue: Dialogue, relay: Relay | undefined): SharedLine {
    const { network, speech } = dialogue
    return new SharedLine(
      {
        ...{ name: this.name, clock: this.#clock, lateMs: network.lateMs, codec: speech.codec },
        isHeld: () => !this.#draining && this.#leased?.isHeld === true,
        exchange: async ({ mti, message }, deadlineMs) => {
          const refused = this.#refusal(deadlineMs)
          if (refused !== undefined) return { kind: 'notSent', reason: refused }
          return this.#exchange({ mti, dialogue, bytes: message }, deadlineMs)
        },
        onLate: (message) => this.#tellLate(dialogue, message),
      },
      relay,
    )
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
    if (this.#keySync.isOut) return 'keySync'
    if (this.#sparedMs(deadlineMonotonicMs) < 0) return 'noTime'
    return this.breaker.admits ? undefined : 'breakerOpen'
  }

  /** How long it may still wait before it is sent. */
  #sparedMs(deadlineMonotonicMs: number): number {
    return deadlineMonotonicMs - this.#clock.monotonicMs() - this.rules.remainingMinMs
  }

  #answer(message: Message, dialogue: Dialogue): LegAnswer {
    this.#keySync.answered(message.text(39))
    return answerOf(message, this.rules, dialogue.describe(message), dialogue.network.wording?.feesOf)
  }

  #onLate(dialogue: Dialogue, identity: LegIdentity & { readonly mti: string }, message: Message): void {
    if (identity.mti[1] === '8' || this.#shared?.passOn(identity, message) === true) return
    this.#tellLate(dialogue, message, identity)
  }

  #tellLate(
    dialogue: Dialogue,
    message: Message,
    { stan, transmittedAt }: LegIdentity = {
      stan: message.text(11) ?? '',
      transmittedAt: message.text(7) ?? '',
    },
  ): void {
    this.#log.info({ stan, responseCode: message.text(39) }, 'late answer')
    const answer = this.#answer(message, dialogue)
    for (const listener of this.#lateListeners) listener({ stan, transmittedAt }, answer)
  }

  #onAnomaly({ speech }: Dialogue, anomaly: Anomaly): void {
    logAnomaly(this.#log, anomaly)
    const { kind } = anomaly
    if (kind === 'orphan' || kind === 'crossMatch' || kind === 'badSeal') this.#anomalies[kind]++
    if (kind === 'badSeal' && speech.badSeal()) this.#keySync.outOfStep()
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

/** Editions of one network that connections may speak at a time, the current one among them. */
const dialoguesMax = 8

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
