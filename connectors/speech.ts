import {
  type Codec,
  compile,
  type Dialect,
  encodeSealed,
  type FieldValue,
  IsoCodecError,
  type Message,
  type MessageBody,
  sealedPart,
} from '../iso8583/iso8583.ts'
import type { Sealer } from './connector.ts'
import { codeElementOf, type Log, type NetworkProfile } from './network.ts'

/** After so many wrong seals in a row it is not one bad message: the two ends no longer have the same key. */
const badSealsToAlarm = 3

/** How messages to and from one network are written and sealed. */
export class Speech {
  readonly #network: NetworkProfile
  readonly #codec: Codec
  readonly #sealer: Sealer
  readonly #log: Log
  readonly #codeElement: number
  #badSeals = 0
  #seals = 0

  constructor(network: NetworkProfile, sealer: Sealer, log: Log) {
    this.#network = network
    this.#codec = codecOf(network.dialect)
    this.#sealer = sealer
    this.#log = log
    this.#codeElement = codeElementOf(network.session)
  }

  get codec(): Codec {
    return this.#codec
  }

  /** The bytes, or whose fault it is that there are none: the HSM's, or ours. */
  async encode(body: MessageBody): Promise<Buffer | 'hsm' | 'malformed'> {
    try {
      if (!this.#isSealed(body.mti, body.fields[this.#codeElement])) return this.#codec.encode(body)
      return await encodeSealed(this.#codec, body, (data) => this.#seal(data))
    } catch (error) {
      if (error instanceof SealError) return 'hsm'
      if (!(error instanceof IsoCodecError)) throw error
      const { code, path } = error
      this.#log.error({ code, path, mti: body.mti }, 'our own message cannot be encoded')
      return 'malformed'
    }
  }

  /** Whether a message that came is sealed as it must be. A rejection means that nobody could say. */
  async checkSeal(message: Message): Promise<boolean> {
    const sealed = sealedPart(this.#codec, message)
    if (sealed === undefined) return !this.#isSealed(message.mti, message.get(this.#codeElement))
    const good = await this.#sealer.verify(sealed.data, sealed.mac)
    if (good) this.#badSeals = 0
    return good
  }

  /** Whether the last seal that could be checked was right. */
  get inStep(): boolean {
    return this.#badSeals === 0
  }

  /** There is a new key: the count begins anew. */
  renewed(): void {
    this.#badSeals = 0
    this.#seals = 0
  }

  /** Messages sealed since then. */
  get seals(): number {
    return this.#seals
  }

  /** A message came whose seal was wrong. Whether it is not the only one by now. */
  badSeal(): boolean {
    if (++this.#badSeals < badSealsToAlarm) return false
    this.#log.error({ badSeals: this.#badSeals }, 'seals are wrong again and again: key out of step')
    return true
  }

  async #seal(data: Uint8Array): Promise<Uint8Array> {
    this.#seals++
    try {
      return await this.#sealer.seal(data)
    } catch {
      throw new SealError()
    }
  }

  #isSealed(mti: string, code: FieldValue | undefined): boolean {
    const { sealedClasses, session } = this.#network
    if (sealedClasses.includes(mti[1]!)) return true
    return mti[1] === '8' && typeof code === 'string' && session.sealedCodes?.includes(code) === true
  }
}

/** A codec has no memory, so one is enough for all who speak a dialect. */
function codecOf(dialect: Dialect): Codec {
  const codec = codecs.get(dialect) ?? compile(dialect)
  codecs.set(dialect, codec)
  return codec
}

const codecs = new WeakMap<Dialect, Codec>()

/** The sealer failed, whatever its reason: nothing was sent. */
class SealError extends Error {}
