import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '../../kernel/random.ts'
import type { Book } from '../book.ts'
import { loadCardsOf, type TestCard } from '../cards.ts'
import { encryptPin } from '../keys.ts'
import { acknowledgedCodes } from './book-lines.ts'
import { Channel } from './channel.ts'
import { LateAcknowledgements } from './late-acknowledgements.ts'
import { live, type Order } from './life.ts'
import type { LineOptions } from './line.ts'
import { marksOf, type Purchase } from './messages.ts'
import { merchantIdOf, type Numbering, terminalIdOf } from './numbering.ts'
import type { Unresolved } from './recovery.ts'
import { reverseUntilAcknowledged } from './reversal.ts'
import {
  defaultMix,
  drawTerms,
  type Mix,
  type Scenario,
  ScenarioDraw,
  type ScenarioName,
  scenarios,
} from './scenarios.ts'
import { type PurchaseAnswer, type Surroundings, sameAnswer } from './surroundings.ts'
import { Tally } from './tally.ts'
import { type TerminalKeys, terminalBitmap } from './terminal.ts'
import type { WireMessage } from './wire.ts'

export interface EstateOptions extends Pick<LineOptions, 'host' | 'port' | 'alternates' | 'tls'> {
  readonly keys: TerminalKeys
  readonly terminals: number
  /** Purchases a second. */
  readonly rate: number
  readonly seed: number
  readonly timeoutMs: number
  readonly mix?: Mix
  /** Stops making purchases after this. */
  readonly seconds?: number
  /** TCP connections; the terminals are shared out among them. */
  readonly connections?: number
  readonly outstandingMaxPerTerminal?: number
  readonly reversalEveryMs?: number
  readonly repeatShare?: number
  /** Behind which networks the cards are; KNET's where nothing is said. */
  readonly networks?: readonly string[]
}

/** A purchase is made and booked so long before it is due, so that the book's disk is no part of its latency. */
const aheadMs = 100
/** Answers remembered for the sake of those that come late or twice. */
const rememberedMax = 20_000
const kuwaitiDinar = '414'

/**
 * Many terminals and their customers: purchases leave when the schedule says so, whatever comes back. What is still
 * open at the end of one life is taken up by the next, from the book.
 */
export class Estate {
  readonly tally = new Tally()
  readonly #options: EstateOptions
  readonly #book: Book
  readonly #numbering: Numbering
  readonly #random: Random
  readonly #draw: ScenarioDraw
  readonly #channels: Channel[]
  readonly #cards: readonly (readonly TestCard[])[]
  readonly #around: Surroundings
  readonly #answers = new Map<string, PurchaseAnswer>()
  readonly #lateAcknowledgements = new LateAcknowledgements()
  readonly #lives = new Set<Promise<void>>()
  /** How many answers each terminal waits for. */
  readonly #waiting: number[]
  #turn = 0
  #rate: number
  #running = false
  #ended = false
  #nextMs = 0
  #endsMs = Number.POSITIVE_INFINITY
  #startedMs = 0
  #ticker: NodeJS.Timeout | undefined

