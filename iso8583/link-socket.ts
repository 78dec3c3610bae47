import type { Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import { encodeFrame, FrameError, type FrameFormat } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { codeOf, type Link, type LinkCloseReason, type LinkHandlers, type LinkLimits } from './link.ts'
import { Watch } from './link-watch.ts'

interface SocketLinkOptions {
  readonly frame: FrameFormat
  readonly clock: Clock
  readonly limits: LinkLimits
  /** Whether the first byte has its own, shorter limit. */
  readonly firstByte: boolean
  readonly peerName?: string | undefined
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

let linksMade = 0

class SocketLink implements Link {
  readonly id = `link-${++linksMade}`
  readonly peer: string
  readonly peerName: string | undefined
  readonly #socket: Socket
  readonly #limits: LinkLimits
  readonly #frame: FrameFormat
  readonly #reader: FrameReader
  readonly #watch: Watch
  #handlers: LinkHandlers | undefined
  #closed: LinkCloseReason | undefined
  readonly #clock: Clock

  constructor(socket: Socket, { frame, clock, limits, firstByte, peerName }: SocketLinkOptions) {
    this.peerName = peerName
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

  get quietMs(): number {
    return this.#watch.quietMs
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
