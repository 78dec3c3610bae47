import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { FrameReader, framed } from './frames.ts'
import type { LineTls } from './line.ts'
import { echoRequest } from './messages.ts'
import { type BitmapForm, decode, encode } from './wire.ts'

/**
 * Many connections that do next to nothing: terminals that stand idle and answer to an echo now and then, and slow ones
 * that begin a message and never end it. They come from many addresses of loopback, as many shops would.
 */
export interface CrowdOptions {
  readonly host: string
  readonly port: number
  readonly bitmap: BitmapForm
  readonly connectionsPerAddress: number
  /** Those that stand idle have it; undefined: none has. */
  readonly tls?: LineTls | undefined
}

export interface CrowdStatus {
  /** Connections that stand, and how many there were to be. */
  readonly held: number
  readonly wanted: number
  /** Connections that were refused, reset or closed from the other side. */
  readonly lost: number
  readonly echoes: { readonly asked: number; readonly answered: number; readonly maxMs: number }
  readonly slow: { readonly held: number; readonly opened: number; readonly closed: number }
}

interface Idle {
  readonly socket: Socket
  /** Called with the trace number of each 0810. */
  onEcho: ((stan: string) => void) | undefined
}

const stepMs = 20
const echoMs = 20_000
/** A byte a second. */
const slowSteps = 1_000 / stepMs
/** The start of a frame that announces 400 bytes. */
const slowStart = Buffer.from([0x01, 0x90, 0x30])

export class Crowd {
  readonly #options: CrowdOptions
  /** Read once: each connection would read certificates anew. */
  readonly #secure: SecureContext | undefined
  readonly #idle = new Set<Idle>()
  readonly #slow = new Map<Socket, number>()
  #slowTurn = 0
  #wanted = 0
  #lost = 0
  #asked = 0
  #answered = 0
  #echoMaxMs = 0
  #slowWanted = 0
  #slowPort = 0
  #slowOpened = 0
  #slowClosed = 0
  #slowTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: CrowdOptions) {
    this.#options = options
    const { tls } = options
    this.#secure = tls && createSecureContext({ key: tls.key, cert: tls.certificate, ca: tls.ca })
  }

  status(): CrowdStatus {
    return {
      ...{ held: this.#idle.size, wanted: this.#wanted, lost: this.#lost },
      echoes: { asked: this.#asked, answered: this.#answered, maxMs: Math.round(this.#echoMaxMs) },
      slow: { held: this.#slow.size, opened: this.#slowOpened, closed: this.#slowClosed },
    }
  }

  /**
   * So many more connections, no faster than `perSecond`. Each sends an 0800 as soon as it stands, as a terminal does.
   * Resolves when each has its 0810, or has failed to get it.
   */
  async open(count: number, perSecond: number): Promise<CrowdStatus> {
    const first = this.#wanted
    // One address after the other in turn: a switch lets only so many in from one in a second.
    const addresses = Math.ceil(count / this.#options.connectionsPerAddress)
    const firstAddress = Math.ceil(first / this.#options.connectionsPerAddress)
    await paced(count, perSecond, (index) => this.#openIdle(addressOf(firstAddress + (index % addresses))))
    return this.status()
  }

  /** Another 0800 from each that stands. */
  async echo(perSecond: number): Promise<CrowdStatus> {
    const all = [...this.#idle]
    await paced(all.length, perSecond, (index) => this.#echo(all[index]!))
    return this.status()
  }

  /**
   * From now on so many slow ones: a byte a second each; one that is closed is made again. 0 ends them. `port`: of somebody
   * else on the same host, for comparison.
   */
  slow(count: number, port = this.#options.port): void {
    this.#slowPort = port
    this.#slowWanted = count
    clearInterval(this.#slowTimer)
    if (count === 0) for (const socket of this.#slow.keys()) socket.destroy()
    else this.#slowTimer = setInterval(() => this.#slowTick(), stepMs)
  }

  close(): void {
    this.#closed = true
    this.slow(0)
    for (const { socket } of this.#idle) socket.destroy()
  }

  async #openIdle(localAddress: string): Promise<void> {
    this.#wanted++
    const socket = this.#dial(localAddress)
    const idle: Idle = { socket, onEcho: undefined }
    const reader = new FrameReader()
    socket.on('data', (piece: Buffer) => {
      for (const body of reader.push(piece)) {
        const decoded = decode(body, this.#options.bitmap)
        if (decoded.kind === 'message') idle.onEcho?.(decoded.message.fields[11] ?? '')
      }
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (!this.#closed) this.#lost++
      this.#idle.delete(idle)
    })
    const connected = new Promise<void>((resolve) => {
      socket.once(this.#secure === undefined ? 'connect' : 'secureConnect', () => {
        this.#idle.add(idle)
        resolve()
      })
      socket.once('close', () => resolve())
    })
    await connected
    if (this.#idle.has(idle)) await this.#echo(idle)
  }

  #dial(localAddress: string): Socket {
    const { host, port, tls } = this.#options
    if (tls === undefined) return connect({ host, port, localAddress, noDelay: true })
    const socket = connectTls({
      ...{ host, port, localAddress, servername: tls.peer, minVersion: 'TLSv1.3' },
      ...(this.#secure && { secureContext: this.#secure }),
    })
    return socket.setNoDelay(true)
  }

  async #echo(idle: Idle): Promise<void> {
    this.#asked++
    const stan = (((this.#asked - 1) % 999_999) + 1).toString().padStart(6, '0')
    const startedMs = performance.now()
    const answered = new Promise<boolean>((resolve) => {
      idle.onEcho = (answeredStan) => {
        if (answeredStan === stan) resolve(true)
      }
    })
    idle.socket.write(framed(encode(echoRequest({ stan, madeAt: Date.now() }), this.#options.bitmap)))
    if (!(await Promise.race([answered, sleep(echoMs, false, { ref: false })]))) return
    this.#answered++
    this.#echoMaxMs = Math.max(this.#echoMaxMs, performance.now() - startedMs)
  }

  /** Each has its own moment in the second, so that the bytes of all are no burst. */
  #slowTick(): void {
    this.#slowTurn = (this.#slowTurn + 1) % slowSteps
    for (const [socket, turn] of this.#slow) if (turn === this.#slowTurn) socket.write('0')
    const missing = Math.min(this.#slowWanted - this.#slow.size, this.#slowWanted / 4 / slowSteps)
    for (let made = 0; made < missing; made++) this.#openSlow()
  }

  #openSlow(): void {
    const { host } = this.#options
    const port = this.#slowPort
    const localAddress = addressOf(slowAddresses + (this.#slowOpened % slowAddresses))
    this.#slowOpened++
    const socket = connect({ host, port, localAddress, noDelay: true })
    this.#slow.set(socket, this.#slowTurn)
    socket.once('connect', () => socket.write(slowStart))
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.#slow.delete(socket)
      this.#slowClosed++
    })
  }
}

/** Begins `count` things, evenly and no faster than `perSecond`; resolves when all have ended. */
async function paced(
  count: number,
  perSecond: number,
  begin: (index: number) => Promise<void>,
): Promise<void> {
  const pending: Promise<void>[] = []
  const startedMs = performance.now()
  while (pending.length < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) * perSecond) / 1_000))
    while (pending.length < due) pending.push(begin(pending.length))
    await sleep(stepMs)
  }
  await Promise.all(pending)
}

/** How many addresses the slow ones come from, and the first of them. */
const slowAddresses = 1_000

/** 127.1.0.1 and on; nobody else of ours comes from there. */
function addressOf(index: number): string {
  return `127.${1 + Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${1 + (index % 250)}`
}
