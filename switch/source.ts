import assert from 'node:assert'
import type { Hsm } from '../hsm/hsm.ts'
import {
  type Codec,
  encodeSealed,
  type FieldValue,
  type FrameFormat,
  IsoCodecError,
  type Link,
  type LinkHandlers,
  type LinkServer,
  listenLinks,
  type ListenOptions,
  type Message,
  sealedPart,
} from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import { additionalAmount, originalType } from './additional-amounts.ts'
import { admit } from './admission.ts'
import { arrivalOf, feeBeside } from './arrivals.ts'
import type { Observer } from './observer.ts'
import { Pauses } from './pauses.ts'
import type { Waiter } from './live.ts'
import { meanings, type Outcome, toldOf } from './results.ts'
import type { Rules } from './rules/rules.ts'
import type { SourceRules } from './rules/source-rules.ts'
import type { Shell } from './shell.ts'
import type { Answer } from './transaction/transaction.ts'

/**
 * Where one source's links come in: bytes become arrivals for the shell, and its answers become bytes. What is not
 * sealed by the source changes nothing; what can't be read is answered as far as it could be read.
 */
export interface SourceOptions extends DeskOptions {
  readonly host: string
  readonly port: number
  readonly frame: FrameFormat
  readonly door?: SourceDoor
}

export interface DeskOptions {
  readonly name: string
  /** Those in force now. */
  readonly rules: { readonly current: Rules }
  readonly codec: Codec
  /** By participant: the acquirers (DE32) that it may speak for. Who is not in it may speak for any. */
  readonly acquirers?: ReadonlyMap<string, readonly string[]>
  readonly hsm: Pick<Hsm, 'verifyMac' | 'verifyThenTokenise' | 'generateMac'>
  readonly shell: Pick<Shell, 'request' | 'reversal' | 'completion'>
  readonly clock: Clock
  readonly observer: Observer
}

/** Who may come in, and how. */
export type SourceDoor = Pick<
  ListenOptions,
  'tls' | 'peers' | 'plaintext' | 'budget' | 'limits' | 'onRefused'
>

export interface Source {
  readonly port: number
  /** Refuses new requests with 91 from here on; what is being served goes on. */
  drain(): void
  close(): Promise<void>
  readonly links: number
}

/** Serves the links of one source, whoever opens them. */
export interface SourceDesk {
  /** What the handlers of a link must do for what comes over it. */
  attach(link: Link): LinkHandlers
  drain(): void
  close(): void
}

export function sourceDesk(options: DeskOptions): SourceDesk {
  return new Desk(options)
}

/** Requests of one link under way at once; the next is refused before any work is done on it. */
const inFlightMax = 64
const badSealsToAlarm = 3
/** Elements of a request that its answer repeats. The card number is not among them. */
const echoed = [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] as const

export async function openSource(options: SourceOptions): Promise<Source> {
  const desk = sourceDesk(options)
  const { host, port, frame, clock, door } = options
  const server: LinkServer = await listenLinks({ host, port, frame, clock, ...door }, (link) =>
    desk.attach(link),
  )
  return {
    port: server.port,
    drain() {
      server.stopAccepting()
      desk.drain()
    },
    close() {
      desk.close()
      return server.close()
    },
    get links() {
      return server.links.size
    },
  }
}

interface Line {
  readonly link: Link
  inFlight: number
  /** In a row. */
  badSeals: number
}

class Desk implements SourceDesk {
  readonly #options: DeskOptions
  readonly #pauses: Pauses
  #draining = false

  constructor(options: DeskOptions) {
    this.#options = options
    this.#pauses = new Pauses(options.clock)
  }

