import { setTimeout as sleep } from 'node:timers/promises'
import { cardOfMask, maskedPan } from '../cards.ts'
import type { RequestLine, TerminalLine } from './book-lines.ts'
import type { Channel, Reply } from './channel.ts'
import { completionRequest, type Purchase, purchaseRequest, repeatOf } from './messages.ts'
import { reverseUntilAcknowledged } from './reversal.ts'
import { outageCodes, type Scenario, type ScenarioName, scenarios } from './scenarios.ts'
import { type PurchaseAnswer, type Surroundings, sameAnswer } from './surroundings.ts'
import type { WireMessage } from './wire.ts'

export interface Order {
  readonly purchase: Purchase
  readonly scenarioName: ScenarioName
  readonly channel: Channel
  /** Monotonic ms. */
  readonly scheduledMs: number
  /** Called once, when the terminal no longer waits for an answer to the purchase. */
  readonly onDecided: () => void
}

/** One purchase from its booking to its end: whatever the terminal does about it, in order. */
export async function live(order: Order, around: Surroundings): Promise<void> {
  await new PurchaseLife(order, around).run()
}

class PurchaseLife {
  readonly #order: Order
  readonly #around: Surroundings
  readonly #scenario: Scenario
  readonly #message: WireMessage
  #sentMs = 0

  constructor(order: Order, around: Surroundings) {
    this.#order = order
    this.#around = around
    this.#scenario = scenarios[order.scenarioName]
    this.#message = messageOf(order.purchase, this.#scenario)
  }

  async run(): Promise<void> {
    const { then } = this.#scenario
    await this.#book(this.#requestLine())
    if (then === 'reverseFirst') await this.#reverse('0420')
    await sleepUntil(this.#order.scheduledMs)
    if (!this.#order.channel.up) {
      await this.#unsent()
      return
    }

    const first = this.#send()
    if (then === 'reverseInFlight') {
      await Promise.all([this.#decided(first), this.#reverseSoon()])
      return
    }
    const answer = await this.#decided(first.then((answered) => answered ?? this.#repeatUnanswered()))
    if (answer?.responseCode === '00') await this.#followUp(answer)
    // A reversal that went first covers this purchase too.
    else if (answer === undefined && then !== 'reverseFirst') await this.#reverse('0420')
  }

  /** The purchase itself, to its answer or to the end of patience. */
  async #send(): Promise<PurchaseAnswer | undefined> {
    const { tally, timeoutMs } = this.#around
    this.#sentMs = performance.now()
    tally.sent++
    tally.lagMaxMs = Math.max(tally.lagMaxMs, this.#sentMs - this.#order.scheduledMs)
    const seal = this.#scenario.spoiled === 'seal' ? 'wrong' : 'good'
    const reply = await this.#order.channel.ask(this.#message, { timeoutMs, seal })
    return this.#read(reply)
  }

  /** Books what came back. undefined: the terminal knows nothing. */
  async #read(reply: Reply): Promise<PurchaseAnswer | undefined> {
    const answeredMs = performance.now()
    const { tally } = this.#around
    if (reply.kind === 'notSent') return undefined
    if (reply.kind === 'noAnswer') {
      tally.unanswered++
      await this.#book({ ...this.#named('noAnswer'), why: reply.why })
      return undefined
    }
    const answer = this.#accepted(reply)
    if (answer === undefined) return undefined
    this.#around.remember(this.#order.purchase.rrn, answer)
    this.#judge(answer)
    const { purchase, scheduledMs } = this.#order
    const network = cardOfMask(maskedPan(purchase.pan))?.network ?? 'none'
    const { prompt } = this.#scenario
    tally.answered({ scheduledMs, sentMs: this.#sentMs, answeredMs, prompt, network })
    await this.#book(this.#answerLine(answer))
    return answer
  }

  /** An answer that a terminal may act on: sealed, for this purchase, with a code. */
  #accepted({ message, seal }: Extract<Reply, { kind: 'answer' }>): PurchaseAnswer | undefined {
    const { 38: authId, 39: responseCode } = message.fields
    const other = [3, 4, 37, 41].find(
      (de) => message.fields[de] !== undefined && message.fields[de] !== this.#message.fields[de],
    )
    if (responseCode === undefined) this.#surprise('answer without DE39')
    // What could not be parsed was not processed, and perhaps could not be sealed either.
    else if (seal === 'absent' && responseCode !== '30') this.#surprise('answer without a seal')
    else if (other !== undefined) this.#surprise(`DE${other} of another purchase`)
    else return { responseCode, authId }
    return undefined
  }

  #judge({ responseCode, authId }: PurchaseAnswer): void {
    const { tally } = this.#around
    const { expects } = this.#scenario
    if (responseCode === '00') this.#approved(authId)
    else tally.declinedWith(responseCode)
    if (expects === undefined || expects.includes(responseCode)) return
    if (outageCodes.includes(responseCode)) tally.outageAnswers++
    else this.#surprise(`${this.#order.scenarioName} answered ${responseCode}`)
  }

  #approved(authId: string | undefined): void {
    const { tally } = this.#around
    tally.approved++
    tally.firstApproved ??= { rrn: this.#order.purchase.rrn, at: Date.now() }
    if (authId === undefined) this.#surprise('approval without DE38')
  }

  /** Once more as 0201, for some of the unanswered, when there is a line to do it on. */
  async #repeatUnanswered(): Promise<PurchaseAnswer | undefined> {
    const { random, repeatShare, timeoutMs } = this.#around
    const { then, spoiled } = this.#scenario
    if (then !== undefined || spoiled !== undefined || random.fraction() >= repeatShare) return undefined
    await Promise.race([this.#order.channel.whenUp(), sleep(timeoutMs, undefined, { ref: false })])
    if (this.#around.ended() || !this.#order.channel.up) return undefined
    return this.#read(await this.#repeat())
  }

  async #repeat(): Promise<Reply> {
    this.#around.tally.repeated++
    await this.#book(this.#named('repeat'))
    this.#sentMs = performance.now()
    return this.#order.channel.ask(repeatOf(this.#message), { timeoutMs: this.#around.timeoutMs })
  }

  async #followUp(answer: PurchaseAnswer): Promise<void> {
    const { then } = this.#scenario
    if (then === 'cancel') {
      await sleep(20 + this.#around.random.below(200))
      await this.#reverse(this.#around.random.below(2) === 0 ? '0400' : '0420')
    }
    if (then === 'complete') await this.#complete(answer)
    if (then === 'repeat') await this.#repeatApproved(answer)
    if (then === 'conflict') await this.#conflict()
  }

  /** The same question once more brings the same answer, or none. */
  async #repeatApproved(answer: PurchaseAnswer): Promise<void> {
    const reply = await this.#repeat()
    if (reply.kind !== 'answer') return
    const again = this.#accepted(reply)
    if (again === undefined) return
    if (!sameAnswer(again, answer)) this.#surprise(`repeat answered ${again.responseCode}`)
    await this.#book(this.#answerLine(again))
  }

  /** Most of what was set aside was used; said until it has been heard. */
  async #complete({ authId }: PurchaseAnswer): Promise<void> {
    const { channel, purchase } = this.#order
    const { ended, numbering, random, reversalEveryMs } = this.#around
    await sleep(20 + random.below(200))
    const amountMinor = (purchase.amountMinor * 9n) / 10n
    const stan = numbering.nextStan(purchase.terminalId)
    const madeAt = Date.now()
    const named = authId === undefined ? {} : { authId }
    const message = completionRequest({ purchase, mti: '0220', stan, madeAt, amountMinor, ...named })
    await this.#book({ ...this.#named('completion'), amountMinor: amountMinor.toString(), stan })
    for (let attempt = 1; !ended(); attempt++) {
      await channel.whenUp()
      if (ended()) return
      const reply = await channel.ask(attempt === 1 ? message : repeatOf(message), {
        timeoutMs: reversalEveryMs,
      })
      const responseCode =
        reply.kind === 'answer' && reply.seal === 'good' ? reply.message.fields[39] : undefined
      if (responseCode !== undefined) {
        await this.#book({ ...this.#named('completionAnswer'), responseCode })
        if (responseCode !== '00') this.#surprise(`completion answered ${responseCode}`)
        return
      }
      if (reply.kind !== 'noAnswer' || reply.why !== 'timeout') await sleep(reversalEveryMs)
    }
  }

  async #conflict(): Promise<void> {
    const amountMinor = (this.#order.purchase.amountMinor + 10n).toString()
    await this.#book({ ...this.#named('conflict'), amountMinor })
    const fields = { ...this.#message.fields, 4: amountMinor.padStart(12, '0') }
    const { timeoutMs } = this.#around
    const reply = await this.#order.channel.ask({ ...this.#message, fields }, { timeoutMs })
    const responseCode = reply.kind === 'answer' ? reply.message.fields[39] : undefined
    if (responseCode === undefined) return
    await this.#book({ ...this.#named('conflictAnswer'), responseCode })
    if (responseCode !== '94' && !outageCodes.includes(responseCode)) {
      this.#surprise(`other data under the same key answered ${responseCode}`)
    }
  }

  async #reverseSoon(): Promise<void> {
    await sleep(this.#around.random.below(20))
    await this.#reverse('0420')
  }

  #reverse(mti: '0400' | '0420'): Promise<void> {
    const { purchase, channel } = this.#order
    return reverseUntilAcknowledged({ purchase, channel, mti }, this.#around)
  }

  async #decided<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } finally {
      this.#order.onDecided()
    }
  }

