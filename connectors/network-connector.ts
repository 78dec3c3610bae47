import {
  type Anomaly,
  type Codec,
  compile,
  connectLink,
  encodeSealed,
  type ExchangeOutcome,
  type FieldValue,
  IsoCodecError,
  type Link,
  type LinkHandlers,
  type Message,
  type MessageBody,
  Multiplexer,
  sealedPart,
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
  MaybeSentReason,
  NetworkQuestion,
  NetworkRequestHandler,
  NetworkRequestKind,
  NotSentReason,
  OutboundLeg,
  PreparedLeg,
  Sealer,
  StanBlocks,
} from './connector.ts'
import { codeElementOf, type Log, type NetworkProfile } from './network.ts'
import { NetworkRequests } from './network-requests.ts'
import { Session } from './session.ts'
import { StanSource } from './stans.ts'
import { traceOf } from './trace.ts'

export interface ConnectorOptions {
  readonly host: string
  readonly port: number
  readonly clock: Clock
  readonly random: Random
  readonly stanBlocks: StanBlocks
  readonly sealer: Sealer
  readonly log: Log
  readonly breaker?: Partial<BreakerLimits>
  /** Where a connection comes from, else `connectLink` to host and port. For the simulation. */
  readonly dial?: (handlers: (link: Link) => LinkHandlers) => Promise<Link>
}

/** Opens the connector to one network and starts to connect. It is there at once, and available later. */
export function openConnector(network: NetworkProfile, options: ConnectorOptions): NetworkConnector {
  return new NetworkConnector(network, options)
}

/** After so many wrong seals in a row it is not one bad message: the two ends no longer have the same key. */
const badSealsToAlarm = 3

type LateListener = (identity: LegIdentity, answer: LegAnswer) => void

/** A connector for any network that a `NetworkProfile` describes. */
export class NetworkConnector implements Connector {
  readonly name: string
  readonly rules: DestinationRules
  /** Open to operators: its state can be forced, with an expiry. */
  readonly breaker: Breaker
  readonly #network: NetworkProfile
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #sealer: Sealer
  readonly #log: Log
  readonly #multiplexer: Multiplexer
  readonly #stans: StanSource
  readonly #networkRequests: NetworkRequests
  readonly #session: Session
  readonly #lateListeners: LateListener[] = []
  readonly #availableListeners: (() => void)[] = []
  #legs = 0
  #draining = false
  #started = false
  #wasAvailable = false
  #badSeals = 0
  #idle: (() => void) | undefined

