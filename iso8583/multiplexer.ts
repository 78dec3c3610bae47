import type { Clock } from '../kernel/clock.ts'
import { IsoCodecError } from './error.ts'
import {
  type ExchangeIdentity,
  type ExchangeOutcome,
  Exchanges,
  type TombstoneLimits,
  type UnansweredReason,
  type Waiting,
} from './exchanges.ts'
import type { Link, LinkHandlers } from './link.ts'
import type { Message } from './message.ts'

/** Which answer belongs to which request, in the numbers of data elements. Data of a network. */
export interface Correlation {
  /**
   * With version and class, what names a request of class 1 to 7. Only elements that the network echoes; a STAN
   * alone comes round every few hours and names nothing.
   */
  readonly key: readonly number[]
  /** The same for network management, class 8. */
  readonly networkManagementKey: readonly number[]
  /** Compared after the key matched, where both messages carry them. */
  readonly echoCheck: readonly number[]
}

export interface MultiplexerOptions {
  readonly codec: { decode(bytes: Uint8Array): Message }
  readonly clock: Clock
  readonly correlation: Correlation
  /** An answer may come over any link; else only over that of its request. */
  readonly anyLink?: boolean
  readonly limits?: Partial<TombstoneLimits>
  /** Whether a message that came is sealed as it must be. A rejection means that nobody could say. */
  readonly checkSeal: (message: Message) => Promise<boolean>
  readonly events: MultiplexerEvents
}

interface MultiplexerEvents {
  /** The first believable answer to a request whose waiter had gone. */
  onLate(identity: ExchangeIdentity, message: Message): void
  /** What should not happen, and changed nothing. */
  onAnomaly(anomaly: Anomaly): void
}

export type Anomaly =
  /** Not a message of the dialect. */
  | { readonly kind: 'unparseable'; readonly link: Link; readonly error: IsoCodecError }
  /** An answer to nothing that we know of. */
  | { readonly kind: 'orphan'; readonly link: Link; readonly message: Message }
  /** The key of one request, the content of another: `de` differs, 0 being the message type. */
  | { readonly kind: 'crossMatch'; readonly link: Link; readonly message: Message; readonly de: number }
  | { readonly kind: 'badSeal'; readonly link: Link; readonly message: Message }
  | { readonly kind: 'sealUnchecked'; readonly link: Link; readonly message: Message }
  /** An answer without a response code. */
  | { readonly kind: 'incomplete'; readonly link: Link; readonly message: Message }
  /** An answer that we have had. */
  | { readonly kind: 'duplicate'; readonly link: Link; readonly message: Message }
  /** A second answer that says something else than the first, which stands. */
  | { readonly kind: 'contradictory'; readonly link: Link; readonly message: Message }

const tombstoneLimits: TombstoneLimits = { lateMs: 15 * 60_000, tombstonesMax: 250_000 }

/** What an answer decides: two that agree on these are the same answer. Amount, auth id, response code, currency. */
const decisive = [4, 38, 39, 49]

/**
 * Many requests at once over the links to one destination. Each is settled exactly once, as answered, not sent, or
 * perhaps sent; answers come in any order, late, twice or wrong. Pure of time and chance: its clock is a port.
 */
export class Multiplexer {
  readonly #options: MultiplexerOptions
  readonly #clock: Clock
  readonly #exchanges: Exchanges

  constructor(options: MultiplexerOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#exchanges = new Exchanges(options.clock, { ...tombstoneLimits, ...options.limits })
  }

  get inFlight(): number {
    return this.#exchanges.inFlight
  }

  /** Whether a request with this STAN is in flight or could still be answered. */
  inUse(stan: string): boolean {
    return this.#exchanges.inUse(stan)
  }

  /** What a link's handlers must do for the exchanges on it. Requests of the peer are handed up, seal checked. */
  attach(link: Link, onRequest: (message: Message) => void): LinkHandlers {
    return {
      onMessage: (body) => void this.#receive(link, body, onRequest),
      onClose: () => this.#lose(link),
    }
  }

