import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Codec,
  encodeSealed,
  type FieldValue,
  IsoCodecError,
  type Link,
  type MessageBody,
  sealedPart,
} from '../../iso8583/iso8583.ts'
import type { Book } from '../book.ts'
import { type AmountOutcome, maskedPan } from '../cards.ts'
import { Asking, type KeySpeech } from './asking.ts'
import type { Behaviour } from './behaviour.ts'
import type { NetworkLine, RequestName } from './book-lines.ts'
import { type Conversions, convertedFields } from './conversion.ts'
import type { Counts } from './counts.ts'
import type { BusinessDates } from './day.ts'
import { type Deed, deedOfManner } from './deed.ts'
import type { Heard, Hearing } from './hearing.ts'
import type { Answered, PurchaseAsked } from './asked.ts'
import type { Issuer } from './issuer.ts'
import { type KeyRing, ringParts } from './key-ring.ts'
import { lineOf, standingOf, undoneOf } from './line-of.ts'
import { actualOf, factsOf, nameOf, originalOf, panOf } from './reading.ts'
import type { Rules } from './rules.ts'

/** What the desks of one network share. */
export interface Network {
  readonly name: string
  readonly codec: Codec
  readonly hearing: Hearing
  readonly keys: KeyRing
  /** How keys are told to the peer; undefined: people bring them. */
  readonly exchange: KeySpeech | undefined
  readonly issuer: Issuer
  readonly book: Book
  readonly dates: BusinessDates
  readonly counts: Counts
  readonly conversions: Conversions
  /** How late a late answer is. */
  readonly lateMs: number
  /** Another of the peer's connections; the same one where there is no other. */
  readonly otherLink: (link: Link) => Link
  readonly behaviour: () => Behaviour
  readonly rules: () => Rules
}

type Fields = Record<number, FieldValue>

/** One peer's connection: what it says, in order, and what it is told. */
export class Desk {
  readonly #network: Network
  readonly #link: Link
  /** What the rules say of requests that are being served. */
  readonly #deeds = new WeakMap<Heard, Deed>()
  #signedOn = false
  readonly asking: Asking

  constructor(network: Network, link: Link) {
    this.#network = network
    this.#link = link
    const { counts, exchange, keys } = network
    this.asking = new Asking({ counts, exchange, keys, say: (body) => this.#say(body, undefined) })
  }

  get signedOn(): boolean {
    return this.#signedOn
  }

  async receive(body: Buffer): Promise<void> {
    if (this.#network.behaviour().deaf) return
    const message = await this.#heard(body)
    if (message === undefined) return
    const deed = this.#network.rules().deedFor(factsOf(message))
    if (deed?.lost === true) {
      this.#network.counts.lost++
      return
    }
    if (deed !== undefined) this.#deeds.set(message, deed)
    if (message.mti.startsWith('08')) {
      if (message.mti === '0800' || message.mti === '0801') await this.#manage(message)
      // An 0810 answers what we asked ourselves.
      else this.asking.answered(message.text(11) ?? '', message.wire.text(39))
      return
    }
    this.#network.counts.requests++
    if (!this.#signedOn) {
      this.#network.counts.refusedBeforeSignOn++
      await this.#answer(message, { 39: '91' })
    } else if (!this.#sealHolds(message)) {
      this.#network.counts.badSeals++
      await this.#answer(message, { 39: '63' })
    } else if (deed?.refuse !== undefined) await this.#answer(message, { 39: deed.refuse })
    else if (/^0[12]0[01]$/.test(message.mti)) await this.#purchase(message)
    else if (/^0[12]2[01]$/.test(message.mti)) await this.#completion(message)
    else if (/^04[02][01]$/.test(message.mti)) await this.#reversal(message)
    else if (/^05[02][01]$/.test(message.mti)) await this.#totals(message)
    else await this.#answer(message, { 39: '12' })
  }

  /** The peer is gone: it answers nothing any more. */
  closed(): void {
    this.asking.closed()
  }

  disconnect(why: string): void {
    this.#link.close(why)
  }

  /** Tells the peer that no more business is taken. */
  async signOff(): Promise<void> {
    this.#signedOn = false
    await this.#say(
      { mti: '0800', fields: { ...this.asking.fresh(), 70: managementCodes.signOff } },
      undefined,
    )
  }

  async #heard(body: Buffer): Promise<Heard | undefined> {
    const { codec, hearing } = this.#network
    try {
      return hearing.hear(codec.decode(body))
    } catch (error) {
      if (!(error instanceof IsoCodecError)) throw error
      this.#network.counts.malformed++
      // Without DE11 nobody could tell what is being refused.
      const read = error.partial
      if (read?.has(11) === true) await this.#answer(hearing.hear(read), { 39: '30' })
      return undefined
    }
  }

  async #manage(message: Heard): Promise<void> {
    const { counts, behaviour, keys } = this.#network
    const { noEcho, refuseSignOn } = behaviour()
    if (noEcho) return
    const code = message.text(70)
    const asksForKeys = this.#asksForKeys(message)
    let responseCode = '00'
    if (code === managementCodes.signOn) {
      counts.signOns++
      this.#signedOn = !refuseSignOn
      if (refuseSignOn) responseCode = '91'
    } else if (code === managementCodes.signOff) this.#signedOn = false
    else if (code === managementCodes.echo) counts.echoes++
    else if (!asksForKeys) responseCode = '12'
    await this.#answer(message, { 39: responseCode })
    if (asksForKeys) void this.asking.tellKeys(ringParts)
    else if (code === managementCodes.signOn && this.#signedOn) void this.asking.tellKeys(keys.offered)
  }

  #asksForKeys({ wire }: Heard): boolean {
    const { exchange, hearing } = this.#network
    if (exchange === undefined || wire.has(exchange.element)) return false
    return wire.text(hearing.codeElement) === exchange.askCode
  }

