import type { X509Certificate } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import type { FrameFormat } from './frame.ts'
import {
  codeOf,
  type Link,
  type LinkCloseReason,
  LinkError,
  type LinkHandlers,
  type LinkLimits,
  linkLimits,
} from './link.ts'
import { type PlaintextConsent, plaintextAllowed } from './link-client.ts'
import { acceptLimits, type AcceptLimits, type ConnectionBudget, type Crowded, Gate } from './link-gate.ts'
import { type HandshakeFailure, Handshakes } from './link-handshakes.ts'
import { type Peer, Peers } from './link-peers.ts'
import { socketLink } from './link-socket.ts'
import type { TlsCredentials } from './link-tls.ts'

export interface LinkServer {
  readonly port: number
  readonly links: ReadonlySet<Link>
  /** Takes no new connections; those that are open stay. */
  stopAccepting(): void
  /** Takes no new connections, closes the open ones, and resolves when the last is gone. */
  close(): Promise<void>
}

/** Why a connection was turned away: too many, TLS, or nobody we know. */
export type Refusal =
  | Crowded
  | HandshakeFailure['why']
  | 'unknownPeer'
  | 'addressOfPeer'
  /** The peer has as many connections as it may, and none of them looks dead. */
  | 'connectionsOfPeer'

export interface ServerTls {
  readonly credentials: TlsCredentials
  /** Why peers may use TLS 1.2. Without a reason they may not. */
  readonly tls12?: string
}

export interface ListenOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits?: Partial<LinkLimits & AcceptLimits>
  /** Shared by the listeners of a process. */
  readonly budget?: ConnectionBudget
  readonly tls?: ServerTls
  /** Who may connect. Needed with TLS; without either anybody may who reaches the port. */
  readonly peers?: readonly Peer[]
  /** Without TLS only this machine itself is listened to, unless the line is said to be private. */
  readonly plaintext?: PlaintextConsent
  /** Whether a newcomer of the same peer may take this link's place: by default, when it has long been quiet. */
  readonly isSuspect?: (link: Link) => boolean
  readonly onRefused?: (refusal: RefusedConnection) => void
}

export interface RefusedConnection {
  readonly address: string
  readonly why: Refusal
  /** Of a handshake: what TLS called it. */
  readonly code?: string
  /** Whose connection it would have been, where that is known. */
  readonly peerName?: string
}

/** Listens. Rejects with `LinkError` when that can't be, or may not be. */
export async function listenLinks(
  options: ListenOptions,
  accept: (link: Link) => LinkHandlers,
): Promise<LinkServer> {
  if (options.tls === undefined && !plaintextAllowed(options.host, options.plaintext)) {
    throw new LinkError({ kind: 'plaintextRefused' })
  }
  const reception = new Reception(options, accept)
  const server = createServer((socket) => reception.receive(socket))
  const port = await listening(server, options)
  const closed = new Promise<void>((resolve) => void server.once('close', resolve))
  return {
    port,
    links: reception.links,
    stopAccepting: () => void server.close(),
    close() {
      server.close()
      reception.close()
      return closed
    },
  }
}

/**
 * Connections that wait to be accepted; the system may allow fewer. Node's own 511 are too few when thousands of terminals come
 * back at once: the system forgets what has no room here, and the terminal believes that it is connected.
 */
const backlog = 4_096

/** Twice the time after which a peer that keeps its line warm says something. */
const suspectMs = 60_000

/** From a connection to a link, or to nothing: how many there are, TLS, and who it is. */
class Reception {
  readonly links = new Set<Link>()
  /** By peer: of thousands that are open, none is looked at when one more comes. */
  readonly #linksOf = new Map<string, Set<Link>>()
  readonly #options: ListenOptions
  readonly #limits: LinkLimits & AcceptLimits
  readonly #accept: (link: Link) => LinkHandlers
  readonly #gate: Gate
  readonly #peers: Peers | undefined
  readonly #handshakes: Handshakes | undefined

