import { X509Certificate } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Clock } from '../kernel/clock.ts'
import type { FrameFormat } from './frame.ts'
import {
  codeOf,
  type Link,
  LinkError,
  type LinkFault,
  type LinkHandlers,
  type LinkLimits,
  linkLimits,
} from './link.ts'
import { isLoopback, pinFault } from './link-peers.ts'
import { socketLink } from './link-socket.ts'
import type { TlsCredentials } from './link-tls.ts'

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits?: Partial<LinkLimits>
  readonly tls?: ClientTls
  /** Without TLS only this machine itself is spoken to, unless the line is said to be private. */
  readonly plaintext?: PlaintextConsent
}

export interface ClientTls {
  readonly credentials: TlsCredentials
  /** A DNS name among the alternative names of the peer's certificate; also the name that we ask for. */
  readonly dnsName: string
  /** SHA-256 of the certificate: when stated, it must be one of these as well. */
  readonly fingerprints?: readonly string[]
  /** Why this peer may use TLS 1.2. Without a reason it may not. */
  readonly tls12?: string
}

/** Both must be said, in two places of a configuration that nobody sets by accident. */
export interface PlaintextConsent {
  readonly allowPlaintext: boolean
  readonly privateLink: boolean
}

export function plaintextAllowed(host: string, consent: PlaintextConsent | undefined): boolean {
  return isLoopback(host) || (consent?.allowPlaintext === true && consent.privateLink)
}

/** Opens a connection. Rejects with `LinkError` and nothing else. */
export function connectLink(options: ConnectOptions, handlers: (link: Link) => LinkHandlers): Promise<Link> {
  const limits = { ...linkLimits, ...options.limits }
  const { clock, host, port, tls } = options
  if (tls === undefined && !plaintextAllowed(host, options.plaintext)) {
    return Promise.reject(new LinkError({ kind: 'plaintextRefused' }))
  }
  return new Promise((resolve, reject) => {
    const socket = tls === undefined ? createConnection({ host, port }) : tlsConnection(options, tls)
    const fail = (fault: LinkFault): void => {
      timer.cancel()
      socket.destroy()
      reject(new LinkError(fault))
    }
    let connected = false
    let timer = clock.after(limits.connectMs, () => fail({ kind: 'connectTimeout' }))
    const onError = (error: Error): void =>
      fail({ kind: connected ? 'handshake' : 'connect', code: codeOf(error) })
    const onEnd = (): void => fail({ kind: 'handshake', code: 'ECONNRESET' })
    const ready = (): void => {
      timer.cancel()
      socket.off('error', onError).off('end', onEnd)
      resolve(socketLink(socket, { ...options, limits, firstByte: false }, handlers))
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      connected = true
      if (tls === undefined) {
        ready()
        return
      }
      timer.cancel()
      timer = clock.after(limits.handshakeMs, () => fail({ kind: 'handshakeTimeout' }))
      socket.once('end', onEnd).once('secureConnect', ready)
    })
  })
}

/** Node verifies the chain, and fails the connection for us; who the certificate is of, we look at ourselves. */
function tlsConnection({ host, port }: ConnectOptions, tls: ClientTls): Socket {
  const socket: TLSSocket = connectTls({
    host,
    port,
    servername: tls.dnsName,
    secureContext: tls.credentials.context(tls.tls12 !== undefined),
    rejectUnauthorized: true,
    checkServerIdentity(_, { raw }) {
      const fault = pinFault(new X509Certificate(raw), tls)
      return fault === undefined ? undefined : new PinError(fault)
    },
  })
  return socket
}

class PinError extends Error {
  readonly code: string

  constructor(fault: 'name' | 'fingerprint') {
    super('not the certificate that is pinned')
    this.name = 'PinError'
    this.code = fault === 'name' ? 'PEER_NAME' : 'PEER_FINGERPRINT'
  }
}
