import {
  binary2Frame,
  type ClientTls,
  connectLink,
  type FrameFormat,
  type Link,
  LinkError,
  type LinkHandlers,
  type LinkServer,
  listenLinks,
  type Peer,
  type PlaintextConsent,
  type ServerTls,
} from '../iso8583/iso8583.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Endpoint } from './doors.ts'
import type { Log } from './network.ts'
import { type RelayEvents, RelayLink } from './relay-link.ts'
import { readWord, type RelayedOutcome, type RelayedRequest, type Word, wordOf } from './relay-words.ts'

/** A destination's line, as far as other nodes have use for it. */
export interface RelayedLine {
  readonly name: string
  /** Whether this node has the line and may send over it now. */
  readonly isHeld: boolean
  /** Sends over our own line. Never rejects. */
  serve(request: RelayedRequest, deadlineMonotonicMs: number): Promise<RelayedOutcome>
  /** An answer came for a request that the other node's line served. */
  hearLate(message: Buffer): void
}

export interface RelayOptions {
  /** Where other nodes connect to us. */
  readonly listen: Endpoint & { readonly tls?: ServerTls; readonly peers?: readonly Peer[] }
  /** Where we connect to them. */
  readonly nodes: readonly (Endpoint & { readonly name: string; readonly tls?: ClientTls })[]
  readonly plaintext?: PlaintextConsent
  readonly clock: Clock
  readonly log: Log
}

const frame: FrameFormat = { ...binary2Frame, lengthBytes: 4 }
/** A message of eight KB in base64, and what stands around it. */
const limits = { frameBytesMax: 16 * 1024 }
/** So often the nodes say which lines they have: also what keeps their links from being idle. */
const sayMs = 1_000
const againMs = 1_000

/**
 * From node to node (§5.7, A2n): to a network that allows one session, requests of the nodes that stand by go over the
 * line of the one that has it. Each node says every second which lines it has; one that has said nothing for three has
 * none. A request is handed over once: what may have got there is not sent elsewhere.
 */
export class Relay implements RelayEvents {
  readonly #options: RelayOptions
  readonly #lines = new Map<string, RelayedLine>()
  readonly #links: readonly RelayLink[]
  readonly #listeners: (() => void)[] = []
  readonly #timers = new Set<Timer>()
  #server: LinkServer | undefined
  #closed = false

  private constructor(options: RelayOptions) {
    this.#options = options
    const { clock } = options
    this.#links = options.nodes.map(({ name }) => new RelayLink(name, clock, this))
  }

  /** Listens, and connects to the others as they come. Rejects with `LinkError` when it can't listen. */
  static async open(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options)
    const { clock, listen, log, plaintext } = options
    relay.#server = await listenLinks(
      {
        ...listen,
        frame,
        clock,
        limits,
        ...(plaintext && { plaintext }),
        onRefused: (refusal) => log.warn(refusal, 'a node was refused'),
      },
      (link) => relay.#accept(link),
    )
    for (const [index, node] of options.nodes.entries()) void relay.#connect(node, relay.#links[index]!)
    relay.#say()
    return relay
  }

  get port(): number {
    return this.#server!.port
  }

  /** A line that others may use while we have it. */
  add(line: RelayedLine): void {
    this.#lines.set(line.name, line)
  }

  /** Whether another node has the destination's line. */
  reaches(destination: string): boolean {
    return this.#links.some((link) => link.holds(destination))
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Over the line of the node that has it. Never rejects. */
  ask(destination: string, request: RelayedRequest, deadlineMonotonicMs: number): Promise<RelayedOutcome> {
    const link = this.#links.find((one) => one.holds(destination))
    return link?.ask(destination, request, deadlineMonotonicMs) ?? Promise.resolve(notSent)
  }

  /** An answer to a request of another node's that nobody here waits for: whoever asked knows it by its numbers. */
  late(destination: string, message: Buffer): void {
    for (const link of this.#server?.links ?? [])
      void link.send(wordOf({ kind: 'late', destination, message }))
  }

  heardLate(destination: string, message: Buffer): void {
    this.#lines.get(destination)?.hearLate(message)
  }

  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) timer.cancel()
    for (const link of this.#links) link.close()
    await this.#server?.close()
  }

  /** Tells those who connected to us, now and again and again. */
  #say(): void {
    const holds = [...this.#lines.values()].filter(({ isHeld }) => isHeld).map(({ name }) => name)
    for (const link of this.#server?.links ?? []) void link.send(wordOf({ kind: 'holds', holds }))
    for (const link of this.#links) link.check()
    this.#later(sayMs, () => this.#say())
  }

  #accept(link: Link): LinkHandlers {
    return {
      onMessage: (body) => {
        const word = readWord(body)
        if (word === undefined) return link.close('not a word between nodes')
        if (word.kind === 'ask') void this.#serve(link, word)
      },
      onClose: () => undefined,
    }
  }

  async #serve(link: Link, { id, destination, withinMs, ...request }: Word & { kind: 'ask' }): Promise<void> {
    const line = this.#lines.get(destination)
    const deadlineMs = this.#options.clock.monotonicMs() + withinMs
    const outcome = line?.isHeld === true ? await line.serve(request, deadlineMs) : notSent
    // To a node that is gone there is nothing to say: it finds in the journal what it may owe.
    await link.send(wordOf({ kind: 'outcome', id, outcome }))
  }

  async #connect(node: RelayOptions['nodes'][number], relayed: RelayLink): Promise<void> {
    if (this.#closed) return
    const { clock, plaintext } = this.#options
    const again = (): void => {
      if (!this.#closed) this.#later(againMs, () => void this.#connect(node, relayed))
    }
    try {
      const { host, port, tls } = node
      await connectLink(
        { host, port, frame, clock, limits, ...(tls && { tls }), ...(plaintext && { plaintext }) },
        (link) => relayed.opened(link, again),
      )
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      again()
    }
  }

  #later(ms: number, act: () => void): void {
    const timer = this.#options.clock.after(ms, () => {
      this.#timers.delete(timer)
      act()
    })
    this.#timers.add(timer)
  }
}

const notSent: RelayedOutcome = { kind: 'notSent', reason: 'closed' }
