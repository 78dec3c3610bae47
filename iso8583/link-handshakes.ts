import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Clock, Timer } from '../kernel/clock.ts'
import { codeOf } from './link.ts'
import type { TlsCredentials } from './link-tls.ts'

export interface HandshakeOptions {
  readonly credentials: TlsCredentials
  readonly tls12: boolean
  readonly clock: Clock
  readonly handshakeMs: number
  /** The chain of the certificate is verified; who it is of is not. */
  readonly onSecure: (socket: TLSSocket, address: string, certificate: X509Certificate) => void
  readonly onFailed: (failure: HandshakeFailure) => void
}

export interface HandshakeFailure {
  readonly address: string
  readonly why: 'handshake' | 'handshakeTimeout' | 'certificate'
  /** What TLS called it, such as CERT_HAS_EXPIRED. */
  readonly code: string
}

interface Pending {
  readonly address: string
  readonly socket: Socket
  readonly timer: Timer
  failure: Pick<HandshakeFailure, 'why' | 'code'>
}

/** The handshakes of one listener: connections go in, and come out with a verified certificate or not at all. */
export class Handshakes {
  readonly #options: HandshakeOptions
  readonly #server: Server
  readonly #pending = new Map<string, Pending>()
  readonly #forget: () => void

  constructor(options: HandshakeOptions) {
    this.#options = options
    const { credentials, tls12 } = options
    this.#server = createServer({
      ...credentials.contextOptions(tls12),
      requestCert: true,
      // Node would drop the connection and not say why; `#secure` lets nobody through who is not authorized.
      rejectUnauthorized: false,
    })
    this.#server.on('secureConnection', (socket) => this.#secure(socket))
    this.#server.on('tlsClientError', (error, socket) => this.#fail(keyOf(socket), codeOf(error)))
    this.#forget = credentials.onReplaced(() => {
      this.#server.setSecureContext(credentials.contextOptions(tls12))
    })
  }

  begin(socket: Socket, address: string): void {
    const key = keyOf(socket)
    const timer = this.#options.clock.after(this.#options.handshakeMs, () =>
      this.#fail(key, 'ETIMEDOUT', 'handshakeTimeout'),
    )
    this.#pending.set(key, { address, socket, timer, failure: { why: 'handshake', code: 'ECONNRESET' } })
    socket.on('error', () => undefined)
    socket.once('close', () => this.#closed(key))
    this.#server.emit('connection', socket)
  }

  close(): void {
    this.#forget()
    for (const { socket } of this.#pending.values()) socket.destroy()
  }

  #secure(socket: TLSSocket): void {
    const key = keyOf(socket)
    const pending = this.#pending.get(key)
    const certificate = socket.getPeerX509Certificate()
    socket.on('error', () => undefined)
    if (pending === undefined) socket.destroy()
    else if (certificate === undefined) this.#fail(key, 'NO_CERTIFICATE', 'certificate')
    else if (!socket.authorized) this.#fail(key, String(socket.authorizationError), 'certificate')
    else {
      pending.timer.cancel()
      this.#pending.delete(key)
      this.#options.onSecure(socket, pending.address, certificate)
    }
  }

  #fail(key: string, code: string, why: HandshakeFailure['why'] = 'handshake'): void {
    const pending = this.#pending.get(key)
    if (pending === undefined) return
    pending.failure = { why, code }
    pending.socket.destroy()
  }

  /** Whatever ended it, it is told once. */
  #closed(key: string): void {
    const pending = this.#pending.get(key)
    if (pending === undefined) return
    pending.timer.cancel()
    this.#pending.delete(key)
    this.#options.onFailed({ address: pending.address, ...pending.failure })
  }
}

/** The two sockets of one connection, below TLS and above it, are of the same peer. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''}|${remotePort ?? 0}`
}
