import { setTimeout as sleep } from 'node:timers/promises'
import { type AmountOutcome, maskedPan } from '../cards.ts'
import type { Answering, Fields } from './answering.ts'
import type { Answered, PurchaseAsked } from './asked.ts'
import type { NetworkLine, RequestName } from './book-lines.ts'
import { convertedFields } from './conversion.ts'
import { deedOfManner } from './deed.ts'
import type { DeskNetwork } from './desk-network.ts'
import { feeFields } from './fees.ts'
import type { Heard } from './hearing.ts'
import { lineOf, settlingOf, standingOf, undoneOf } from './line-of.ts'
import { actualOf, feeOf, nameOf, originalOf, panOf } from './reading.ts'

/** What is done for a peer that has signed on: its requests reach the issuers, and what became of them the book. */
export class Serving {
  readonly #network: DeskNetwork
  readonly #answering: Answering

  constructor(network: DeskNetwork, answering: Answering) {
    this.#network = network
    this.#answering = answering
  }

  async purchase(message: Heard): Promise<void> {
    const { counts, issuer } = this.#network
    const { refuse } = this.#network.behaviour()
    const asked = this.#asked(message)
    if (asked === undefined) return this.#answering.answer(message, { 39: '30' })
    if (refuse !== null) return this.#answering.answer(message, { 39: refuse })

    const purchased = issuer.purchase(asked)
    switch (purchased.kind) {
      case 'lost':
        counts.lost++
        return
      case 'conflict':
        counts.conflicts++
        return this.#answering.answer(message, { 39: '94' })
      case 'repeat':
        counts.repeats++
        // A repeat is not answered before the line of its original is on disk, which may be being written right now.
        await this.#network.book.settled()
        return this.#tell(message, purchased.answered, undefined)
      case 'decided':
        await this.#record(this.#lineOf(asked, purchased.answered))
        this.#count(purchased.answered)
        return this.#tell(message, purchased.answered, purchased.outcome)
    }
  }

  /** The elements that a purchase must have, or undefined. */
  #asked(message: Heard): PurchaseAsked | undefined {
    const pan = panOf(message)
    const name = nameOf(message)
    const [amountMinor, currency, processingCode] = [message.amount(4), message.text(49), message.text(3)]
    if (pan === undefined || name === undefined || amountMinor === undefined) return undefined
    if (currency === undefined || processingCode === undefined) return undefined
    const expiry = message.text(14)
    const feeMinor = feeOf(message)
    const charge = this.#answering.chargeFor(message)
    const pin = this.#pin(message, pan)
    const raises = /^010/.test(message.mti) && message.has(90) ? originalOf(message, name) : undefined
    return {
      ...(raises === undefined ? {} : { raises }),
      mtiClass: message.mti[1] === '1' ? '1' : '2',
      name,
      pan,
      amountMinor: amountMinor + (this.#network.fees.inAmount ? 0n : feeMinor),
      currency,
      processingCode,
      ...(feeMinor === 0n ? {} : { feeMinor }),
      ...(charge === undefined ? {} : { charge }),
      ...(expiry === undefined ? {} : { expiry }),
      ...(pin === undefined ? {} : { pin }),
    }
  }

