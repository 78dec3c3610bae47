import { createConnection, type Socket } from 'node:net'
import type { Clock, Timer } from '../kernel/clock.ts'
import { encodeFrame, FrameError, type FrameFault, type FrameFormat } from './frame.ts'
import { FrameReader } from './frame-reader.ts'

/**
 * One peer at the other end of one TCP connection, as frames. A link never pauses its reads to slow a peer: the
 * answers to our own requests may stand behind what we would not read.
 */
export interface Link {
  readonly id: string
  /** `address:port` of the other end. */
  readonly peer: string
  readonly open: boolean
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
  /** More than this handed to the socket and not to the kernel: the peer doesn't read, and nothing more is sent. */
  readonly unsentBytesMax: number
}

export const linkLimits: LinkLimits = {
  frameBytesMax: 8 * 1024,
  firstByteMs: 30_000,
  partialFrameMs: 5_000,
  idleMs: 5 * 60_000,
  connectMs: 10_000,
  unsentBytesMax: 256 * 1024,
}

export type LinkFault =
  | { readonly kind: 'connect'; readonly code: string }
  | { readonly kind: 'connectTimeout' }
  | { readonly kind: 'listen'; readonly code: string }

export class LinkError extends Error {
  readonly fault: LinkFault

  constructor(fault: LinkFault) {
    super('code' in fault ? `link: ${fault.kind} (${fault.code})` : `link: ${fault.kind}`)
    this.name = 'LinkError'
    this.fault = fault
  }
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits?: Partial<LinkLimits>
}

/** Opens a connection. Rejects with `LinkError` and nothing else. */
export function connectLink(options: ConnectOptions, handlers: (link: Link) => LinkHandlers): Promise<Link> {
  const limits = { ...linkLimits, ...options.limits }
  const socket = createConnection({ host: options.host, port: options.port })
  return new Promise((resolve, reject) => {
    const fail = (fault: LinkFault): void => {
      timer.cancel()
      socket.destroy()
      reject(new LinkError(fault))
    }
    const timer = options.clock.after(limits.connectMs, () => fail({ kind: 'connectTimeout' }))
    const onError = (error: Error): void => fail({ kind: 'connect', code: codeOf(error) })
    socket.once('error', onError)
    socket.once('connect', () => {
      timer.cancel()
      socket.off('error', onError)
      resolve(socketLink(socket, { ...options, limits, firstByte: false }, handlers))
    })
  })
}

interface SocketLinkOptions {
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits: LinkLimits
  /** Whether the first byte has its own, shorter limit. */
  readonly firstByte: boolean
}

/** A link over a socket that is connected. */
export function socketLink(
  socket: Socket,
  options: SocketLinkOptions,
  handlers: (link: Link) => LinkHandlers,
): Link {
  const link = new SocketLink(socket, options)
  link.start(handlers(link))
  return link
}

/** The error's code is safe to log; its text may hold more than we want said. */
export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

let linksMade = 0

class SocketLink implements Link {
  readonly id = `link-${++linksMade}`
  readonly peer: string
  readonly #socket: Socket
  readonly #limits: LinkLimits
  readonly #frame: FrameFormat
  readonly #reader: FrameReader
  readonly #watch: Watch
  #handlers: LinkHandlers | undefined
  #closed: LinkCloseReason | undefined
  readonly #clock: Clock

