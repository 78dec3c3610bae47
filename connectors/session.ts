import {
  answerMti,
  type Dialect,
  type ExchangeOutcome,
  type Link,
  type LinkCloseReason,
  LinkError,
  type LinkHandlers,
  type Message,
  type MessageBody,
  type Multiplexer,
} from '../iso8583/iso8583.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { LegIdentity, NetworkQuestion, NetworkReply } from './connector.ts'
import { codeElementOf, type Log, type SessionProfile } from './network.ts'
import type { NetworkRequests } from './network-requests.ts'

export type SessionState =
  | 'down'
  | 'connecting'
  | 'signingOn'
  | 'online'
  /** An echo was not answered: nothing new is sent until one is. */
  | 'suspect'
  /** The peer signed off: nothing new is sent until it signs on again. */
  | 'signedOff'
  | 'draining'
  | 'closed'

export interface SessionOptions {
  readonly profile: SessionProfile
  readonly dialect: Dialect
  readonly multiplexer: Multiplexer
  readonly dial: (handlers: (link: Link) => LinkHandlers) => Promise<Link>
  readonly clock: Clock
  readonly random: Random
  readonly identify: () => LegIdentity | undefined
  /** Encodes, and seals what has to be. undefined: it can't be. */
  readonly encode: (body: MessageBody) => Promise<Buffer | undefined>
  readonly networkRequests: NetworkRequests
  readonly log: Log
  readonly onState: (state: SessionState) => void
}

/** An alarm after so many refusals in a row. */
const refusalsToAlarm = 3

