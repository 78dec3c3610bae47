import { type ExchangeOutcome, IsoCodecError, type Message, wireBytes } from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Codec } from '../iso8583/iso8583.ts'
import type { LegIdentity, NotSentReason } from './connector.ts'
import type { ForeignLine } from './leased-line.ts'
import type { Relay, RelayedLine } from './relay.ts'
import type { RelayedOutcome, RelayedRequest } from './relay-words.ts'
import { Remembered } from './remembered.ts'

/** How a request ended, or why it was not begun. */
export type Exchanged = ExchangeOutcome | { readonly kind: 'notSent'; readonly reason: NotSentReason }

export interface SharedLinePorts {
  readonly name: string
  readonly clock: Clock
  /** Answers are looked for so long after their request was given up. */
  readonly lateMs: number
  /** Lines that nodes share are of one edition for as long as the nodes run. */
  readonly codec: Codec
  /** Whether the line is ours now. */
  readonly isHeld: () => boolean
  /** Over our own line, if that takes it. Never rejects. */
  readonly exchange: (request: RelayedRequest, deadlineMonotonicMs: number) => Promise<Exchanged>
  /** An answer that came to another node for a request of ours. */
  readonly onLate: (message: Message) => void
}

/**
 * A line that one of several nodes has and all use (§5.7, A2n): requests of others over ours, ours over theirs, and
 * answers that come when nobody waits any more, which go back the way that the request came.
 */
export class SharedLine implements RelayedLine {
  readonly name: string
  readonly #ports: SharedLinePorts
  /** Requests over another's line, and of others over ours, of which nobody knows what became. */
  readonly #unknown: Remembered
  readonly #relay: Relay | undefined

  constructor(ports: SharedLinePorts, relay: Relay | undefined) {
    this.name = ports.name
    this.#ports = ports
    this.#unknown = new Remembered(ports.clock, ports.lateMs)
    this.#relay = relay
    relay?.add(this)
  }

  /** Whether other nodes may send over our line. */
  get isHeld(): boolean {
    return this.#ports.isHeld()
  }

  /** The line of another node: undefined where nodes do not speak to each other. */
  foreign(onState: () => void): ForeignLine | undefined {
    const relay = this.#relay
    if (relay === undefined) return undefined
    relay.onChange(onState)
    const { name } = this
    return {
      get isThere() {
        return relay.reaches(name)
      },
      exchange: async (message, deadlineMs) => {
        const { mti } = this.#ports.codec.decode(message)
        const outcome = await relay.ask(name, { mti, message }, deadlineMs)
        if (outcome.kind === 'maybeSent') this.#unknown.add(this.#keyOf(message))
        return outcome.kind === 'answered' ? this.#read(outcome.message) : outcome
      },
    }
  }

  /** A request of a node that has no line of its own. */
  async serve(request: RelayedRequest, deadlineMonotonicMs: number): Promise<RelayedOutcome> {
    const outcome: Exchanged = this.isHeld
      ? await this.#ports.exchange(request, deadlineMonotonicMs)
      : { kind: 'notSent', reason: 'offline' }
    if (outcome.kind === 'answered') return { kind: 'answered', message: wireBytes(outcome.message) }
    if (outcome.kind === 'maybeSent') {
      this.#unknown.add(this.#keyOf(request.message))
      return outcome
    }
    const reason = outcome.reason === 'congested' || outcome.reason === 'noTime' ? outcome.reason : 'closed'
    return { kind: 'notSent', reason }
  }

  /** An answer that came to another node, for a request of ours that nobody waits for any more. */
  hearLate(bytes: Buffer): void {
    const message = this.#read(bytes)
    if (message.kind === 'answered' && this.#unknown.has(this.#keyOf(bytes)))
      this.#ports.onLate(message.message)
  }

  /** Whether a late answer was for a request of another node, which then has it. */
  passOn({ stan, transmittedAt }: LegIdentity, message: Message): boolean {
    if (!this.#unknown.has([transmittedAt, stan].join('|'))) return false
    this.#relay?.late(this.name, wireBytes(message))
    return true
  }

  #read(bytes: Buffer): ExchangeOutcome {
    try {
      return { kind: 'answered', message: this.#ports.codec.decode(bytes) }
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      return { kind: 'maybeSent', reason: 'unparseable' }
    }
  }

  #keyOf(bytes: Buffer): string {
    const message = this.#ports.codec.decode(bytes)
    return [message.text(7), message.text(11)].join('|')
  }
}