  /**
   * Sends one encoded request and waits for its answer until the deadline. Never rejects; throws `IsoCodecError` at
   * once for bytes that are no message of the dialect. The same key twice at the same time is refused: no answer
   * could tell the two apart.
   */
  exchange(link: Link, bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome> {
    const remainingMs = deadlineMs - this.#clock.monotonicMs()
    if (!link.open) return Promise.resolve({ kind: 'notSent', reason: 'closed' })
    if (remainingMs <= 0) return Promise.resolve({ kind: 'notSent', reason: 'noTime' })
    const sent = this.#options.codec.decode(bytes)
    const key = this.#keyOf(sent)
    if (this.#exchanges.waiting(key)) return Promise.resolve({ kind: 'notSent', reason: 'malformed' })

    return new Promise((resolve) => {
      const waiting: Waiting = {
        key,
        link,
        mti: sent.mti,
        stan: sent.text(11) ?? '',
        transmittedAt: sent.text(7) ?? '',
        sent,
        deadlineMs,
        timer: this.#clock.after(remainingMs, () => this.#expire(waiting)),
        resolve,
        checking: 0,
        linkLost: false,
        flaw: undefined,
      }
      this.#exchanges.add(waiting)
      void this.#send(waiting, bytes)
    })
  }

  /** Stops waiting for whatever is in flight. */
  abandon(): void {
    for (const waiting of this.#exchanges.all()) this.#settleUnanswered(waiting, 'abandoned')
  }

  async #send(waiting: Waiting, bytes: Buffer): Promise<void> {
    const outcome = await waiting.link.send(bytes)
    if (outcome === 'notSent') {
      const reason = waiting.link.open ? 'congested' : 'closed'
      this.#exchanges.settle(waiting, { kind: 'notSent', reason })
    } else if (outcome === 'failed') this.#lost(waiting)
  }

  async #receive(link: Link, bytes: Buffer, onRequest: (message: Message) => void): Promise<void> {
    let message: Message
    try {
      message = this.#options.codec.decode(bytes)
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      this.#options.events.onAnomaly({ kind: 'unparseable', link, error })
      return
    }
    if (isAnswer(message.mti)) await this.#receiveAnswer(link, message)
    else if ((await this.#checkSeal(link, message)) === 'good' && link.open) onRequest(message)
  }

  async #receiveAnswer(link: Link, message: Message): Promise<void> {
    const key = this.#keyOf(message)
    const waiting = this.#exchanges.waiting(key)
    if (waiting !== undefined) {
      const de = this.#difference(waiting, link, message)
      if (de !== undefined) {
        this.#options.events.onAnomaly({ kind: 'crossMatch', link, message, de })
        return
      }
      waiting.checking++
    } else if (this.#exchanges.tombstone(key) === undefined) {
      this.#options.events.onAnomaly({ kind: 'orphan', link, message })
      return
    }

    // Nothing is done on the word of a message before its seal is known; and by then the waiter may have gone.
    const seal = await this.#checkSeal(link, message)
    if (waiting !== undefined) waiting.checking--
    if (seal !== 'good') this.#flaw(waiting, seal)
    // The answer to totals may say what it has to say in DE66 alone.
    else if (!message.has(39) && !(message.mti[1] === '5' && message.has(66))) {
      this.#options.events.onAnomaly({ kind: 'incomplete', link, message })
      this.#flaw(waiting, 'unparseable')
    } else this.#accept(key, waiting, link, message)
  }

  #accept(key: string, waiting: Waiting | undefined, link: Link, message: Message): void {
    const answer = decision(message)
    if (waiting !== undefined && this.#clock.monotonicMs() < waiting.deadlineMs) {
      if (this.#exchanges.settle(waiting, { kind: 'answered', message }, answer)) return
    } else if (waiting !== undefined) {
      // The deadline has passed and its timer has not run yet: the answer is late all the same.
      this.#expire(waiting)
    }
    const tombstone = this.#exchanges.tombstone(key)
    if (tombstone === undefined) this.#options.events.onAnomaly({ kind: 'orphan', link, message })
    else if (tombstone.answer === undefined) {
      tombstone.answer = answer
      this.#options.events.onLate(tombstone, message)
    } else {
      const kind = tombstone.answer === answer ? 'duplicate' : 'contradictory'
      this.#options.events.onAnomaly({ kind, link, message })
    }
  }

  async #checkSeal(link: Link, message: Message): Promise<'good' | 'badSeal' | 'sealUnchecked'> {
    let kind: 'badSeal' | 'sealUnchecked' = 'badSeal'
    try {
      if (await this.#options.checkSeal(message)) return 'good'
    } catch {
      kind = 'sealUnchecked'
    }
    this.#options.events.onAnomaly({ kind, link, message })
    return kind
  }

  /** The first element that shows the answer to be another request's; 0 is the message type. */
  #difference(waiting: Waiting, link: Link, answer: Message): number | undefined {
    if (waiting.link !== link && this.#options.anyLink !== true) return 0
    if (answer.mti !== answerMti(waiting.mti)) return 0
    return this.#options.correlation.echoCheck.find((de) => {
      const [ours, theirs] = [waiting.sent.raw(de), answer.raw(de)]
      return ours !== undefined && theirs !== undefined && Buffer.compare(ours, theirs) !== 0
    })
  }

  /** No answer: the waiter goes on to its deadline, and is then told the better reason. */
  #flaw(waiting: Waiting | undefined, flaw: NonNullable<Waiting['flaw']>): void {
    if (waiting === undefined) return
    waiting.flaw = flaw
    if (waiting.linkLost && waiting.checking === 0) this.#lost(waiting)
  }

  #expire(waiting: Waiting): void {
    this.#settleUnanswered(waiting, waiting.flaw ?? 'deadline')
  }

  #lose(link: Link): void {
    for (const waiting of this.#exchanges.all()) if (waiting.link === link) this.#lost(waiting)
  }

  /** An answer that is already here, its seal being checked, still counts. */
  #lost(waiting: Waiting): void {
    waiting.linkLost = true
    if (waiting.checking === 0) this.#settleUnanswered(waiting, 'linkLost')
  }

  #settleUnanswered(waiting: Waiting, reason: UnansweredReason): void {
    this.#exchanges.settle(waiting, { kind: 'maybeSent', reason })
  }

  #keyOf(message: Message): string {
    const { mti } = message
    const { key, networkManagementKey } = this.#options.correlation
    let text = mti.slice(0, 2)
    for (const de of mti[1] === '8' ? networkManagementKey : key) {
      const raw = message.raw(de)
      text += raw === undefined ? '|' : `|${Buffer.from(raw).toString('latin1')}`
    }
    return text
  }
}

/** The function digit: odd answers something. */
function isAnswer(mti: string): boolean {
  return Number(mti[2]) % 2 === 1
}

/** The request's function plus one, the repeat bit cleared: 0421 is answered by 0430. */
function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}${Number(mti[3]) & ~1}`
}

function decision(message: Message): string {
  return decisive.map((de) => Buffer.from(message.raw(de) ?? []).toString('hex')).join('|')
}
