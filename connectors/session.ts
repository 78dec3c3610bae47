import {
  type ExchangeOutcome,
  type Link,
  type LinkCloseReason,
  LinkError,
  type LinkHandlers,
  type Message,
} from '../iso8583/iso8583.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { Dialogue } from './dialogue.ts'
import type { Door } from './doors.ts'
import type { SessionState } from './session-state.ts'
import type { Log, SessionProfile } from './network.ts'
import { Patience } from './patience.ts'

export interface SessionOptions {
  /** The one that is current now. */
  readonly dialogue: () => Dialogue
  readonly door: Door
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onState: () => void
  /** It could not be connected, secured or signed on. */
  readonly onFailed?: () => void
}

/** An alarm after so many refusals in a row. */
const refusalsToAlarm = 3
/** A peer that signs on itself may take so many times as long as an answer. */
const signOnPatience = 3

/**
 * One session with a network: it connects, signs on, keeps the line warm with echoes, notices when the other end
 * is gone, and begins again, each time a little more patient.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #clock: Clock
  readonly #patience: Patience
  #state: SessionState = 'down'
  #link: Link | undefined
  #dialogue: Dialogue | undefined
  #ending = false
  #inFlight = 0
  #echoMs: number | undefined
  #peerSignedOff = false
  #onPeerSignedOn: (() => void) | undefined
  #echoTimer: Timer | undefined
  #wake: (() => void) | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#patience = new Patience(() => this.#profile, options.random, options.door)
  }

  get state(): SessionState {
    return this.#state
  }

  /** The other end's connection, while there is one. */
  get link(): Link | undefined {
    return this.#link
  }

  /** What is spoken on the connection, while there is one. */
  get dialogue(): Dialogue | undefined {
    return this.#link === undefined ? undefined : this.#dialogue
  }

  /** Of the connection's own edition; without one, of the current. */
  get #profile(): SessionProfile {
    return (this.dialogue ?? this.#options.dialogue()).session
  }

  /** Requests that wait for their answer. */
  get inFlight(): number {
    return this.#inFlight
  }

  get status(): SessionStatus {
    return {
      state: this.#state,
      inFlight: this.#inFlight,
      ...(this.#link !== undefined && { peer: this.#link.peer }),
      ...(this.#echoMs !== undefined && { echoMs: this.#echoMs }),
    }
  }

  /** Connects and stays connected until `end`. */
  start(): void {
    void this.#live()
  }

  /** Sends a request of somebody else's. Only an online session takes one. */
  async exchange(bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome> {
    const [link, dialogue] = [this.#link, this.#dialogue]
    if (link === undefined || dialogue === undefined || this.#state !== 'online')
      return { kind: 'notSent', reason: 'closed' }
    this.#inFlight++
    try {
      return await dialogue.multiplexer.exchange(link, bytes, deadlineMs)
    } finally {
      this.#inFlight--
    }
  }

  async echo(): Promise<boolean> {
    return this.#link !== undefined && (await this.#echo(this.#link))
  }

  ask(question: NetworkQuestion): Promise<Message | undefined> {
    if (this.#link === undefined || this.#dialogue === undefined) return Promise.resolve(undefined)
    return this.#dialogue.management.ask(this.#link, question)
  }

  /** Signs off and closes, or closes at once; `start` does not bring it back. */
  async end(how?: 'cut'): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    const link = this.#link
    if (how !== 'cut' && link !== undefined && (this.#state === 'online' || this.#state === 'suspect')) {
      this.#become('draining')
      if (this.#profile.signOn !== 'none') await this.#tell(link, 'signOff')
    }
    link?.close(how === 'cut' ? 'another may hold the line now' : 'drained')
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
      if (ended !== 'lost') this.#options.onFailed?.()
      const waitMs = this.#patience.after(ended)
      this.#options.log.warn({ ended, waitMs: Math.round(waitMs) }, 'session down')
      if (waitMs > 0) await this.#wait(waitMs)
    }
  }

  /** From connecting to the loss of the connection. */
  async #oneConnection(): Promise<'notConnected' | 'refused' | 'lost'> {
    this.#become('connecting')
    let onClosed: () => void = () => undefined
    const closed = new Promise<void>((resolve) => {
      onClosed = resolve
    })
    const link = await this.#dial(onClosed)
    if (link === undefined) return 'notConnected'
    this.#link = link
    if (this.#isEnding()) {
      link.close('drained')
      return 'lost'
    }
    this.#peerSignedOff = false
    this.#become('signingOn')
    const isSignedOn = await this.#signOn(link)
    if (this.#isEnding()) return 'lost'
    if (!isSignedOn) {
      link.close('sign-on refused')
      return 'refused'
    }
    const onlineAt = this.#clock.monotonicMs()
    this.#options.log.info({ peer: link.peer }, 'signed on')
    this.#patience.signedOn()
    this.#resume()
    this.#watch(link)
    await closed
    if (this.#clock.monotonicMs() - onlineAt >= this.#profile.steadyMs) this.#patience.steady()
    return 'lost'
  }

  async #dial(onClosed: () => void): Promise<Link | undefined> {
    try {
      return await this.#options.door.dial(
        (dialled, dialogue) => this.#handlers(dialled, dialogue, onClosed),
        this.#patience.endpoint,
      )
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      const { fault } = error
      // Nobody is there: that mends itself. What is wrong with TLS does not.
      const isOurs = fault.kind !== 'connect' && fault.kind !== 'connectTimeout'
      if (!this.#isEnding()) this.#options.log[isOurs ? 'error' : 'warn']({ fault }, 'no connection')
      return undefined
    }
  }

  async #signOn(link: Link): Promise<boolean> {
    switch (this.#profile.signOn ?? 'ours') {
      case 'none':
        return link.open
      case 'peer':
        return this.#peerSignsOn(link)
      case 'ours': {
        const responseCode = await this.#tell(link, 'signOn')
        if (responseCode !== undefined && this.#profile.approved.includes(responseCode)) return true
        const refusals = this.#patience.refused()
        if (refusals >= refusalsToAlarm) {
          this.#options.log.error({ responseCode, refusals }, 'sign-on refused again and again')
        }
        return false
      }
    }
  }

  #peerSignsOn(link: Link): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#profile.answerMs * signOnPatience, () => resolve(false))
      this.#onPeerSignedOn = () => {
        timer.cancel()
        resolve(link.open)
      }
    })
  }

  #handlers(link: Link, dialogue: Dialogue, onClosed: () => void): LinkHandlers {
    const { management, multiplexer } = dialogue
    this.#dialogue = dialogue
    const exchanges = multiplexer.attach(link, (message) => {
      const word = management.receive(link, message)
      if (word !== undefined) this.#peerSigned(word)
    })
    return {
      onMessage: (body) => {
        exchanges.onMessage(body)
      },
      onClose: (reason: LinkCloseReason) => {
        // Before the legs settle, so that what they cause already finds the session down.
        if (this.#link === link && !this.#ending) this.#become('down')
        this.#options.log.info({ reason }, 'connection closed')
        exchanges.onClose(reason)
        this.#onPeerSignedOn?.()
        onClosed()
      },
    }
  }

  #peerSigned(word: 'signedOn' | 'signedOff'): void {
    this.#peerSignedOff = word === 'signedOff'
    if (word === 'signedOn') this.#onPeerSignedOn?.()
    if (this.#state === 'online' || this.#state === 'signedOff') this.#resume()
  }

  #resume(): void {
    this.#become(this.#peerSignedOff ? 'signedOff' : 'online')
  }

  #tell(link: Link, what: 'signOn' | 'signOff' | 'echo'): Promise<string | undefined> {
    return this.#dialogue?.management.tell(link, what) ?? Promise.resolve(undefined)
  }

  async #echo(link: Link): Promise<boolean> {
    const askedAt = this.#clock.monotonicMs()
    const answered = (await this.#tell(link, 'echo')) !== undefined
    if (answered) this.#echoMs = this.#clock.monotonicMs() - askedAt
    return answered
  }

  /**
   * Waits for the peer's silence, then asks. What we send says nothing of it: a dead peer's socket takes requests for as
   * long as there is room for them.
   */
  #watch(link: Link): void {
    if (!link.open || this.#ending) return
    const restMs = this.#profile.echoAfterMs - link.quietMs
    if (restMs <= 0) void this.#askUntilSure(link)
    else this.#echoTimer = this.#clock.after(restMs, () => this.#watch(link))
  }

  async #askUntilSure(link: Link): Promise<void> {
    for (let unanswered = 0; unanswered < this.#profile.unansweredMax; unanswered++) {
      const answered = await this.#echo(link)
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
    this.#options.onState()
  }
}
