import type { ExchangeOutcome, Message } from '../iso8583/iso8583.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { Dialogue } from './dialogue.ts'
import type { Line, Written } from './line.ts'
import type { SessionState } from './session-state.ts'

/** The line of another node, for as long as that has it. */
export interface ForeignLine {
  readonly isThere: boolean
  exchange(bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome>
}

/**
 * A line that may be open only while somebody says so: to a network that allows one session, for which several nodes
 * stand ready. It closes by itself when the time is over, and a process that stood still past it sends nothing more. While
 * it is not ours, requests go over the line of the node that has it, where that can be reached.
 */
export class LeasedLine implements Line {
  readonly #clock: Clock
  readonly #open: () => Line
  readonly #onState: () => void
  readonly #foreign: ForeignLine | undefined
  #line: Line | undefined
  #untilMs = Number.NEGATIVE_INFINITY
  #started = false
  #ended = false
  #timer: Timer | undefined

  constructor({
    clock,
    foreign,
    open,
    onState,
  }: {
    readonly clock: Clock
    readonly foreign?: ForeignLine | undefined
    readonly open: () => Line
    readonly onState: () => void
  }) {
    this.#clock = clock
    this.#foreign = foreign
    this.#open = open
    this.#onState = onState
  }

  /** Whether requests may go over our own line. */
  get isHeld(): boolean {
    return !this.#isOver() && this.#line?.state === 'online'
  }

  get state(): SessionState {
    if (this.#ended) return this.#line?.state ?? 'closed'
    const own = this.#isOver() ? undefined : this.#line
    return own?.state ?? (this.#foreign?.isThere === true ? 'relayed' : 'standby')
  }

  get sessions(): readonly SessionStatus[] {
    return this.#line?.sessions ?? []
  }

  start(): void {
    this.#started = true
    this.#openIfMay()
  }

  /** On the monotonic clock. A time that is over closes the line now, without a word to the peer. */
  grant(untilMs: number): void {
    if (this.#ended) return
    this.#untilMs = untilMs
    this.#timer?.cancel()
    if (this.#isOver()) return this.#cut()
    this.#timer = this.#clock.after(untilMs - this.#clock.monotonicMs(), () => this.#cut())
    this.#openIfMay()
  }

  dialogue(as?: Dialogue): Dialogue | undefined {
    return this.#line?.dialogue(as)
  }

  exchange(written: Written, deadlineMs: number): Promise<ExchangeOutcome> {
    // Timers may be late, most of all in a process that was stopped; the clock is not.
    if (this.#isOver()) this.#cut()
    const sent = this.#line?.exchange(written, deadlineMs)
    return (
      sent ??
      this.#foreign?.exchange(written.bytes, deadlineMs) ??
      Promise.resolve({ kind: 'notSent', reason: 'closed' })
    )
  }

  echo(): Promise<boolean> {
    // Who has the line says so only while it is online.
    return this.#line?.echo() ?? Promise.resolve(this.#foreign?.isThere === true)
  }

  ask(question: NetworkQuestion): Promise<Message | undefined> {
    return this.#line?.ask(question) ?? Promise.resolve(undefined)
  }

  async end(how?: 'cut'): Promise<void> {
    this.#ended = true
    this.#timer?.cancel()
    await this.#line?.end(how)
  }

  #isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#untilMs
  }

  #openIfMay(): void {
    if (!this.#started || this.#ended || this.#line !== undefined || this.#isOver()) return
    this.#line = this.#open()
    this.#line.start()
    this.#onState()
  }

  #cut(): void {
    const line = this.#line
    this.#line = undefined
    if (line === undefined) return
    void line.end('cut')
    this.#onState()
  }
}
