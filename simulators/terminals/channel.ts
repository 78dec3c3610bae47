import type { Random } from '../../kernel/random.ts'
import { seal, sealHolds, type TestKey } from '../keys.ts'
import { Line, type LineOptions } from './line.ts'
import { answerMti, echoRequest } from './messages.ts'
import { type BitmapForm, decode, encode, type WireMessage } from './wire.ts'

export type Reply =
  | {
      readonly kind: 'answer'
      readonly message: WireMessage
      /** `absent` is for the reader to judge: a message that could not be parsed may be refused unsealed. */
      readonly seal: 'good' | 'absent'
    }
  /** It may have been processed: nobody said. */
  | { readonly kind: 'noAnswer'; readonly why: 'timeout' | 'lineLost' }
  /** The line was down: nothing left. */
  | { readonly kind: 'notSent' }

export interface ChannelOptions extends Pick<LineOptions, 'host' | 'port' | 'alternates' | 'tls'> {
  readonly bitmap: BitmapForm
  readonly macKey: TestKey
  readonly random: Random
  /** An 0800 leaves on connect and after this long without traffic; unanswered for 10 s, the line is dropped. */
  readonly echoEveryMs?: number
  readonly backoffMs?: { readonly first: number; readonly max: number }
  readonly onUp?: () => void
  /** An answer whose seal is wrong. It counts as no answer: whoever waits goes on waiting. */
  readonly onBadSeal?: (message: WireMessage) => void
  /** An answer nobody waits for: late, or a second one. */
  readonly onUnmatched?: (message: WireMessage) => void
  readonly onMalformed?: (de: number) => void
}

export interface AskOptions {
  readonly timeoutMs: number
  /** How the seal is spoiled, or left out. */
  readonly seal?: 'good' | 'wrong' | 'none'
}

interface Waiter {
  readonly terminalId: string | undefined
  readonly transmittedAt: string | undefined
  readonly settle: (reply: Reply) => void
}

const echoAnswerMs = 10_000

/** Requests and their answers on one line: sealing, matching, and the echo that keeps the line honest. */
export class Channel {
  readonly #options: ChannelOptions
  readonly #line: Line
  /** By type and trace number; terminals count for themselves, so several may wait under one. */
  readonly #waiters = new Map<string, Waiter[]>()
  readonly #echoEveryMs: number
  #echoTimer: NodeJS.Timeout | undefined
  #echoStan = 0
  #closed = false
  #up = Promise.withResolvers<undefined>()

  constructor(options: ChannelOptions) {
    this.#options = options
    this.#echoEveryMs = options.echoEveryMs ?? 30_000
    const { host, port, alternates, tls } = options
    this.#line = new Line({
      ...{ host, port },
      ...(alternates && { alternates }),
      ...(tls && { tls }),
      random: options.random,
      ...(options.backoffMs === undefined ? {} : { backoffMs: options.backoffMs }),
      onFrame: (body) => this.#received(body),
      onUp: () => {
        this.#up.resolve(undefined)
        void this.#keepAlive()
        options.onUp?.()
      },
      onDown: () => {
        if (!this.#closed) this.#up = Promise.withResolvers<undefined>()
        this.#lost()
      },
    })
  }

  get up(): boolean {
    return this.#line.up
  }

  /** Resolves when the line is up, or closed for good. */
  whenUp(): Promise<undefined> {
    return this.#up.promise
  }

  /** How many requests wait for their answers. */
  get waiting(): number {
    let count = 0
    for (const waiters of this.#waiters.values()) count += waiters.length
    return count
  }

  /** Never rejects. */
  ask(message: WireMessage, { timeoutMs, seal: sealing = 'good' }: AskOptions): Promise<Reply> {
    return new Promise((resolve) => {
      if (!this.#line.send(this.encoded(message, sealing))) {
        resolve({ kind: 'notSent' })
        return
      }
      this.#armEcho()
      const key = `${answerMti(message.mti)}|${message.fields[11] ?? ''}`
      const timer = setTimeout(() => waiter.settle({ kind: 'noAnswer', why: 'timeout' }), timeoutMs)
      const waiter: Waiter = {
        terminalId: message.fields[41],
        transmittedAt: message.fields[7],
        settle: (reply) => {
          clearTimeout(timer)
          this.#forget(key, waiter)
          resolve(reply)
        },
      }
      this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), waiter])
    })
  }

  /** The bytes of a message as this line would send them, without the frame. */
  encoded(message: WireMessage, sealing: 'good' | 'wrong' | 'none' = 'good'): Buffer {
    const { bitmap, macKey } = this.#options
    if (sealing === 'none' || message.mti.startsWith('08')) return encode(message, bitmap)
    return encode(message, bitmap, (bytes) => {
      const mac = seal(macKey, bytes)
      if (sealing === 'wrong') mac[0]! ^= 0xff
      return mac
    })
  }

  echo(timeoutMs = echoAnswerMs): Promise<Reply> {
    this.#echoStan = (this.#echoStan % 999_999) + 1
    const stan = this.#echoStan.toString().padStart(6, '0')
    return this.ask(echoRequest({ stan, madeAt: Date.now() }), { timeoutMs })
  }

  sendFrame(body: Buffer): boolean {
    return this.#line.send(body)
  }

  sendBytes(bytes: Buffer): boolean {
    return this.#line.sendBytes(bytes)
  }

  drop(): void {
    this.#line.drop()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#echoTimer)
    this.#line.close()
    this.#lost()
    this.#up.resolve(undefined)
  }

  #received(body: Buffer): void {
    const decoded = decode(body, this.#options.bitmap)
    if (decoded.kind === 'malformed') {
      this.#options.onMalformed?.(decoded.de)
      return
    }
    const { message, sealed } = decoded
    if (sealed !== undefined && !sealHolds(this.#options.macKey, sealed.bytes, sealed.mac)) {
      this.#options.onBadSeal?.(message)
      return
    }
    const waiter = this.#waiterOf(message)
    if (waiter === undefined) this.#options.onUnmatched?.(message)
    else waiter.settle({ kind: 'answer', message, seal: sealed === undefined ? 'absent' : 'good' })
  }

  #waiterOf({ mti, fields }: WireMessage): Waiter | undefined {
    const waiters = this.#waiters.get(`${mti}|${fields[11] ?? ''}`)
    // A refused message may come back with no more than DE7 and DE11.
    return waiters?.find(({ terminalId, transmittedAt }) =>
      fields[41] === undefined
        ? fields[7] === undefined || fields[7] === transmittedAt
        : fields[41] === terminalId,
    )
  }

  #forget(key: string, waiter: Waiter): void {
    const left = this.#waiters.get(key)?.filter((candidate) => candidate !== waiter) ?? []
    if (left.length === 0) this.#waiters.delete(key)
    else this.#waiters.set(key, left)
  }

  #lost(): void {
    clearTimeout(this.#echoTimer)
    const waiting = [...this.#waiters.values()].flat()
    for (const { settle } of waiting) settle({ kind: 'noAnswer', why: 'lineLost' })
  }

  #armEcho(): void {
    clearTimeout(this.#echoTimer)
    if (!this.#closed) this.#echoTimer = setTimeout(() => void this.#keepAlive(), this.#echoEveryMs)
  }

  async #keepAlive(): Promise<void> {
    const reply = await this.echo()
    if (reply.kind === 'noAnswer' && reply.why === 'timeout') this.#line.drop()
  }
}
