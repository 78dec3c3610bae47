import {
  type ClientTls,
  type ConnectionBudget,
  connectLink,
  type Link,
  type LinkCloseReason,
  LinkError,
  type LinkHandlers,
  type LinkServer,
  listenLinks,
  type Peer,
  type PlaintextConsent,
  type RefusedConnection,
  type ServerTls,
} from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Dialogue } from './dialogue.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Where a destination's connections come from. */
export interface Door {
  /** How many places there are to try. */
  readonly endpoints: number
  /** Whether the peer comes to us: then there is nothing to be patient about before waiting for it again. */
  readonly waits: boolean
  /** Rejects with `LinkError`. A connection speaks the dialogue that is current when it begins, and keeps it. */
  dial(handlers: Handlers, endpoint: number): Promise<Link>
  close(): Promise<void>
}

export type Handlers = (link: Link, dialogue: Dialogue) => LinkHandlers

interface Wire {
  readonly dialogue: () => Dialogue
  readonly clock: Clock
  readonly plaintext: PlaintextConsent | undefined
}

/** We connect to the peer. Names are looked up anew each time. */
export function clientDoor(
  endpoints: readonly Endpoint[],
  { dialogue: current, plaintext, ...wire }: Wire,
  tls: ClientTls | undefined,
): Door {
  return {
    endpoints: endpoints.length,
    waits: false,
    dial(handlers, endpoint) {
      const dialogue = current()
      const { frame, limits } = dialogue
      const asked = { ...endpoints[endpoint]!, ...wire, frame, limits }
      return connectLink({ ...asked, ...(tls && { tls }), ...(plaintext && { plaintext }) }, (link) =>
        handlers(link, dialogue),
      )
    },
    close: () => Promise.resolve(),
  }
}

export interface ServerDoorOptions extends Endpoint {
  readonly tls?: ServerTls
  /** Shared by the listeners of a process. */
  readonly budget?: ConnectionBudget
  /** Who may connect; each as often as the destination has sessions, unless it says otherwise. */
  readonly peers?: readonly Peer[]
}

export interface ServerWire extends Wire {
  readonly sessions: number
  /** Whether a new connection may take this one's place. */
  readonly isSuspect: (link: Link) => boolean
  readonly onRefused: (refusal: RefusedConnection) => void
}

interface Parked {
  readonly link: Link
  take(handlers: Handlers): void
}

interface Waiting {
  readonly resolve: (parked: Parked) => void
  readonly reject: (error: LinkError) => void
}

/** The peer connects to us. A connection waits for a session, or a session for a connection. */
export class ServerDoor implements Door {
  readonly endpoints = 1
  readonly waits = true
  readonly #options: ServerDoorOptions
  readonly #wire: ServerWire
  readonly #waiting: Waiting[] = []
  readonly #parked: Parked[] = []
  #server: LinkServer | undefined
  #closed = false

  constructor(options: ServerDoorOptions, wire: ServerWire) {
    this.#options = options
    this.#wire = wire
  }

  /** Where it listens, once it does. */
  get port(): number | undefined {
    return this.#server?.port
  }

  async dial(handlers: Handlers): Promise<Link> {
    await this.#listening()
    const parked = this.#parked.shift() ?? (await this.#next())
    parked.take(handlers)
    return parked.link
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(closedError())
    await this.#server?.close()
  }

  #next(): Promise<Parked> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #listen: Promise<void> | undefined

  /** A port that can't be had is asked for again by the next session that dials. */
  #listening(): Promise<void> {
    if (this.#closed) return Promise.reject(closedError())
    this.#listen ??= this.#open().catch((error: unknown) => {
      this.#listen = undefined
      throw error
    })
    return this.#listen
  }

  async #open(): Promise<void> {
    const { budget, peers, tls, ...endpoint } = this.#options
    const { dialogue, plaintext, sessions, ...wire } = this.#wire
    const server = await listenLinks(
      {
        ...endpoint,
        ...wire,
        // Asked for at each connection: the link and its dialogue must be of one edition.
        get frame() {
          return dialogue().frame
        },
        limits: { ...dialogue().limits, connectionsMax: 2 * sessions },
        ...(peers && { peers: peers.map((peer) => ({ connectionsMax: sessions, ...peer })) }),
        ...(tls && { tls }),
        ...(budget && { budget }),
        ...(plaintext && { plaintext }),
      },
      (link) => this.#accept(link),
    )
    this.#server = server
    if (this.#closed) await server.close()
  }

  /** What comes before a session has taken the link is kept for it. */
  #accept(link: Link): LinkHandlers {
    let taken: LinkHandlers | undefined
    let gone: LinkCloseReason | undefined
    const dialogue = this.#wire.dialogue()
    const early: Buffer[] = []
    const parked: Parked = {
      link,
      take(handlers) {
        taken = handlers(link, dialogue)
        for (const body of early.splice(0)) taken.onMessage(body)
        if (gone !== undefined) taken.onClose(gone)
      },
    }
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#parked.push(parked)
    else waiting.resolve(parked)
    return {
      onMessage(body) {
        if (taken !== undefined) taken.onMessage(body)
        else if (early.push(body) > earlyMax) link.close('no session takes it')
      },
      onClose: (reason) => {
        const index = this.#parked.indexOf(parked)
        if (index >= 0) this.#parked.splice(index, 1)
        gone = reason
        taken?.onClose(reason)
      },
    }
  }
}

/** More messages than this on a link that no session has taken yet, and it is closed. */
const earlyMax = 8

function closedError(): LinkError {
  return new LinkError({ kind: 'connect', code: 'ECANCELED' })
}
