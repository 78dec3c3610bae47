import { IsoCodecError, type Link, sealedPart } from '../../iso8583/iso8583.ts'
import { Answering } from './answering.ts'
import { Asking } from './asking.ts'
import type { DeskNetwork } from './desk-network.ts'
import type { Heard } from './hearing.ts'
import { ringParts } from './key-ring.ts'
import { factsOf } from './reading.ts'
import { Serving } from './serving.ts'

/** One peer's connection: what it says, in order, and who serves it. */
export class Desk {
  readonly #network: DeskNetwork
  readonly #link: Link
  readonly #answering: Answering
  readonly #serving: Serving
  #signedOn = false
  readonly asking: Asking

  constructor(network: DeskNetwork, link: Link) {
    this.#network = network
    this.#link = link
    this.#answering = new Answering(network, link)
    this.#serving = new Serving(network, this.#answering)
    const { counts, exchange, keys } = network
    this.asking = new Asking({ counts, exchange, keys, say: (body) => this.#answering.say(body) })
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
    if (deed !== undefined) this.#answering.ruled(message, deed)
    if (message.mti.startsWith('08')) {
      if (message.mti === '0800' || message.mti === '0801') await this.#manage(message)
      // An 0810 answers what we asked ourselves.
      else this.asking.answered(message.text(11) ?? '', message.wire.text(39))
      return
    }
    this.#network.counts.requests++
    if (!this.#signedOn) {
      this.#network.counts.refusedBeforeSignOn++
      await this.#answering.answer(message, { 39: '91' })
    } else if (!this.#sealHolds(message)) {
      this.#network.counts.badSeals++
      await this.#answering.answer(message, { 39: '63' })
    } else if (deed?.refuse !== undefined) await this.#answering.answer(message, { 39: deed.refuse })
    else if (/^0[12]0[01]$/.test(message.mti)) await this.#serving.purchase(message)
    else if (/^0[12]2[01]$/.test(message.mti)) await this.#serving.completion(message)
    else if (/^04[02][01]$/.test(message.mti)) await this.#serving.reversal(message)
    else if (/^05[02][01]$/.test(message.mti)) await this.#serving.totals(message)
    else await this.#answering.answer(message, { 39: '12' })
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
    await this.#answering.say(
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
      if (read?.has(11) === true) await this.#answering.answer(hearing.hear(read), { 39: '30' })
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
    await this.#answering.answer(message, { 39: responseCode })
    if (asksForKeys) void this.asking.tellKeys(ringParts)
    else if (code === managementCodes.signOn && this.#signedOn) void this.asking.tellKeys(keys.offered)
  }

  #asksForKeys({ wire }: Heard): boolean {
    const { exchange, hearing } = this.#network
    if (exchange === undefined || wire.has(exchange.element)) return false
    return wire.text(hearing.codeElement) === exchange.askCode
  }

  #sealHolds(message: Heard): boolean {
    const part = sealedPart(this.#network.codec, message.wire)
    return part !== undefined && this.#network.keys.sealHolds(part.data, part.mac)
  }

  /** Tells the peer that the next business date begins. */
  async cutover(monthAndDay: string): Promise<string | undefined> {
    if (!this.#signedOn) return undefined
    return this.asking.told({ ...this.asking.fresh(), 15: monthAndDay, 70: managementCodes.cutover })
  }
}

/** DE70 in generic use. */
const managementCodes = { signOn: '001', signOff: '002', cutover: '201', echo: '301' } as const
