import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import type { FrameFormat } from './frame.ts'
import {
  codeOf,
  type Link,
  LinkError,
  type LinkHandlers,
  type LinkLimits,
  linkLimits,
  socketLink,
} from './link.ts'

export interface LinkServer {
  readonly port: number
  readonly links: ReadonlySet<Link>
  /** Takes no new connections; those that are open stay. */
  stopAccepting(): void
  /** Takes no new connections, closes the open ones, and resolves when the last is gone. */
  close(): Promise<void>
}

interface AcceptLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly acceptsPerAddressPerSecondMax: number
}

const acceptLimits: AcceptLimits = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 100,
  acceptsPerAddressPerSecondMax: 20,
}

export type Refusal = 'connections' | 'connectionsOfAddress' | 'acceptsOfAddress'

export interface ListenOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits?: Partial<LinkLimits & AcceptLimits>
  /** A connection that a limit turned away. */
  readonly onRefused?: (refusal: { readonly address: string; readonly why: Refusal }) => void
}

/** Listens. Rejects with `LinkError` when the port can't be had. */
export function listenLinks(
  options: ListenOptions,
  accept: (link: Link) => LinkHandlers,
): Promise<LinkServer> {
  const limits = { ...linkLimits, ...acceptLimits, ...options.limits }
  const links = new Set<Link>()
  const gate = new Gate(options.clock, limits)
  const server = createServer((socket) => {
    const address = socket.remoteAddress ?? 'unknown'
    const refused = gate.enter(address)
    if (refused !== undefined) {
      turnAway(socket)
      options.onRefused?.({ address, why: refused })
      return
    }
    socket.once('close', () => gate.leave(address))
    socketLink(socket, { ...options, limits, firstByte: true }, (link) => {
      links.add(link)
      const handlers = accept(link)
      return {
        onMessage: (body) => handlers.onMessage(body),
        onClose(reason) {
          links.delete(link)
          handlers.onClose(reason)
        },
      }
    })
  })
  return listening(server, options).then((port) => {
    const closed = new Promise<void>((resolve) => void server.once('close', resolve))
    return {
      port,
      links,
      stopAccepting: () => void server.close(),
      close() {
        server.close()
        for (const link of links) link.close('the listener closes')
        return closed
      },
    }
  })
}

/** By a reset, which leaves nothing of it on our side. */
function turnAway(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.resetAndDestroy()
}

function listening(server: Server, { host, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new LinkError({ kind: 'listen', code: codeOf(error) })))
    server.listen({ host, port }, () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
      // What fails from here on is one connection's accept, not the listener.
      server.on('error', () => undefined)
      resolve(address.port)
    })
  })
}

/** How many may come in: at all, from one address, and from one address within a second. */
class Gate {
  readonly #clock: Clock
  readonly #limits: AcceptLimits
  readonly #connections = new Map<string, number>()
  #connectionCount = 0
  readonly #accepts = new Map<string, number>()
  #acceptsSince = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, limits: AcceptLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  enter(address: string): Refusal | undefined {
    const accepts = this.#countAccept(address)
    const connections = this.#connections.get(address) ?? 0
    if (this.#connectionCount >= this.#limits.connectionsMax) return 'connections'
    if (connections >= this.#limits.connectionsPerAddressMax) return 'connectionsOfAddress'
    if (accepts > this.#limits.acceptsPerAddressPerSecondMax) return 'acceptsOfAddress'
    this.#connections.set(address, connections + 1)
    this.#connectionCount++
    return undefined
  }

  leave(address: string): void {
    const connections = (this.#connections.get(address) ?? 1) - 1
    if (connections === 0) this.#connections.delete(address)
    else this.#connections.set(address, connections)
    this.#connectionCount--
  }

  /** Forgets every address each second, so that strangers can't make it grow. */
  #countAccept(address: string): number {
    const now = this.#clock.monotonicMs()
    if (now - this.#acceptsSince >= 1_000) {
      this.#accepts.clear()
      this.#acceptsSince = now
    }
    const accepts = (this.#accepts.get(address) ?? 0) + 1
    this.#accepts.set(address, accepts)
    return accepts
  }
}