  constructor(network: NetworkProfile, options: ConnectorOptions) {
    const { clock, random, sealer } = options
    const log = named(options.log, network.name)
    this.name = network.name
    this.rules = network.rules
    this.#network = network
    this.#codec = compile(network.dialect)
    this.#clock = clock
    this.#sealer = sealer
    this.#log = log
    this.#multiplexer = new Multiplexer({
      codec: this.#codec,
      clock,
      correlation: network.correlation,
      limits: { lateMs: network.lateMs },
      checkSeal: (message) => this.#checkSeal(message),
      events: {
        onLate: (identity, message) => this.#onLate(identity, message),
        onAnomaly: (anomaly) => this.#onAnomaly(anomaly),
      },
    })
    this.#networkRequests = new NetworkRequests({
      profile: network.session,
      clock,
      log,
      describe: (message) => this.#codec.describe(message),
    })
    this.#session = new Session({
      profile: network.session,
      dialect: network.dialect,
      multiplexer: this.#multiplexer,
      dial: options.dial ?? dialler(network, options),
      clock,
      random,
      identify: () => this.identify(),
      encode: (body) => this.#management(body),
      networkRequests: this.#networkRequests,
      log,
      onState: (state) => {
        if (state === 'online') this.breaker.online()
        else this.breaker.offline()
        this.#announce()
      },
    })
    this.breaker = new Breaker({
      clock,
      inFlightMax: network.inFlightMax,
      ...(options.breaker && { limits: options.breaker }),
      onProbe: () => void this.#session.echo().then((answered) => this.breaker.probed(answered)),
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

  availability(): 'available' | NotSentReason {
    if (this.#draining) return 'draining'
    if (this.#session.state !== 'online') return 'offline'
    if (!this.breaker.admits) return 'breakerOpen'
    if (this.#legs >= this.#liveMax()) return 'congested'
    if (this.#stans.dry) return 'noStan'
    return 'available'
  }

  identify(): LegIdentity | undefined {
    const stan = this.#stans.next()
    return stan === undefined ? undefined : { stan, transmittedAt: transmissionTime(this.#clock.wallMs()) }
  }

  async prepare(leg: OutboundLeg): Promise<PreparedLeg> {
    const body = this.#bodyOf(leg)
    try {
      return { leg, message: await this.#encode(body) }
    } catch (error) {
      if (error instanceof SealError) return { leg, message: 'hsm' }
      if (!(error instanceof IsoCodecError)) throw error
      const { code, path } = error
      this.#log.error({ code, path, mti: leg.mti }, 'our own message cannot be encoded')
      return { leg, message: 'malformed' }
    }
  }

  async send({ leg, message }: PreparedLeg, deadlineMonotonicMs: number): Promise<LegOutcome> {
    const refused = this.#refusal(leg, deadlineMonotonicMs)
    if (refused !== undefined) return { kind: 'notSent', reason: refused }
    if (typeof message === 'string') return { kind: 'notSent', reason: message }
    const permit = this.breaker.enter()
    if (permit === undefined) return { kind: 'notSent', reason: 'breakerOpen' }
    this.#legs++
    let health: LegHealth = 'neutral'
    try {
      const outcome = await this.#session.exchange(message, deadlineMonotonicMs)
      health = healthOf(outcome)
      return this.#outcome(outcome, this.#codec.describe(this.#bodyOf(leg)))
    } finally {
      this.#legs--
      permit.done(health)
      if (this.#legs === 0) this.#idle?.()
      this.#announce()
    }
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
    return this.#session.ask(question)
  }

  status(): ConnectorStatus {
    return {
      name: this.name,
      dialect: this.#codec.name,
      session: this.#session.state,
      breaker: this.breaker.state,
      inFlight: this.#legs,
    }
  }

  async drain(deadlineMonotonicMs: number): Promise<void> {
    this.#draining = true
    if (this.#legs > 0) await this.#idleUntil(deadlineMonotonicMs)
    this.#multiplexer.abandon()
    await this.#session.end()
    this.#stans.stop()
    this.breaker.stop()
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

  #refusal(leg: OutboundLeg, deadlineMonotonicMs: number): NotSentReason | undefined {
    if (this.#draining) return 'draining'
    if (this.#session.state !== 'online') return 'offline'
    if (this.#lacksTime(deadlineMonotonicMs)) return 'noTime'
    // What is stored and forwarded has a reserve of its own, which live traffic can't use up.
    if (this.#legs >= (isStored(leg.mti) ? this.#network.inFlightMax : this.#liveMax())) return 'congested'
    return undefined
  }

  #lacksTime(deadlineMonotonicMs: number): boolean {
    return deadlineMonotonicMs - this.#clock.monotonicMs() < this.rules.remainingMinMs
  }

  #liveMax(): number {
    const { inFlightMax } = this.#network
    return inFlightMax - Math.max(2, Math.ceil(inFlightMax / 10))
  }

  #bodyOf({ mti, identity, fields }: OutboundLeg): MessageBody {
    const { stan, transmittedAt } = identity
    const body = { mti, fields: { ...fields, 7: transmittedAt, 11: stan, 32: this.rules.acquirerId } }
    return this.#network.wording?.say(body, this.#clock.wallMs()) ?? body
  }

  async #seal(data: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#sealer.seal(data)
    } catch (error) {
      throw new SealError(nameOf(error))
    }
  }

  async #encode(body: MessageBody): Promise<Buffer> {
    return this.#isSealed(body.mti, body.fields[codeElementOf(this.#network.session)])
      ? encodeSealed(this.#codec, body, (data) => this.#seal(data))
      : this.#codec.encode(body)
  }

  /** Network management goes without where it can't be written or sealed: both ends try again later. */
  async #management(body: MessageBody): Promise<Buffer | undefined> {
    try {
      return await this.#encode(body)
    } catch (error) {
      if (!(error instanceof SealError || error instanceof IsoCodecError)) throw error
      this.#log.error({ mti: body.mti, fault: error.name }, 'network management that cannot be sent')
      return undefined
    }
  }

  #isSealed(mti: string, code: FieldValue | undefined): boolean {
    const { sealedClasses, session } = this.#network
    if (sealedClasses.includes(mti[1]!)) return true
    if (mti[1] !== '8') return false
    return typeof code === 'string' && session.sealedCodes?.includes(code) === true
  }

  async #checkSeal(message: Message): Promise<boolean> {
    const sealed = sealedPart(this.#codec, message)
    if (sealed === undefined)
      return !this.#isSealed(message.mti, message.get(codeElementOf(this.#network.session)))
    const good = await this.#sealer.verify(sealed.data, sealed.mac)
    if (good) this.#badSeals = 0
    return good
  }

  #outcome(outcome: ExchangeOutcome, sent: string): LegOutcome {
    switch (outcome.kind) {
      case 'answered':
        return { kind: 'answered', answer: this.#answer(outcome.message), sent }
      case 'notSent':
        return { kind: 'notSent', reason: outcome.reason === 'closed' ? 'offline' : outcome.reason }
      case 'maybeSent':
        return { kind: 'maybeSent', reason: maybeSentReasons[outcome.reason], sent }
    }
  }

  #answer(message: Message): LegAnswer {
    const authId = message.text(38)
    const amountMinor = message.amount(4)
    const currencyNumeric = message.text(49)
    const additionalAmounts = message.text(54)
    const settlementDate = message.text(15)
    return {
      mti: message.mti,
      responseCode: message.text(39) ?? '',
      ...(authId !== undefined && { authId }),
      ...(amountMinor !== undefined && { amountMinor }),
      ...(currencyNumeric !== undefined && { currencyNumeric }),
      ...(additionalAmounts !== undefined && { additionalAmounts }),
      ...traceOf(message, this.rules.traceElements ?? []),
      ...(settlementDate !== undefined && { settlementDate }),
      described: this.#codec.describe(message),
    }
  }

  #onLate(identity: LegIdentity & { readonly mti: string }, message: Message): void {
    if (identity.mti[1] === '8') return
    const { stan, transmittedAt } = identity
    this.#log.info({ stan, responseCode: message.text(39) }, 'late answer')
    const answer = this.#answer(message)
    for (const listener of this.#lateListeners) listener({ stan, transmittedAt }, answer)
  }

  #onAnomaly(anomaly: Anomaly): void {
    const { kind, link } = anomaly
    if (kind === 'unparseable') {
      const { code, path, offset } = anomaly.error
      this.#log.warn({ kind, link: link.id, code, path, offset }, 'anomaly')
      return
    }
    const { message } = anomaly
    const details = { kind, link: link.id, mti: message.mti, stan: message.text(11) }
    if (kind === 'crossMatch') this.#log.error({ ...details, de: anomaly.de }, 'anomaly')
    else if (kind === 'contradictory') this.#log.error(details, 'anomaly')
    else this.#log.warn(details, 'anomaly')
    if (kind === 'badSeal' && ++this.#badSeals >= badSealsToAlarm) {
      this.#log.error({ badSeals: this.#badSeals }, 'seals are wrong again and again: key out of step')
    }
  }

  #onStans(): void {
    if (!this.#started) {
      this.#started = true
      this.#session.start()
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

/** The sealer failed, whatever its reason: nothing was sent. */
class SealError extends Error {}

const maybeSentReasons: Readonly<
  Record<(ExchangeOutcome & { readonly kind: 'maybeSent' })['reason'], MaybeSentReason>
> = {
  deadline: 'deadline',
  linkLost: 'linkLost',
  badSeal: 'badMac',
  // The HSM's silence, not the network's: to the transaction there was no answer by the deadline.
  sealUnchecked: 'deadline',
  unparseable: 'unparseable',
  abandoned: 'draining',
}

/** Any well-formed answer is good health, a decline too: it is the issuer that declines, and the network that works. */
function healthOf(outcome: ExchangeOutcome): LegHealth {
  switch (outcome.kind) {
    case 'answered':
      return 'success'
    case 'notSent':
      return 'neutral'
    case 'maybeSent':
      return outcome.reason === 'sealUnchecked' || outcome.reason === 'abandoned' ? 'neutral' : 'failure'
  }
}

/** Advices and reversals: what is stored and forwarded. */
function isStored(mti: string): boolean {
  return mti[1] === '4' || mti[2] === '2'
}

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

function dialler(
  { frame, session }: NetworkProfile,
  { host, port, clock }: ConnectorOptions,
): NonNullable<ConnectorOptions['dial']> {
  // A peer that has let three echo times pass without a word is gone, whatever TCP says.
  const limits = { idleMs: session.echoAfterMs * 3 }
  return (handlers) => connectLink({ host, port, frame, clock, limits }, handlers)
}