  async #say(body: MessageBody, to: Heard | undefined): Promise<void> {
    const { codec, hearing } = this.#network
    await this.#link.send(codec.encode(hearing.say(body, to)))
  }

  #sealHolds(message: Heard): boolean {
    const part = sealedPart(this.#network.codec, message.wire)
    return part !== undefined && this.#network.keys.sealHolds(part.data, part.mac)
  }

  async #purchase(message: Heard): Promise<void> {
    const { counts, issuer } = this.#network
    const { refuse } = this.#network.behaviour()
    const asked = this.#asked(message)
    if (asked === undefined) return this.#answer(message, { 39: '30' })
    if (refuse !== null) return this.#answer(message, { 39: refuse })

    const purchased = issuer.purchase(asked)
    switch (purchased.kind) {
      case 'lost':
        counts.lost++
        return
      case 'conflict':
        counts.conflicts++
        return this.#answer(message, { 39: '94' })
      case 'repeat':
        counts.repeats++
        await this.#booked()
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
    const pin = this.#pin(message, pan)
    const raises = /^010/.test(message.mti) && message.has(90) ? originalOf(message, name) : undefined
    return {
      ...(raises === undefined ? {} : { raises }),
      mtiClass: message.mti[1] === '1' ? '1' : '2',
      name,
      pan,
      amountMinor,
      currency,
      processingCode,
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
    if (answered.approvedMinor !== undefined) fields[4] = answered.approvedMinor
    if (authId !== undefined) Object.assign(fields, this.#converted(message, answered))
    const { told } = this.#network.dates
    if (told !== undefined) fields[15] = told
    await this.#answer(message, fields, deedOfManner(manner, lateMs))
  }

  /** What was granted, in the network's other currencies. */
  #converted(message: Heard, { approvedMinor }: Answered): Fields {
    const amountMinor = approvedMinor ?? message.amount(4) ?? 0n
    const money = { amountMinor, currency: message.text(49) ?? '', wallMs: Date.now() }
    return amountMinor === 0n ? {} : convertedFields(this.#network.conversions, money)
  }

  /** An advice: it is done, or was done, and acknowledged. */
  async #completion(message: Heard): Promise<void> {
    const { counts, issuer, behaviour, name: network } = this.#network
    const { silentReversals, delayMs } = behaviour()
    const [name, pan] = [nameOf(message), panOf(message)]
    if (name === undefined || pan === undefined) return this.#answer(message, { 39: '30' })
    const original = message.has(90) ? originalOf(message, name) : undefined
    const stamp = this.#stamp(message, name)
    const number = message.text(71)
    const isPart = number !== undefined && number !== message.text(72)
    const asked = { name, original, pan, amountMinor: BigInt(stamp.amountMinor), isPart }
    const applied = issuer.complete(asked)
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
      ...more,
    })
    if (delayMs > 0) await sleep(delayMs)
    if (silentReversals) {
      counts.unanswered++
      return
    }
    return this.#answer(message, { 39: '00' })
  }

  async #reversal(message: Heard): Promise<void> {
    const { counts, issuer, behaviour, name: network } = this.#network
    const { silentReversals, delayMs } = behaviour()
    const name = nameOf(message)
    const original = name === undefined ? undefined : originalOf(message, name)
    if (name === undefined || original === undefined) return this.#answer(message, { 39: '30' })
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
      return this.#answer(message, { 39: refusal })
    }
    const actualMinor = actualOf(message)
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
    return this.#answer(message, { 39: responseCode })
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
  async #totals(message: Heard): Promise<void> {
    const { counts, dates } = this.#network
    const [monthAndDay, currency] = [message.text(15), message.text(50)]
    if (monthAndDay === undefined || currency === undefined)
      return this.#answer(message, { 39: '30', 66: '3' })
    const agrees = dates.agrees({
      monthAndDay,
      currency,
      creditMinor: message.amount(86),
      creditReversalMinor: message.amount(87),
      debitMinor: message.amount(88),
      debitReversalMinor: message.amount(89),
    })
    counts.totals[agrees ? 'inBalance' : 'outOfBalance']++
    const judged = agrees ? { 39: '00', 66: '1' } : { 39: '95', 66: '2' }
    await this.#answer(message, { 15: monthAndDay, 50: currency, ...judged })
  }

  /** Tells the peer that the next business date begins. */
  async cutover(monthAndDay: string): Promise<string | undefined> {
    if (!this.#signedOn) return undefined
    return this.asking.told({ ...this.asking.fresh(), 15: monthAndDay, 70: managementCodes.cutover })
  }

  /** A repeat is not answered before the line of its original is on disk, which may be being written right now. */
  #booked(): Promise<void> {
    return this.#network.book.settled()
  }

  /** Answers, in the manner that is asked for; what a rule says of this request stands above that. */
  async #answer(message: Heard, fields: Fields, asked: Deed = {}): Promise<void> {
    const deed = { ...asked, ...this.#deeds.get(message) }
    const { copies = 1, delayMs = 0, disconnect, then } = deed
    if (delayMs > 0) await sleep(delayMs)
    if (copies === 0) this.#network.counts.unanswered++
    if (disconnect === 'before') return this.disconnect('it is asked for')
    for (let copy = 0; copy < copies; copy++) await this.#send(message, fields, deed)
    if (then !== undefined) await this.#send(message, { 39: then }, deed)
    if (disconnect === 'after') this.disconnect('it is asked for')
  }

  async #send(message: Heard, fields: Fields, deed: Deed): Promise<void> {
    const { codec, hearing, keys, behaviour } = this.#network
    const management = message.mti.startsWith('08')
    const more = deed.addMinor === undefined ? {} : { 4: (message.amount(4) ?? 0n) + deed.addMinor }
    const said = hearing.say({ mti: answerMti(message.mti), fields: { ...fields, ...more } }, message)
    const answer: Fields = { ...said.fields, ...deed.set }
    // An amount is a number to the codec, and digits to who wrote the rule.
    for (const de of [4, 5, 6]) {
      const said = answer[de]
      if (typeof said === 'string') answer[de] = BigInt(said)
    }
    for (const de of deed.remove ?? []) Reflect.deleteProperty(answer, de)
    const body = { mti: deed.mti ?? said.mti, fields: answer }
    const sealed = !management && deed.seal !== 'none'
    let bytes: Buffer
    try {
      bytes = sealed
        ? await encodeSealed(codec, body, (data) => {
            const mac = keys.seal(data)
            if (deed.seal === 'wrong' || behaviour().badSeal) mac[0]! ^= 0xff
            return Promise.resolve(mac)
          })
        : codec.encode(body)
    } catch (error) {
      // What a rule puts into an answer may be more than this dialect can say: then nothing is said.
      if (!(error instanceof IsoCodecError)) throw error
      this.#network.counts.unanswered++
      return
    }
    // To a peer that is gone there is nothing to say; it will ask again or reverse.
    const over = deed.otherSession === true ? this.#network.otherLink(this.#link) : this.#link
    await over.send(spoiled(bytes, deed))
  }
}

/** The bytes as a rule wants them. */
function spoiled(bytes: Buffer, { cutTo = bytes.length, overwrite }: Deed): Buffer {
  if (overwrite !== undefined) bytes.write(overwrite.hex, overwrite.at, 'hex')
  return bytes.subarray(0, cutTo)
}

function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti.charAt(2)) + 1}0`
}

/** DE70 in generic use. */
const managementCodes = { signOn: '001', signOff: '002', cutover: '201', echo: '301' } as const