  attach(link: Link): LinkHandlers {
    const line = { link, inFlight: 0, badSeals: 0 }
    return { onMessage: (body) => this.#receive(line, body), onClose: () => undefined }
  }

  drain(): void {
    this.#draining = true
  }

  close(): void {
    this.#pauses.stop()
  }

  #receive(line: Line, body: Buffer): void {
    const receivedMonotonicMs = this.#options.clock.monotonicMs()
    let message: Message
    try {
      message = this.#options.codec.decode(body)
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      return void this.#unreadable(line, error)
    }
    if (!this.#speaksFor(line.link, message)) return void this.#impostor(line, message)
    if (message.mti[1] === '8') return void this.#network(line, message)
    // An answer to nothing we asked: sources are asked nothing.
    if (isResponse(message.mti)) return this.#options.observer.refused(this.#options.name, 'unsupported')
    void this.#serve(line, message, receivedMonotonicMs)
  }

  async #serve(line: Line, message: Message, receivedMonotonicMs: number): Promise<void> {
    const { name, observer } = this.#options
    const busy = this.#draining || line.inFlight >= inFlightMax
    if (busy && !isReport(message.mti)) {
      observer.refused(name, 'overload')
      // What is asked again may have been approved: only silence is true of it without looking.
      if (isRepeat(message.mti)) return
      return void (await this.#refuse(line.link, message, 'unavailable'))
    }
    if (this.#pauses.mayBeStale && !isReport(message.mti)) return observer.refused(name, 'stale')
    line.inFlight++
    try {
      await this.#admit(line, message, receivedMonotonicMs)
    } finally {
      line.inFlight--
    }
  }

  async #admit(line: Line, message: Message, receivedMonotonicMs: number): Promise<void> {
    const { clock, codec, name, observer, shell } = this.#options
    const rules = this.#options.rules.current
    const source = sourceIn(rules, name)
    const part = sealedPart(codec, message)
    const arrival = arrivalOf(message, {
      source,
      rules,
      receivedMonotonicMs,
      receivedAt: clock.wallMs(),
      described: codec.describe(message),
    })
    const admission =
      part === undefined ? 'unsealed' : await admit(arrival, { key: source.keys.mac, ...part }, this.#options)
    if (admission === 'unknown') return observer.refused(name, 'unsealable')
    if (admission === 'unsealed') {
      observer.refused(name, 'seal')
      // Not one bad message, but another key (X3); a source is told so by its answers, and by people.
      if (++line.badSeals === badSealsToAlarm)
        observer.alarm('seals of a source are wrong again and again', name)
      return void (await this.#refuse(line.link, message, 'security'))
    }
    line.badSeals = 0
    const waiter = this.#waiter(line.link, message)
    switch (arrival.kind) {
      case 'request':
        return shell.request(arrival, admission.file!, waiter)
      case 'reversal':
        return shell.reversal(arrival, waiter)
      case 'completion':
        return shell.completion(arrival, admission.file!, waiter)
      case 'unserved':
        observer.refused(name, arrival.why)
        return void (await this.#refuse(
          line.link,
          message,
          meanings['1987'][arrival.responseCode] ?? 'formatError',
        ))
    }
  }

  /** Whether the acquirer in the message is one of the participant whose certificate the link has shown. */
  #speaksFor({ peerName }: Link, message: Message): boolean {
    const own = peerName === undefined ? undefined : this.#options.acquirers?.get(peerName)
    const claimed = message.text(32)
    return own === undefined || claimed === undefined || own.includes(claimed)
  }

  /** Refused before its seal is looked at: whoever it is, it speaks in another's name. */
  async #impostor({ link }: Line, message: Message): Promise<void> {
    const { name, observer } = this.#options
    observer.refused(name, 'acquirer')
    observer.alarm('an acquirer id that is not the peer’s', link.peerName ?? '')
    if (!isResponse(message.mti)) await this.#refuse(link, message, 'security')
  }

  /** Sign-on, sign-off and echo: we are there. */
  async #network(line: Line, message: Message): Promise<void> {
    if (isResponse(message.mti)) return
    const fields: Record<number, FieldValue> = { 39: '00' }
    for (const de of [7, 11, 70]) copy(message, de, fields)
    await line.link.send(this.#options.codec.encode({ mti: responseMti(message.mti), fields }))
  }