  async #unsent(): Promise<void> {
    this.#order.onDecided()
    this.#around.tally.unsent++
    await this.#book(this.#named('unsent'))
  }

  #surprise(what: string): void {
    this.#around.tally.surprise(this.#order.purchase.rrn, what)
  }

  #book(line: TerminalLine): Promise<void> {
    return this.#around.book.record(line)
  }

  #named<const Event extends string>(
    event: Event,
  ): { at: number; event: Event; terminal: string; rrn: string } {
    const { terminalId, rrn } = this.#order.purchase
    return { at: Date.now(), event, terminal: terminalId, rrn }
  }

  #requestLine(): RequestLine & { at: number } {
    const { purchase, scenarioName } = this.#order
    return {
      ...this.#named('request'),
      kind: this.#scenario.kind ?? 'purchase',
      merchant: purchase.merchantId,
      stan: purchase.stan,
      amountMinor: purchase.amountMinor.toString(),
      currency: purchase.currency,
      card: maskedPan(purchase.pan),
      entry: purchase.entry,
      scenario: scenarioName,
      madeAt: purchase.madeAt,
    }
  }

  #answerLine({ responseCode, authId }: PurchaseAnswer): TerminalLine {
    return {
      ...this.#named('answer'),
      kind: 'purchase',
      responseCode,
      ...(authId === undefined ? {} : { authId }),
    }
  }
}

function messageOf(purchase: Purchase, { spoiled }: Scenario): WireMessage {
  const message = purchaseRequest(purchase)
  // DE22 is three digits: past DE11, so that the refusal can still name the message.
  return spoiled === 'format' ? { ...message, fields: { ...message.fields, 22: '0A1' } } : message
}

async function sleepUntil(monotonicMs: number): Promise<void> {
  const waitMs = monotonicMs - performance.now()
  if (waitMs > 0) await sleep(waitMs)
}
