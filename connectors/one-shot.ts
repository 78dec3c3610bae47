import { createPool, type Pool } from 'generic-pool'
import { type ExchangeOutcome, type Link, LinkError, type Message } from '../iso8583/iso8583.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { Dialogue } from './dialogue.ts'
import type { Door } from './doors.ts'
import type { Line, Written } from './line.ts'
import type { SessionState } from './session-state.ts'
import type { Log } from './network.ts'
import { Patience } from './patience.ts'

export interface OneShotOptions {
  /** One for all connections: a leased one must not be of another edition than the request. */
  readonly dialogue: Dialogue
  readonly door: Door
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onState: () => void
  /** The most connections at once, each with one request. */
  readonly connectionsMax: number
  /** Whether a connection takes another request after an answer. */
  readonly reuses: boolean
}

/** Nobody waits longer for a connection. */
const leaseMsMax = 1_000
/** At least so long between two attempts of which the first failed. */
const failedMsMin = 100

/**
 * A destination that takes one request on a connection at a time: connections are leased from a pool, and there is no
 * sign-on. The pool is generic-pool 3.9.0; its factory waits when it fails, since the pool would not; what it is asked
 * before each loan is a flag of ours, that can neither fail nor take time; and a failed factory is tried again by us,
 * since the pool forgets it.
 */
export class OneShotLine implements Line {
  readonly #options: OneShotOptions
  readonly #pool: Pool<Link>
  readonly #patience: Patience
  #state: SessionState = 'down'
  #ending = false

  constructor(options: OneShotOptions) {
    this.#options = options
    this.#patience = new Patience(() => options.dialogue.session, options.random, options.door)
    this.#pool = createPool(
      {
        create: () => this.#connect(),
        destroy: (link) => {
          link.close('not needed any more')
          return Promise.resolve()
        },
        validate: (link) => Promise.resolve(link.open),
      },
      {
        max: options.connectionsMax,
        min: 0,
        maxWaitingClients: options.connectionsMax,
        acquireTimeoutMillis: leaseMsMax,
        testOnBorrow: true,
        evictionRunIntervalMillis: 0,
      },
    )
    // Logged where it happened; without a listener the pool's event would end the process.
    this.#pool.on('factoryCreateError', () => undefined)
  }

  get state(): SessionState {
    return this.#state
  }

  get sessions(): readonly SessionStatus[] {
    return [{ state: this.#state, inFlight: this.#pool.borrowed }]
  }

  start(): void {
    this.#become('connecting')
    void this.#recover()
  }

  dialogue(): Dialogue {
    return this.#options.dialogue
  }

  async exchange({ bytes }: Written, deadlineMs: number): Promise<ExchangeOutcome> {
    const { clock, dialogue } = this.#options
    const link = await this.#lease(deadlineMs - clock.monotonicMs())
    if (link === undefined) {
      return { kind: 'notSent', reason: this.#state === 'online' ? 'congested' : 'closed' }
    }
    let isFree = false
    try {
      const outcome = await dialogue.multiplexer.exchange(link, bytes, deadlineMs)
      isFree = outcome.kind !== 'maybeSent' && this.#options.reuses
      return outcome
    } finally {
      this.#giveBack(link, isFree)
    }
  }

  async echo(): Promise<boolean> {
    const answered = await this.#over((link) => this.#options.dialogue.management.tell(link, 'echo'))
    return answered !== undefined
  }

  ask(question: NetworkQuestion): Promise<Message | undefined> {
    return this.#over((link) => this.#options.dialogue.management.ask(link, question))
  }

  async end(): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    this.#become('closed')
    // A loan that is never given back would keep the pool's own drain waiting for ever.
    await Promise.race([this.#pool.drain(), sleep(this.#options.clock, leaseMsMax)])
    await this.#pool.clear()
    await this.#options.door.close()
  }

  async #over<Answer>(ask: (link: Link) => Promise<Answer | undefined>): Promise<Answer | undefined> {
    const link = await this.#lease(leaseMsMax)
    if (link === undefined) return undefined
    const answer = await ask(link)
    this.#giveBack(link, answer !== undefined && this.#options.reuses)
    return answer
  }

  /** A connection within the time, or undefined; one that comes later goes back. */
  #lease(waitMs: number): Promise<Link | undefined> {
    return new Promise((resolve) => {
      let gone = false
      const timer = this.#options.clock.after(Math.min(waitMs, leaseMsMax), () => {
        gone = true
        resolve(undefined)
      })
      this.#pool.acquire().then(
        (link) => {
          timer.cancel()
          if (gone) this.#giveBack(link, true)
          else resolve(link)
        },
        () => {
          timer.cancel()
          resolve(undefined)
        },
      )
    })
  }

  /** A connection on which an answer may still come is of no use to the next request. */
  #giveBack(link: Link, isFree: boolean): void {
    const back = isFree && link.open ? this.#pool.release(link) : this.#pool.destroy(link)
    back.catch((error: unknown) =>
      this.#options.log.error({ fault: nameOf(error) }, 'the pool of connections'),
    )
  }

  async #connect(): Promise<Link> {
    const { clock, dialogue, door, log } = this.#options
    const { management, multiplexer } = dialogue
    try {
      const link = await door.dial((dialled) => {
        const exchanges = multiplexer.attach(dialled, (message) => void management.receive(dialled, message))
        return {
          onMessage: (body) => exchanges.onMessage(body),
          onClose(reason) {
            log.info({ reason }, 'connection closed')
            exchanges.onClose(reason)
          },
        }
      }, this.#patience.endpoint)
      this.#patience.steady()
      this.#become('online')
      return link
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      if (!this.#ending) {
        log.warn({ fault: error.fault }, 'no connection')
        if (this.#state === 'online') void this.#recover()
        this.#become('down')
        await sleep(clock, Math.max(failedMsMin, this.#patience.after('notConnected')))
      }
      throw error
    }
  }

  /** Asks for a connection until there is one: nobody else does while the line is down. */
  async #recover(): Promise<void> {
    await Promise.resolve()
    while (!this.#ending && this.#state !== 'online') {
      const link = await this.#lease(leaseMsMax)
      if (link !== undefined) this.#giveBack(link, true)
      else if (!this.#isEnding()) await sleep(this.#options.clock, failedMsMin)
    }
  }

  #isEnding(): boolean {
    return this.#ending
  }

  #become(state: SessionState): void {
    if (this.#state === state || this.#state === 'closed') return
    this.#state = state
    this.#options.onState()
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
