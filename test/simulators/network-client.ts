import { knetPlaceholder } from '../../connectors/knet/dialect.ts'
import {
  ascii4Frame,
  compile,
  connectLink,
  encodeSealed,
  type FieldValue,
  IsoCodecError,
  type Link,
  type Message,
  sealedPart,
} from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import { maskedPan, type TestCard } from '../../simulators/cards.ts'
import { encryptPin, seal, type TestKey } from '../../simulators/keys.ts'

export const zoneKeys: { readonly pin: TestKey; readonly mac: TestKey } = {
  pin: {
    ref: 'zpk.knet.out',
    algorithm: 'DES2',
    value: Buffer.from('1123456789ABCDEFFEDCBA9876543211', 'hex'),
  },
  mac: {
    ref: 'zak.knet.both',
    algorithm: 'AES128',
    value: Buffer.from('2B7E151628AED2A6ABF7158809CF4F3C', 'hex'),
  },
}
export const codec = compile(knetPlaceholder)

type Fields = Record<number, FieldValue>

export interface Sent {
  readonly mti: string
  readonly fields: Fields
}

let stans = 0

/** The elements of a purchase as a switch would send it; `fields` replaces or adds some. */
export function purchaseOf(
  { card, amountMinor, pin = card.pin }: { card: TestCard; amountMinor: bigint; pin?: string },
  fields: Fields = {},
): Sent {
  stans++
  const stan = stans.toString().padStart(6, '0')
  return {
    mti: '0200',
    fields: {
      2: card.pan,
      3: '000000',
      4: amountMinor,
      7: '1122013000',
      11: stan,
      12: '043000',
      13: '1122',
      14: card.expiry,
      22: '021',
      25: '00',
      32: '41400001',
      37: `6326${stan.padStart(8, '0')}`,
      41: 'T0000001',
      42: '000000000000001',
      49: '414',
      52: encryptPin(zoneKeys.pin, { pin, pan: card.pan }),
      ...fields,
    },
  }
}

/** A reversal of it, with a trace number of its own. */
export function reversalOf({ fields: original }: Sent, mti = '0420'): Sent {
  stans++
  const { 14: _expiry, 52: _pinBlock, ...fields } = original
  return {
    mti,
    fields: {
      ...fields,
      7: '1122013100',
      11: stans.toString().padStart(6, '0'),
      90: {
        mti: '0200',
        stan: original[11] as string,
        transmittedAt: original[7] as string,
        acquirerId: original[32] as string,
        forwarderId: '0',
      },
    },
  }
}

export const again = (sent: Sent): Sent => ({ ...sent, mti: `${sent.mti.slice(0, 3)}1` })

/** The switch's end of a line to the network, on a real socket, doing what the test says. */
export class NetworkClient {
  readonly received: Message[] = []
  readonly unreadable: Buffer[] = []
  readonly #link: Link
  closed = false

  private constructor(link: Link) {
    this.#link = link
  }

  static async open(port: number): Promise<NetworkClient> {
    const received: Message[] = []
    const unreadable: Buffer[] = []
    let onClose = (): void => undefined
    const link = await connectLink(
      { host: '127.0.0.1', port, frame: ascii4Frame, clock: systemClock },
      () => ({
        onMessage: (body) => {
          try {
            received.push(codec.decode(body))
          } catch (error) {
            if (!(error instanceof IsoCodecError)) throw error
            unreadable.push(body)
          }
        },
        onClose: () => onClose(),
      }),
    )
    const client = new NetworkClient(link)
    Object.assign(client, { received, unreadable })
    onClose = () => {
      client.closed = true
    }
    return client
  }

  static async signedOn(port: number): Promise<NetworkClient> {
    const client = await NetworkClient.open(port)
    await client.manage('001')
    return client
  }

  manage(code: string): Promise<Message> {
    stans++
    const stan = stans.toString().padStart(6, '0')
    return this.#exchange(
      codec.encode({ mti: '0800', fields: { 7: '1122013000', 11: stan, 70: code } }),
      stan,
    )
  }

  /** Sends it; does not wait. */
  async send(sent: Sent, sealing: 'good' | 'wrong' | 'none' = 'good'): Promise<void> {
    await this.#link.send(await sealed(sent, sealing))
  }

  async ask(sent: Sent, sealing: 'good' | 'wrong' | 'none' = 'good'): Promise<Message> {
    return this.#exchange(await sealed(sent, sealing), sent.fields[11] as string)
  }

  async sendRaw(body: Buffer): Promise<void> {
    await this.#link.send(body)
  }

  /** The answers to that trace number so far. */
  answersTo({ fields }: Sent): Message[] {
    return this.received.filter((message) => message.text(11) === fields[11])
  }

  close(): void {
    this.#link.close('the test ends')
  }

  async #exchange(bytes: Buffer, stan: string): Promise<Message> {
    const before = this.received.length
    await this.#link.send(bytes)
    for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 2) {
      const answer = this.received.slice(before).find((message) => message.text(11) === stan)
      if (answer !== undefined) return answer
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    throw new Error(`no answer to the request with DE11 ${stan}`)
  }
}

export function sealGood(message: Message): boolean | undefined {
  const part = sealedPart(codec, message)
  return part === undefined ? undefined : seal(zoneKeys.mac, part.data).equals(part.mac)
}

export const maskOf = (card: TestCard): string => maskedPan(card.pan)

async function sealed({ mti, fields }: Sent, sealing: 'good' | 'wrong' | 'none'): Promise<Buffer> {
  if (sealing === 'none') return codec.encode({ mti, fields })
  return encodeSealed(codec, { mti, fields }, (data) => {
    const mac = seal(zoneKeys.mac, data)
    if (sealing === 'wrong') mac[3]! ^= 1
    return Promise.resolve(mac)
  })
}