  constructor(socket: Socket, { frame, clock, limits, firstByte }: SocketLinkOptions) {
    this.#socket = socket
    this.#limits = limits
    this.#frame = frame
    this.#clock = clock
    this.peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
    this.#reader = new FrameReader(frame, limits.frameBytesMax)
    this.#watch = new Watch(clock, limits, firstByte, (limit) => this.#end({ kind: 'silent', limit }, 'now'))
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    socket.on('data', (piece) => this.#read(piece))
    socket.on('end', () => this.#end({ kind: 'ended' }, 'afterWrites'))
    socket.on('error', (error) => this.#end({ kind: 'broken', code: codeOf(error) }, 'now'))
    socket.on('close', () => this.#end({ kind: 'ended' }, 'now'))
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers
    if (this.#closed !== undefined) handlers.onClose(this.#closed)
  }

  get open(): boolean {
    return this.#closed === undefined
  }

  send(body: Uint8Array): Promise<'written' | 'notSent' | 'failed'> {
    let frame: Buffer
    try {
      frame = encodeFrame(this.#frame, body, this.#limits.frameBytesMax)
    } catch (error) {
      if (error instanceof FrameError) return Promise.resolve('notSent')
      throw error
    }
    const congested = this.#socket.writableLength + frame.length > this.#limits.unsentBytesMax
    if (!this.open || congested || !this.#socket.writable) return Promise.resolve('notSent')
    return new Promise((resolve) => {
      // A write that fails may have failed half-way: the socket can't tell, and so neither can we.
      this.#socket.write(frame, (error) => resolve(error ? 'failed' : 'written'))
    })
  }

  close(reason: string): void {
    this.#end({ kind: 'closed', why: reason }, 'afterWrites')
  }

  #read(piece: Buffer): void {
    if (!this.open) return
    const bodies = this.#reader.push(piece)
    this.#watch.onRead(this.#reader)
    for (const body of bodies) this.#deliver(body)
    const { fault } = this.#reader
    if (fault !== undefined) this.#end({ kind: 'frame', fault }, 'now')
  }

  /** The handler of one message may have closed the link before the next. */
  #deliver(body: Buffer): void {
    if (this.open) this.#handlers?.onMessage(body)
  }

  #end(reason: LinkCloseReason, when: 'now' | 'afterWrites'): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#watch.stop()
    if (when === 'now') this.#socket.destroy()
    else this.#closeAfterWrites()
    this.#handlers?.onClose(reason)
  }

  /** A peer that doesn't read can hold its end of a closed link for no longer than an unfinished frame. */
  #closeAfterWrites(): void {
    this.#socket.destroySoon()
    if (this.#socket.destroyed) return
    const timer = this.#clock.after(this.#limits.partialFrameMs, () => this.#socket.destroy())
    this.#socket.once('close', () => timer.cancel())
  }
}

/** The link's three patience limits on one timer, which is moved only when it would ring too late. */
class Watch {
  readonly #clock: Clock
  readonly #limits: LinkLimits
  readonly #onSilence: (limit: 'firstByteMs' | 'partialFrameMs' | 'idleMs') => void
  #heard: boolean
  #framesRead = 0
  #frameAt: number
  #partialSince: number | undefined
  #timer: Timer | undefined
  #ringsAt = Number.POSITIVE_INFINITY

  constructor(
    clock: Clock,
    limits: LinkLimits,
    firstByte: boolean,
    onSilence: (limit: 'firstByteMs' | 'partialFrameMs' | 'idleMs') => void,
  ) {
    this.#clock = clock
    this.#limits = limits
    this.#onSilence = onSilence
    this.#heard = !firstByte
    this.#frameAt = clock.monotonicMs()
    this.#set()
  }

  onRead(reader: FrameReader): void {
    this.#heard = true
    const now = this.#clock.monotonicMs()
    const whole = reader.framesRead > this.#framesRead
    if (whole) {
      this.#framesRead = reader.framesRead
      this.#frameAt = now
    }
    if (!reader.partial) this.#partialSince = undefined
    else if (whole || this.#partialSince === undefined) {
      this.#partialSince = now
      this.#set()
    }
  }

  stop(): void {
    this.#timer?.cancel()
    this.#ringsAt = Number.NEGATIVE_INFINITY
  }

  #limit(): { readonly name: 'firstByteMs' | 'partialFrameMs' | 'idleMs'; readonly at: number } {
    if (!this.#heard) return { name: 'firstByteMs', at: this.#frameAt + this.#limits.firstByteMs }
    if (this.#partialSince !== undefined) {
      return { name: 'partialFrameMs', at: this.#partialSince + this.#limits.partialFrameMs }
    }
    return { name: 'idleMs', at: this.#frameAt + this.#limits.idleMs }
  }

  #set(): void {
    const { at } = this.#limit()
    if (at >= this.#ringsAt) return
    this.#timer?.cancel()
    this.#ringsAt = at
    this.#timer = this.#clock.after(at - this.#clock.monotonicMs(), () => this.#ring())
  }

  #ring(): void {
    if (this.#ringsAt === Number.NEGATIVE_INFINITY) return
    this.#ringsAt = Number.POSITIVE_INFINITY
    const { name, at } = this.#limit()
    if (at <= this.#clock.monotonicMs()) this.#onSilence(name)
    else this.#set()
  }
}