  constructor(options: EstateOptions, book: Book, numbering: Numbering) {
    this.#options = options
    this.#book = book
    this.#numbering = numbering
    this.#rate = options.rate
    this.#random = seededRandom(options.seed)
    this.#draw = new ScenarioDraw(options.mix ?? defaultMix, this.#random)
    this.#cards = (options.networks ?? ['knet']).map(loadCardsOf)
    this.#waiting = new Array<number>(options.terminals).fill(0)
    const connections = Math.min(options.connections ?? 4, options.terminals)
    this.#channels = Array.from({ length: connections }, (_, index) => this.#openChannel(index))
    this.#around = {
      book,
      tally: this.tally,
      numbering,
      random: this.#random,
      timeoutMs: options.timeoutMs,
      reversalEveryMs: options.reversalEveryMs ?? 3_000,
      repeatShare: options.repeatShare ?? 0.3,
      lateAcknowledgements: this.#lateAcknowledgements,
      ended: () => this.#ended,
      remember: (rrn, answer) => this.#remember(rrn, answer),
    }
  }

  /** Reverses what an earlier life left open. */
  resume(unresolved: readonly Unresolved[]): void {
    for (const { purchase, reversal } of unresolved) {
      const channel = this.#channels[Number(purchase.rrn) % this.#channels.length]!
      const begun = reversal === undefined ? {} : { begun: reversal }
      this.#track(reverseUntilAcknowledged({ purchase, channel, mti: '0420', ...begun }, this.#around))
    }
  }

  start(): void {
    if (this.#running || this.#ended) return
    this.#running = true
    this.#startedMs = performance.now()
    this.#nextMs = this.#startedMs + aheadMs
    this.#endsMs = this.#startedMs + aheadMs + (this.#options.seconds ?? Number.POSITIVE_INFINITY) * 1_000
    this.#tick()
  }

  /** Purchases a second, from now on. */
  setRate(rate: number): void {
    this.#rate = rate
    this.#nextMs = Math.max(this.#nextMs, performance.now() + aheadMs)
    if (this.#running) this.#tick()
  }

  /** No new purchases; resolves when nothing is open any more, or after `waitMs`. */
  async stop(waitMs: number): Promise<'settled' | 'open'> {
    this.#pause()
    const untilMs = performance.now() + waitMs
    while (this.#lives.size > 0 && performance.now() < untilMs) await sleep(20)
    return this.#lives.size === 0 ? 'settled' : 'open'
  }

  /** Ends at once: what is open stays open in the book. */
  async close(): Promise<void> {
    this.#ended = true
    this.#pause()
    for (const channel of this.#channels) channel.close()
    await Promise.all(this.#lives)
    await this.#book.close()
  }

  status(): object {
    const { tally } = this
    return {
      running: this.#running,
      rate: this.#rate,
      seconds: this.#running ? Math.round((performance.now() - this.#startedMs) / 100) / 10 : 0,
      scheduled: tally.scheduled,
      sent: tally.sent,
      unsent: tally.unsent,
      dropped: tally.dropped,
      approved: tally.approved,
      declined: tally.declined,
      outageAnswers: tally.outageAnswers,
      unanswered: tally.unanswered,
      repeated: tally.repeated,
      reversed: tally.reversed,
      reversalsOpen: tally.reversalsOpen,
      reversalAttempts: tally.reversalAttempts,
      reversalsRefused: tally.reversalsRefused,
      outstanding: this.#waiting.reduce((sum, count) => sum + count, 0),
      open: this.#lives.size,
      badSeals: tally.badSeals,
      malformed: tally.malformed,
      lateAnswers: tally.lateAnswers,
      surprises: tally.surprises,
      surprising: tally.surprising,
      latestSurprises: tally.latestSurprises,
      firstApproved: tally.firstApproved,
      lines: { up: this.#channels.filter(({ up }) => up).length, of: this.#channels.length },
      latency: tally.latency(),
      lagMaxMs: Math.round(tally.lagMaxMs * 10) / 10,
    }
  }

  #pause(): void {
    this.#running = false
    clearTimeout(this.#ticker)
  }

  /** Makes every purchase that is due soon, then sleeps until the next one is. */
  #tick(): void {
    clearTimeout(this.#ticker)
    const nowMs = performance.now()
    const everyMs = 1_000 / this.#rate
    while (this.#nextMs <= nowMs + aheadMs) {
      // Sums of intervals are not exact: one that ends a hair before the end would make one purchase too many.
      if (this.#nextMs >= this.#endsMs - everyMs / 1_000) {
        this.#pause()
        return
      }
      this.#launch(this.#nextMs)
      this.#nextMs += everyMs
    }
    this.#ticker = setTimeout(() => this.#tick(), this.#nextMs - aheadMs - nowMs)
  }

  #launch(scheduledMs: number): void {
    this.tally.scheduled++
    const index = this.#freeTerminal()
    if (index === undefined) {
      this.tally.dropped++
      return
    }
    const scenarioName = this.#draw.next()
    this.#waiting[index]!++
    const order: Order = {
      purchase: this.#purchase(index, scenarioName, scheduledMs),
      scenarioName,
      channel: this.#channels[index % this.#channels.length]!,
      scheduledMs,
      onDecided: () => {
        this.#waiting[index]!--
      },
    }
    this.#track(live(order, this.#around))
  }

  /** In turn; a terminal that waits for a few answers already is passed over. */
  #freeTerminal(): number | undefined {
    const outstandingMax = this.#options.outstandingMaxPerTerminal ?? 4
    for (let tried = 0; tried < this.#waiting.length; tried++) {
      const index = this.#turn
      this.#turn = (this.#turn + 1) % this.#waiting.length
      if (this.#waiting[index]! < outstandingMax) return index
    }
    return undefined
  }

  #purchase(index: number, scenarioName: ScenarioName, scheduledMs: number): Purchase {
    const scenario: Scenario = scenarios[scenarioName]
    const { card, pin, amountMinor, entry } = drawTerms(scenario, this.#random, this.#cards)
    const terminalId = terminalIdOf(index)
    const madeAt = Math.round(Date.now() + (scheduledMs - performance.now()))
    return {
      terminalId,
      merchantId: merchantIdOf(index),
      rrn: this.#numbering.nextRrn(madeAt),
      stan: this.#numbering.nextStan(terminalId),
      ...marksOf(scenario.kind ?? 'purchase'),
      madeAt,
      amountMinor,
      currency: kuwaitiDinar,
      pan: card.pan,
      expiry: card.expiry,
      entry: scenario.kind === 'ecommerce' ? 'pan' : entry,
      pinBlock: encryptPin(this.#options.keys.pin, { pin, pan: card.pan }).toString('hex').toUpperCase(),
    }
  }

  #openChannel(index: number): Channel {
    const { keys, seed, tls } = this.#options
    return new Channel({
      ...this.#addressOf(index),
      ...(tls && { tls }),
      bitmap: terminalBitmap,
      macKey: keys.mac,
      random: seededRandom(seed + index + 1),
      onBadSeal: (message) => this.#badSeal(message),
      onUnmatched: (message) => this.#unmatched(message),
      onMalformed: (de) => {
        this.tally.malformed++
        this.tally.surprise('', `malformed answer, DE${de}`)
      },
    })
  }

  /** Each line begins with a node of its own, and goes on to the others when that one is gone. */
  #addressOf(index: number): Pick<LineOptions, 'host' | 'port' | 'alternates'> {
    const { host, port, alternates = [] } = this.#options
    const all = [{ host, port }, ...alternates]
    const first = index % all.length
    return { ...all[first]!, alternates: [...all.slice(first + 1), ...all.slice(0, first)] }
  }

  #badSeal({ mti, fields }: WireMessage): void {
    const [terminal, rrn] = [fields[41] ?? '', fields[37] ?? '']
    this.tally.badSeals++
    this.tally.surprise(rrn, `${mti} with a wrong seal`)
    this.#track(this.#book.record({ at: Date.now(), event: 'badSeal', terminal, rrn, mti }))
  }

  /** Late or second answers. */
  #unmatched({ mti, fields }: WireMessage): void {
    const [terminal, rrn, responseCode] = [fields[41] ?? '', fields[37] ?? '', fields[39] ?? '']
    if (mti === '0430' || mti === '0410') {
      if (acknowledgedCodes.includes(responseCode)) this.#lateAcknowledgements.note(rrn, responseCode)
      return
    }
    if (mti === '0230') return
    if (mti !== '0210' && mti !== '0110') return
    this.tally.lateAnswers++
    // 94 answers the same key with other data, not the purchase, unless the purchase has no answer yet.
    if (responseCode === '94' && this.#answers.has(rrn)) {
      this.#track(this.#book.record({ at: Date.now(), event: 'conflictAnswer', terminal, rrn, responseCode }))
      return
    }
    this.#remember(rrn, { responseCode, authId: fields[38] })
    const authId = fields[38] === undefined ? {} : { authId: fields[38] }
    const line = { event: 'lateAnswer', kind: 'purchase', terminal, rrn, responseCode, ...authId }
    this.#track(this.#book.record({ at: Date.now(), ...line }))
  }

  /** To be told again what was told already is well; to be told otherwise is not. */
  #remember(rrn: string, answer: PurchaseAnswer): void {
    const told = this.#answers.get(rrn)
    if (told !== undefined) {
      if (!sameAnswer(told, answer)) {
        this.tally.surprise(rrn, `answered ${told.responseCode}, then ${answer.responseCode}`)
      }
      return
    }
    this.#answers.set(rrn, answer)
    const oldest = this.#answers.size > rememberedMax ? this.#answers.keys().next().value : undefined
    if (oldest !== undefined) this.#answers.delete(oldest)
  }

  /** A book that cannot be written ends the process: the rejection is nobody's to handle. */
  #track(life: Promise<void>): void {
    const tracked = life.finally(() => this.#lives.delete(tracked))
    this.#lives.add(tracked)
  }
}
