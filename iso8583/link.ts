import type { FrameFault } from './frame.ts'

/**
 * One peer at the other end of one TCP connection, as frames. A link never pauses its reads to slow a peer: the
 * answers to our own requests may stand behind what we would not read.
 */
export interface Link {
  readonly id: string
  /** `address:port` of the other end. */
  readonly peer: string
  /** Which of the listener's peers this is, by its certificate or address. */
  readonly peerName?: string | undefined
  readonly open: boolean
  /** Since the last whole frame of the peer's, or since the beginning. */
  readonly quietMs: number
  /**
   * `written`: the kernel accepted every byte. `notSent`: no byte left (closed, too much unsent, or a body that no
   * frame can hold). `failed`: some may have left. Never rejects.
   */
  send(body: Uint8Array): Promise<'written' | 'notSent' | 'failed'>
  /** Lets what was sent go out, then closes. Nothing is delivered from here on. */
  close(reason: string): void
}

export interface LinkHandlers {
  onMessage(body: Buffer): void
  /** Once, whoever closed. */
  onClose(reason: LinkCloseReason): void
}

export type LinkCloseReason =
  /** We asked for it. */
  | { readonly kind: 'closed'; readonly why: string }
  /** The peer closed, or half-closed: one that no longer talks is not waited for. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'broken'; readonly code: string }
  | { readonly kind: 'frame'; readonly fault: FrameFault }
  | { readonly kind: 'silent'; readonly limit: 'firstByteMs' | 'partialFrameMs' | 'idleMs' }

export interface LinkLimits {
  /** The longest body, either way. */
  readonly frameBytesMax: number
  /** From accepting a connection to its first byte. A link that we opened has no such limit. */
  readonly firstByteMs: number
  /** From a frame's first byte to its last. */
  readonly partialFrameMs: number
  /** Without a whole frame from the peer. */
  readonly idleMs: number
  /** Opening a connection. */
  readonly connectMs: number
  /** From a connection to the end of its TLS handshake. */
  readonly handshakeMs: number
  /** More than this handed to the socket and not to the kernel: the peer doesn't read, and nothing more is sent. */
  readonly unsentBytesMax: number
}

export const linkLimits: LinkLimits = {
  frameBytesMax: 8 * 1024,
  firstByteMs: 30_000,
  partialFrameMs: 5_000,
  idleMs: 5 * 60_000,
  connectMs: 10_000,
  handshakeMs: 10_000,
  unsentBytesMax: 256 * 1024,
}

export type LinkFault =
  | { readonly kind: 'connect'; readonly code: string }
  | { readonly kind: 'connectTimeout' }
  /** TLS failed, or the peer's certificate is not one that we believe. */
  | { readonly kind: 'handshake'; readonly code: string }
  | { readonly kind: 'handshakeTimeout' }
  /** Neither loopback nor TLS, and nobody said that the line is private. */
  | { readonly kind: 'plaintextRefused' }
  | { readonly kind: 'credentials'; readonly why: CredentialsFault }
  | { readonly kind: 'listen'; readonly code: string }

/** Why our own key and certificates are of no use. */
export type CredentialsFault = 'unreadable' | 'keyMismatch' | 'expired' | 'notYetValid'

export class LinkError extends Error {
  readonly fault: LinkFault

  constructor(fault: LinkFault) {
    const detail = 'code' in fault ? fault.code : 'why' in fault ? fault.why : undefined
    super(detail === undefined ? `link: ${fault.kind}` : `link: ${fault.kind} (${detail})`)
    this.name = 'LinkError'
    this.fault = fault
  }
}

/** The error's code is safe to log; its text may hold more than we want said. */
export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