  constructor(options: ListenOptions, accept: (link: Link) => LinkHandlers) {
    const { budget, clock, peers, tls } = options
    this.#options = options
    this.#limits = { ...linkLimits, ...acceptLimits, ...options.limits }
    this.#accept = accept
    this.#gate = new Gate(clock, this.#limits, budget)
    this.#peers = peers && new Peers(peers)
    if (tls === undefined) return
    if (peers === undefined) throw new RangeError('a listener with TLS knows its peers')
    this.#handshakes = new Handshakes({
      credentials: tls.credentials,
      tls12: tls.tls12 !== undefined,
      clock,
      handshakeMs: this.#limits.handshakeMs,
      onSecure: (socket, address, certificate) => this.#admit(socket, address, certificate),
      onFailed: (failure) => options.onRefused?.(failure),
    })
  }

  receive(socket: Socket): void {
    const address = addressOf(socket)
    const crowded = this.#gate.enter(address)
    if (crowded !== undefined) {
      turnAway(socket)
      this.#options.onRefused?.({ address, why: crowded })
      return
    }
    socket.once('close', () => this.#gate.leave(address))
    if (this.#handshakes === undefined) this.#admit(socket, address, undefined)
    else this.#handshakes.begin(socket, address)
  }

  close(): void {
    this.#handshakes?.close()
    for (const link of this.links) link.close('the listener closes')
  }

  #admit(socket: Socket, address: string, certificate: X509Certificate | undefined): void {
    const peer = this.#peers?.known(address, certificate)
    if (typeof peer === 'string') this.#refuse(socket, { address, why: peer })
    else if (peer !== undefined && !this.#makeRoom(peer)) {
      this.#refuse(socket, { address, why: 'connectionsOfPeer', peerName: peer.name })
    } else this.#open(socket, address, peer)
  }

  #refuse(socket: Socket, refusal: RefusedConnection): void {
    socket.on('error', () => undefined)
    socket.destroy()
    this.#options.onRefused?.(refusal)
  }

  /** A connection that looks dead gives way to a new one of its peer's; one that lives never does. */
  #makeRoom({ name, connectionsMax = 1 }: Peer): boolean {
    const own = this.#linksOf.get(name)
    if (own === undefined || own.size < connectionsMax) return true
    const isSuspect = this.#options.isSuspect ?? (({ quietMs }) => quietMs >= suspectMs)
    const dead = [...own].find((link) => isSuspect(link))
    dead?.close('replaced by a newer connection of the same peer')
    return dead !== undefined
  }

  #open(socket: Socket, address: string, peer: Peer | undefined): void {
    const { clock, frame } = this.#options
    const options = { clock, frame, limits: this.#limits, firstByte: true, peerName: peer?.name }
    socketLink(socket, options, (link) => {
      this.links.add(link)
      const own = this.#ownOf(peer)
      own?.add(link)
      const handlers = this.#accept(link)
      let wasHeard = false
      return {
        onMessage: (body) => {
          if (!wasHeard) this.#gate.heard(address)
          wasHeard = true
          handlers.onMessage(body)
        },
        onClose: (reason) => {
          this.links.delete(link)
          own?.delete(link)
          if (wasHeard) this.#gate.silenced(address)
          // Who is known has few connections as it is, and a bad line of a network's must come back at once.
          else if (peer === undefined && isUnfinished(reason)) this.#gate.unfinished(address)
          handlers.onClose(reason)
        },
      }
    })
  }

  /** There are as many as the configuration names. */
  #ownOf(peer: Peer | undefined): Set<Link> | undefined {
    if (peer === undefined) return undefined
    const own = this.#linksOf.get(peer.name) ?? new Set<Link>()
    this.#linksOf.set(peer.name, own)
    return own
  }
}

function isUnfinished(reason: LinkCloseReason): boolean {
  return reason.kind === 'silent' && reason.limit === 'partialFrameMs'
}

/** An IPv4 address is one, also where the listener takes both kinds. */
function addressOf({ remoteAddress }: Socket): string {
  return (remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '')
}

/** By a reset, which leaves nothing of it on our side. */
function turnAway(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.resetAndDestroy()
}

function listening(server: Server, { host, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new LinkError({ kind: 'listen', code: codeOf(error) })))
    server.listen({ host, port, backlog }, () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
      // What fails from here on is one connection's accept, not the listener.
      server.on('error', () => undefined)
      resolve(address.port)
    })
  })
}