  #pin(message: Heard, pan: string): string | undefined {
    const block = message.reveal(52)
    if (!(block instanceof Uint8Array)) return undefined
    const pin = this.#network.keys.decryptPin({ block, pan })
    if (pin === undefined) this.#network.counts.pinBlockErrors++
    return pin
  }

  /** The answer, in the manner that the amount asks for. */
  async #tell(message: Heard, answered: Answered, outcome: AmountOutcome | undefined): Promise<void> {
    const { counts, lateMs, behaviour } = this.#network
    const { silent, delayMs } = behaviour()
    const manner = outcome?.answer ?? 'once'
    if (silent) {
      counts.unanswered++
      return
    }
    if (delayMs > 0) await sleep(delayMs)
    const { responseCode, authId, additionalAmounts } = answered
    const fields: Fields = authId === undefined ? { 39: responseCode } : { 38: authId, 39: responseCode }
    if (additionalAmounts !== undefined) fields[54] = additionalAmounts
    if (answered.approvedMinor !== undefined) fields[4] = answered.approvedMinor - this.#besideMinor(message)
    if (authId !== undefined)
      Object.assign(fields, this.#converted(message, answered), feeFields(answered.fees))
    const { told } = this.#network.dates
    if (told !== undefined) fields[15] = told
    await this.#answering.answer(message, fields, deedOfManner(manner, lateMs))
  }

  /** What DE4 is without, where this network wants it so. */
  #besideMinor(message: Heard): bigint {
    return this.#network.fees.inAmount ? 0n : feeOf(message)
  }

  /** What was granted, in the network's other currencies. */
  #converted(message: Heard, { approvedMinor }: Answered): Fields {
    const grantedMinor = approvedMinor === undefined ? undefined : approvedMinor - this.#besideMinor(message)
    const amountMinor = grantedMinor ?? message.amount(4) ?? 0n
    const money = { amountMinor, currency: message.text(49) ?? '', wallMs: Date.now() }
    return amountMinor === 0n ? {} : convertedFields(this.#network.conversions, money)
  }

  /** An advice: it is done, or was done, and acknowledged. */
  async completion(message: Heard): Promise<void> {
    const { counts, issuer, behaviour, name: network } = this.#network
    const { silentReversals, delayMs } = behaviour()
    const [name, pan] = [nameOf(message), panOf(message)]
    if (name === undefined || pan === undefined) return this.#answering.answer(message, { 39: '30' })
    const original = message.has(90) ? originalOf(message, name) : undefined
    const stamp = this.#stamp(message, name)
    const number = message.text(71)
    const isPart = number !== undefined && number !== message.text(72)
    const { currency } = stamp
    const asked = { name, original, pan, amountMinor: BigInt(stamp.amountMinor), currency, isPart }
    const { applied, settled } = issuer.complete(asked)
    const more = {
      ...(isPart ? { isPart } : {}),
      ...standingOf(original === undefined ? {} : issuer.standing(original)),
    }
    counts.completions[applied]++
    const named =
      original === undefined
        ? {}
        : {
            originalStan: original.stan,
            originalTransmittedAt: original.transmittedAt,
            originalAcquirer: original.acquirer,
          }
    await this.#record({
      ...stamp,
      ...named,
      network,
      card: maskedPan(pan),
      event: 'completion',
      applied,
      ...(settled === undefined ? {} : settlingOf({ settled })),
      ...more,
    })
    if (delayMs > 0) await sleep(delayMs)
    if (silentReversals) {
      counts.unanswered++
      return
    }
    const paid = settled === undefined ? {} : this.#paid(asked)
    return this.#answering.answer(message, { ...paid, 39: '00' })
  }

  /** What is paid for what was taken; what the cardholder is charged was told when it was set aside. */
  #paid({ amountMinor, currency }: { readonly amountMinor: bigint; readonly currency: string }): Fields {
    const { settlement } = this.#network.conversions
    return convertedFields(settlement === undefined ? {} : { settlement }, {
      amountMinor,
      currency,
      wallMs: Date.now(),
    })
  }

  async reversal(message: Heard): Promise<void> {
    const { counts, issuer, behaviour, name: network } = this.#network
    const { silentReversals, delayMs } = behaviour()
    const name = nameOf(message)
    const original = name === undefined ? undefined : originalOf(message, name)
    if (name === undefined || original === undefined) return this.#answering.answer(message, { 39: '30' })
    const base = {
      ...this.#stamp(message, name),
      network,
      originalStan: original.stan,
      originalTransmittedAt: original.transmittedAt,
      originalAcquirer: original.acquirer,
    }
    const refusal = issuer.refusal(original)
    if (refusal !== undefined) {
      counts.reversals.refused++
      await this.#record({ ...base, event: 'reversalRefused', responseCode: refusal })
      return this.#answering.answer(message, { 39: refusal })
    }
    const actualMinor = actualOf(message, this.#network.fees)
    const asked = { name, original, actualMinor }
    const { applied, responseCode, ...rest } = issuer.reverse(asked, message.mti.startsWith('042'))
    counts.reversals[applied]++
    const part = actualMinor === 0n ? {} : { actualMinor: actualMinor.toString() }
    await this.#record({
      ...base,
      event: 'reversal',
      applied,
      responseCode,
      ...part,
      ...standingOf(rest),
      ...undoneOf(rest),
    })
    if (delayMs > 0) await sleep(delayMs)
    if (silentReversals || issuer.keepsQuiet(original)) {
      counts.unanswered++
      return
    }
    return this.#answering.answer(message, { 39: responseCode })
  }

  #lineOf(asked: PurchaseAsked, answered: Answered): NetworkLine {
    const { issuer, name } = this.#network
    return lineOf(asked, answered, { network: name, stands: standingOf(issuer.standing(asked.name)) })
  }

  #count({ responseCode, authId }: Answered): void {
    const { counts } = this.#network
    if (authId === undefined) counts.declined[responseCode] = (counts.declined[responseCode] ?? 0) + 1
    else counts.approved++
  }

  #stamp(
    message: Heard,
    name: RequestName,
  ): { at: number; amountMinor: string; currency: string } & RequestName {
    const amountMinor = (message.amount(4) ?? 0n).toString()
    return { at: Date.now(), ...name, amountMinor, currency: message.text(49) ?? '' }
  }

  #record(line: NetworkLine): Promise<void> {
    const { book, dates } = this.#network
    const dated = { ...line, date: dates.date }
    dates.count(dated)
    return book.record(dated)
  }

  /** Whether a peer's totals of a date are those of our book (DE66: in balance, out of balance). */
  async totals(message: Heard): Promise<void> {
    const { counts, dates } = this.#network
    const [monthAndDay, currency] = [message.text(15), message.text(50)]
    if (monthAndDay === undefined || currency === undefined)
      return this.#answering.answer(message, { 39: '30', 66: '3' })
    const agrees = dates.agrees({
      monthAndDay,
      currency,
      creditMinor: message.amount(86),
      creditReversalMinor: message.amount(87),
      debitMinor: message.amount(88),
      debitReversalMinor: message.amount(89),
      creditProcessingFeeMinor: message.amount(82),
      creditTransactionFeeMinor: message.amount(83),
      debitProcessingFeeMinor: message.amount(84),
      debitTransactionFeeMinor: message.amount(85),
    })
    counts.totals[agrees ? 'inBalance' : 'outOfBalance']++
    const judged = agrees ? { 39: '00', 66: '1' } : { 39: '95', 66: '2' }
    await this.#answering.answer(message, { 15: monthAndDay, 50: currency, ...judged })
  }
}
