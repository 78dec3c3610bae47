import { setTimeout as sleep } from 'node:timers/promises'
import {
  encodeSealed,
  type FieldValue,
  IsoCodecError,
  type Link,
  type MessageBody,
} from '../../iso8583/iso8583.ts'
import type { Deed } from './deed.ts'
import type { DeskNetwork } from './desk-network.ts'
import type { Heard } from './hearing.ts'

export type Fields = Record<number, FieldValue>

/** What is said over one peer's connection, in the manner that amounts, rules and behaviour ask for. */
export class Answering {
  readonly #network: DeskNetwork
  readonly #link: Link
  /** What the rules say of requests that are being served. */
  readonly #deeds = new WeakMap<Heard, Deed>()

  constructor(network: DeskNetwork, link: Link) {
    this.#network = network
    this.#link = link
  }

  /** From here on `deed` is what is done to the answer of this request. */
  ruled(message: Heard, deed: Deed): void {
    this.#deeds.set(message, deed)
  }

  /** What a rule wants charged for this request. */
  chargeFor(message: Heard): Deed['charge'] {
    return this.#deeds.get(message)?.charge
  }

  async say(body: MessageBody, to?: Heard): Promise<void> {
    const { codec, hearing } = this.#network
    await this.#link.send(codec.encode(hearing.say(body, to)))
  }

  /** Answers, in the manner that is asked for; what a rule says of this request stands above that. */
  async answer(message: Heard, fields: Fields, asked: Deed = {}): Promise<void> {
    const deed = { ...asked, ...this.#deeds.get(message) }
    const { copies = 1, delayMs = 0, disconnect, then } = deed
    if (delayMs > 0) await sleep(delayMs)
    if (copies === 0) this.#network.counts.unanswered++
    if (disconnect === 'before') return this.#link.close('it is asked for')
    for (let copy = 0; copy < copies; copy++) await this.#send(message, fields, deed)
    if (then !== undefined) await this.#send(message, { 39: then }, deed)
    if (disconnect === 'after') this.#link.close('it is asked for')
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
    for (const de of [28, 29, 30, 31]) {
      const said = answer[de]
      if (typeof said === 'string' && /^[CD]\d+$/.test(said))
        answer[de] = { sign: said.slice(0, 1), amount: BigInt(said.slice(1)) }
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
