import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Random } from '../../kernel/random.ts'
import { FrameReader, framed } from './frames.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** In PEM; `peer` is the DNS name that the switch's certificate must have. */
export interface LineTls {
  readonly key: string
  readonly certificate: string
  readonly ca: string
  readonly peer: string
}

export interface LineOptions extends Endpoint {
  /** Further nodes of the switch: the next is tried whenever a connection is lost or can't be had. */
  readonly alternates?: readonly Endpoint[]
  readonly tls?: LineTls
  readonly random: Random
  readonly onFrame: (body: Buffer) => void
  readonly onUp: () => void
  /** Called once for each connection that was up. */
  readonly onDown: () => void
  readonly backoffMs?: { readonly first: number; readonly max: number }
}

/** One TCP connection from terminals to the switch, made again with growing waits for as long as it isn't closed. */
export class Line {
  readonly #options: LineOptions
  readonly #backoffMs: { readonly first: number; readonly max: number }
  #socket: Socket | undefined
  #retry: NodeJS.Timeout | undefined
  #failures = 0
  #turn = 0
  #up = false
  #closed = false

  constructor(options: LineOptions) {
    this.#options = options
    this.#backoffMs = options.backoffMs ?? { first: 100, max: 5_000 }
    this.#connect()
  }

  get up(): boolean {
    return this.#up
  }

  /** false: nothing left this process. true: it may have. */
  send(body: Buffer): boolean {
    return this.sendBytes(framed(body))
  }

  /** Bytes as they are, framed or not. */
  sendBytes(bytes: Buffer): boolean {
    if (!this.#up) return false
    this.#socket?.write(bytes)
    return true
  }

  /** Cuts the connection as a lost peer would; it is made again after a wait. */
  drop(): void {
    this.#socket?.destroy()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #connect(): void {
    const reader = new FrameReader()
    const { tls } = this.#options
    const socket = this.#dial()
    this.#socket = socket
    socket.on(tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#up = true
      this.#failures = 0
      this.#options.onUp()
    })
    socket.on('data', (piece) => {
      for (const body of reader.push(piece)) this.#options.onFrame(body)
    })
    // 'close' follows every error, and says all that matters here.
    socket.on('error', () => undefined)
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#lost())
  }

  #dial(): Socket {
    const { host, port, alternates = [], tls } = this.#options
    const endpoint = [{ host, port }, ...alternates][this.#turn % (alternates.length + 1)]!
    if (tls === undefined) return connect({ ...endpoint, noDelay: true })
    const { key, certificate, ca, peer } = tls
    const socket = connectTls({
      ...endpoint,
      key,
      cert: certificate,
      ca,
      servername: peer,
      minVersion: 'TLSv1.3',
    })
    return socket.setNoDelay(true)
  }

  #lost(): void {
    const wasUp = this.#up
    this.#turn++
    this.#up = false
    if (wasUp) this.#options.onDown()
    if (this.#closed) return
    const waitMs = Math.min(this.#backoffMs.max, this.#backoffMs.first * 2 ** this.#failures++)
    // Half of the wait is chance, so that many lines don't come back in one instant.
    this.#retry = setTimeout(() => this.#connect(), waitMs * (0.5 + this.#options.random.fraction() / 2))
  }
}