/**
 * One session with a network: it connects, signs on, keeps the line warm with echoes, notices when the other end
 * is gone, and begins again, each time a little more patient.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #profile: SessionProfile
  readonly #clock: Clock
  #state: SessionState = 'down'
  #link: Link | undefined
  #ending = false
  #trafficAt = 0
  #losses = 0
  #refusals = 0
  #peerSignedOff = false
  #echoTimer: Timer | undefined
  #wake: (() => void) | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.#profile = options.profile
    this.#clock = options.clock
  }

  get state(): SessionState {
    return this.#state
  }

  /** Connects and stays connected until `end`. */
  start(): void {
    void this.#live()
  }

  /** Sends a request of somebody else's. Only an online session takes one. */
  exchange(bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome> {
    if (this.#link === undefined || this.#state !== 'online') {
      return Promise.resolve({ kind: 'notSent', reason: 'closed' })
    }
    return this.#exchange(this.#link, bytes, deadlineMs)
  }

  /** Whether the peer answers an echo. It proves the peer's front end, not the issuers behind it. */
  async echo(): Promise<boolean> {
    return this.#link !== undefined && (await this.#manage(this.#link, 'echo')) !== undefined
  }

  /** Asks the peer something of network management's. undefined: no answer. */
  ask(question: NetworkQuestion): Promise<Message | undefined> {
    return this.#link === undefined ? Promise.resolve(undefined) : this.#ask(this.#link, question)
  }

  /** Signs off and closes; `start` does not bring it back. */
  async end(): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    const link = this.#link
    if (link !== undefined && (this.#state === 'online' || this.#state === 'suspect')) {
      this.#become('draining')
      await this.#manage(link, 'signOff')
    }
    link?.close('drained')
    this.#wake?.()
    this.#become('closed')
  }

  async #live(): Promise<void> {
    while (!this.#ending) {
      const ended = await this.#oneConnection()
      this.#link = undefined
      this.#echoTimer?.cancel()
      if (this.#isEnding()) return
      this.#become('down')
      const waitMs = this.#backoffMs(ended)
      this.#options.log.warn({ ended, waitMs: Math.round(waitMs) }, 'session down')
      await this.#wait(waitMs)
    }
  }

  /** From connecting to the loss of the connection. */
  async #oneConnection(): Promise<'notConnected' | 'refused' | 'lost'> {
    this.#become('connecting')
    let onClosed: () => void = () => undefined
    const closed = new Promise<void>((resolve) => {
      onClosed = resolve
    })
    let link: Link
    try {
      link = await this.#options.dial((dialled) => this.#handlers(dialled, onClosed))
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      return 'notConnected'
    }
    this.#link = link
    if (this.#isEnding()) {
      link.close('drained')
      return 'lost'
    }
    this.#peerSignedOff = false
    this.#become('signingOn')
    const responseCode = await this.#manage(link, 'signOn')
    if (responseCode === undefined || !this.#profile.approved.includes(responseCode)) {
      link.close('sign-on refused')
      if (++this.#refusals >= refusalsToAlarm) {
        this.#options.log.error({ responseCode, refusals: this.#refusals }, 'sign-on refused again and again')
      }
      return 'refused'
    }
    this.#refusals = 0
    const onlineAt = this.#clock.monotonicMs()
    this.#options.log.info({ peer: link.peer }, 'signed on')
    this.#resume()
    this.#watch(link)
    await closed
    if (this.#clock.monotonicMs() - onlineAt >= this.#profile.steadyMs) this.#losses = 0
    return 'lost'
  }

  #handlers(link: Link, onClosed: () => void): LinkHandlers {
    const exchanges = this.#options.multiplexer.attach(link, (message) => this.#onRequest(link, message))
    this.#trafficAt = this.#clock.monotonicMs()
    return {
      onMessage: (body) => {
        this.#trafficAt = this.#clock.monotonicMs()
        exchanges.onMessage(body)
      },
      onClose: (reason: LinkCloseReason) => {
        // Before the legs settle, so that what they cause already finds the session down.
        if (this.#link === link && !this.#ending) this.#become('down')
        this.#options.log.info({ reason }, 'connection closed')
        exchanges.onClose(reason)
        onClosed()
      },
    }
  }

  get #mti(): string {
    return this.#profile.mti ?? '0800'
  }

  /** A request of network management, or its repeat. */
  #isManagement(mti: string): boolean {
    return mti === this.#mti || mti === `${this.#mti.slice(0, 3)}${Number(this.#mti[3]) + 1}`
  }

  /** Network management of the peer's: answered whatever the session's state. */
  #onRequest(link: Link, request: Message): void {
    if (!this.#isManagement(request.mti)) {
      this.#options.log.warn({ mti: request.mti }, 'a request that this session does not take')
      return
    }
    const { codes, approved } = this.#profile
    const code = request.text(codeElementOf(this.#profile))
    if (code !== codes.echo && code !== codes.signOn && code !== codes.signOff) {
      void this.#handOver(link, request)
      return
    }
    void this.#answer(link, request, { responseCode: approved[0]! })
    if (code === codes.signOff) this.#peerSigned(off)
    else if (code === codes.signOn) this.#peerSigned(on)
  }

  async #handOver(link: Link, request: Message): Promise<void> {
    const reply = await this.#options.networkRequests.reply(request)
    if (reply !== undefined) await this.#answer(link, request, reply)
  }

  async #answer(
    link: Link,
    request: Message,
    { responseCode, fields = {} }: Exclude<NetworkReply, string>,
  ): Promise<void> {
    const mti = answerMti(this.#options.dialect, request.mti)
    if (mti === undefined) return
    const echoed = Object.fromEntries(
      [7, 11, codeElementOf(this.#profile)].flatMap((de) =>
        request.has(de) ? [[de, request.text(de) ?? '']] : [],
      ),
    )
    const bytes = await this.#options.encode({
      mti,
      fields: { ...fields, ...echoed, 39: responseCode },
    })
    if (bytes !== undefined) await link.send(bytes)
  }

  #peerSigned(way: 'on' | 'off'): void {
    this.#peerSignedOff = way === off
    if (this.#state === 'online' || this.#state === 'signedOff') this.#resume()
  }

  #resume(): void {
    this.#become(this.#peerSignedOff ? 'signedOff' : 'online')
  }

  /** One 0800. The answer's response code, or undefined: no answer. */
  async #manage(link: Link, what: 'signOn' | 'signOff' | 'echo'): Promise<string | undefined> {
    const answer = await this.#ask(link, { code: this.#profile.codes[what] })
    return answer?.text(39)
  }

  async #ask(link: Link, { code, fields = {} }: NetworkQuestion): Promise<Message | undefined> {
    const identity = this.#options.identify()
    if (identity === undefined) return undefined
    const { stan, transmittedAt } = identity
    const bytes = await this.#options.encode({
      mti: this.#mti,
      fields: { ...fields, 7: transmittedAt, 11: stan, [codeElementOf(this.#profile)]: code },
    })
    if (bytes === undefined) return undefined
    const deadlineMs = this.#clock.monotonicMs() + this.#profile.answerMs
    const outcome = await this.#exchange(link, bytes, deadlineMs)
    return outcome.kind === 'answered' ? outcome.message : undefined
  }

  #exchange(link: Link, bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome> {
    this.#trafficAt = this.#clock.monotonicMs()
    return this.#options.multiplexer.exchange(link, bytes, deadlineMs)
  }

  /** Waits for silence, then asks. */
  #watch(link: Link): void {
    if (!link.open || this.#ending) return
    const silentMs = this.#clock.monotonicMs() - this.#trafficAt
    if (silentMs >= this.#profile.echoAfterMs) void this.#askUntilSure(link)
    else this.#echoTimer = this.#clock.after(this.#profile.echoAfterMs - silentMs, () => this.#watch(link))
  }

  async #askUntilSure(link: Link): Promise<void> {
    for (let unanswered = 0; unanswered < this.#profile.unansweredMax; unanswered++) {
      const answered = (await this.#manage(link, 'echo')) !== undefined
      if (!link.open || this.#ending) return
      if (answered) {
        if (this.#state === 'suspect') this.#resume()
        this.#watch(link)
        return
      }
      this.#become('suspect')
    }
    link.close('echoes unanswered')
  }

  #backoffMs(ended: 'notConnected' | 'refused' | 'lost'): number {
    const { reconnectMs, reconnectMsMax, refusedMs, refusedMsMax } = this.#profile
    if (ended === 'refused') {
      const baseMs = Math.min(refusedMs * 2 ** (this.#refusals - 1), refusedMsMax)
      return baseMs * (1 + this.#options.random.fraction() / 5)
    }
    return Math.min(reconnectMs * 2 ** this.#losses++, reconnectMsMax) * this.#options.random.fraction()
  }

  /** Until the time is over, or `end` is called. */
  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(delayMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  #isEnding(): boolean {
    return this.#ending
  }

  #become(state: SessionState): void {
    if (this.#state === state || this.#state === 'closed') return
    if (this.#state === 'draining' && state !== 'closed') return
    this.#state = state
    this.#options.onState(state)
  }
}

const on = 'on'
const off = 'off'