  /** Answers 30 as far as the message could be read: its type and DE11 at least, else there is nobody to answer. */
  async #unreadable(line: Line, error: IsoCodecError): Promise<void> {
    const { name, observer } = this.#options
    observer.refused(name, 'format')
    const read = error.partial
    if (read === undefined || !/^0[1-6]/.test(read.mti) || isResponse(read.mti) || !read.has(11)) return
    await this.#refuse(line.link, read, 'formatError')
  }

  /** The seal takes a while, and what the answer will be is known before it may be given. */
  #waiter(link: Link, request: Message): Waiter {
    let ahead: { readonly answer: Answer; readonly bytes: Promise<Buffer | undefined> } | undefined
    const waiter: Waiter = async (answer) => {
      const isReady = ahead !== undefined && isSame(ahead.answer, answer)
      const bytes = await (isReady ? ahead!.bytes : this.#sealed(request, answer))
      return bytes === undefined ? 'notSent' : link.send(bytes)
    }
    waiter.prepare = (answer) => {
      ahead = { answer, bytes: this.#sealed(request, answer) }
    }
    return waiter
  }

  #refuse(link: Link, request: Message, outcome: Outcome): ReturnType<Link['send']> {
    const { told } = sourceIn(this.#options.rules.current, this.#options.name)
    return this.#waiter(link, request)({ responseCode: toldOf(told, outcome) })
  }

  /** An answer without a seal would be refused by the source, so then there is none. */
  async #sealed(request: Message, answer: Answer): Promise<Buffer | undefined> {
    const { codec, hsm, name, observer } = this.#options
    const source = sourceIn(this.#options.rules.current, name)
    const { hearsBilling, keys } = source
    const fields: Record<number, FieldValue> = { 39: answer.responseCode }
    for (const de of echoed) copy(request, de, fields)
    if (answer.authId !== undefined) fields[38] = answer.authId
    if (answer.additionalAmounts !== undefined) fields[54] = answer.additionalAmounts
    if (answer.billing !== undefined && hearsBilling === true) tellBilling(answer.billing, fields)
    if (answer.amountMinor !== undefined)
      tellPart(request, answer.amountMinor - feeBeside(request, source), fields)
    const body = { mti: responseMti(request.mti), fields }
    try {
      return await encodeSealed(codec, body, (data) => hsm.generateMac({ key: keys.mac, data }))
    } catch {
      observer.refused(name, 'unsealable')
      return undefined
    }
  }
}

/** The rules have every source that there is: it is checked when they are read. */
function sourceIn({ sources }: Rules, name: string): SourceRules {
  const source = sources.get(name)
  assert(source !== undefined)
  return source
}

function isSame(one: Answer, other: Answer): boolean {
  return (
    one.responseCode === other.responseCode &&
    one.authId === other.authId &&
    one.additionalAmounts === other.additionalAmounts &&
    one.billing?.amountMinor === other.billing?.amountMinor &&
    one.amountMinor === other.amountMinor
  )
}

/** What was approved of it, and beside that what was asked for. */
function tellPart(request: Message, amountMinor: bigint, fields: Record<number, FieldValue>): void {
  const [asked, numeric] = [request.amount(4), request.text(49)]
  fields[4] = amountMinor
  if (asked === undefined || numeric === undefined) return
  fields[54] = additionalAmount({ type: originalType, numeric, amountMinor: asked })
}

/** What the cardholder is charged, as the destination says it: amount, currency, rate, and the day of that. */
function tellBilling(
  { amountMinor, currencyNumeric, date, rate }: NonNullable<Answer['billing']>,
  fields: Record<number, FieldValue>,
): void {
  fields[6] = amountMinor
  fields[51] = currencyNumeric
  if (rate !== undefined) fields[10] = rate
  if (date !== undefined) fields[16] = date
}

function copy(message: Message, de: number, fields: Record<number, FieldValue>): void {
  const value = message.get(de)
  if (value !== undefined) fields[de] = value
}

/** Functions are even when they need an answer: request, advice, notification. */
function isResponse(mti: string): boolean {
  return (mti.charCodeAt(2) - 48) % 2 === 1
}

/** Reversals and advices are never turned away: each tells of something that may have happened. */
function isReport(mti: string): boolean {
  return mti[1] === '4' || mti[2] === '2'
}

function isRepeat(mti: string): boolean {
  return (mti.charCodeAt(3) - 48) % 2 === 1
}

/** The request's type with function + 1 and the repeat flag cleared (M2). */
function responseMti(mti: string): string {
  const origin = mti.charCodeAt(3) - 48
  return mti.slice(0, 2) + String(mti.charCodeAt(2) - 48 + 1) + String(origin - (origin % 2))
}
