import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Sealer } from '../../connectors/connector.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import {
  type Codec,
  compile,
  encodeSealed,
  type FieldValue,
  type Link,
  listenLinks,
  type ListenOptions,
  type Message,
  sealedPart,
} from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'

/** A seal for tests: who has the word can make it. */
export function testSealer(word: string): Sealer {
  const seal = (data: Uint8Array): Buffer => createHmac('sha256', word).update(data).digest().subarray(0, 8)
  return {
    seal: (data) => Promise.resolve(seal(data)),
    verify: (data, mac) => Promise.resolve(mac.length === 8 && timingSafeEqual(seal(data), mac)),
  }
}

export interface PeerRequest {
  readonly message: Message
  readonly bytes: Buffer
  readonly link: Link
  /** Whether it came sealed under the word that the peer knows. */
  readonly sealed: boolean
  /** Answers, echoing what an answer echoes. A null takes an element away. */
  answer(
    changes?: Readonly<Record<number, FieldValue | null>>,
    how?: { readonly mti?: string; readonly sealer?: Sealer | 'none'; readonly link?: Link },
  ): Promise<void>
}

const echoed = [2, 3, 4, 7, 11, 24, 32, 37, 41, 49, 70]

/** The other end of a connector: a real listener that does what each test says, and answers 0800 unless told not to. */
export class ScriptedPeer {
  readonly codec: Codec
  readonly requests: PeerRequest[] = []
  readonly links: Link[] = []
  /** What DE39 an 0800 is answered with; undefined: nothing. */
  networkManagement: string | undefined = '00'
  /** What happens to everything but network management. */
  script: (request: PeerRequest) => unknown = (request) => request.answer({ 38: 'A00001', 39: '00' })
  port = 0
  readonly #profile: NetworkProfile
  readonly #sealer: Sealer
  #close: (() => Promise<void>) | undefined

  constructor(profile: NetworkProfile, sealer: Sealer) {
    this.#profile = profile
    this.#sealer = sealer
    this.codec = compile(profile.dialect)
  }

  async listen(options: Partial<ListenOptions> = {}): Promise<this> {
    const server = await listenLinks(
      { host: '127.0.0.1', port: this.port, frame: this.#profile.frame, clock: systemClock, ...options },
      (link) => {
        this.links.push(link)
        return { onMessage: (body) => void this.#receive(link, body), onClose: () => undefined }
      },
    )
    this.port = server.port
    this.#close = () => server.close()
    return this
  }

  async close(): Promise<void> {
    await this.#close?.()
  }

  /** The link that was opened last. */
  get link(): Link {
    return this.links.at(-1)!
  }

  /** The requests of one kind, by MTI and, for 0800, by DE70. */
  of(mti: string, code?: string): PeerRequest[] {
    return this.requests.filter(
      ({ message }) => message.mti === mti && (code === undefined || message.text(70) === code),
    )
  }

  async sendSealed(mti: string, fields: Readonly<Record<number, FieldValue>>): Promise<void> {
    await this.link.send(await encodeSealed(this.codec, { mti, fields }, (data) => this.#sealer.seal(data)))
  }

  async sendUnsealed(mti: string, fields: Readonly<Record<number, FieldValue>>): Promise<void> {
    await this.link.send(this.codec.encode({ mti, fields }))
  }

  async #receive(link: Link, bytes: Buffer): Promise<void> {
    const message = this.codec.decode(bytes)
    const part = sealedPart(this.codec, bytes)
    const sealed = part !== undefined && (await this.#sealer.verify(part.data, part.mac))
    const request: PeerRequest = {
      message,
      bytes,
      link,
      sealed,
      answer: async (
        changes = {},
        { mti = answerMti(message.mti), sealer = this.#sealer, link: over = link } = {},
      ) => {
        const said = { ...Object.fromEntries(echoed.map((de) => [de, message.reveal(de)])), ...changes }
        const present = Object.entries(said).filter(([, value]) => value !== undefined && value !== null)
        const body = { mti, fields: Object.fromEntries(present) as Record<number, FieldValue> }
        const answer =
          mti.startsWith('08') || sealer === 'none'
            ? this.codec.encode(body)
            : await encodeSealed(this.codec, body, (data) => sealer.seal(data))
        await over.send(answer)
      },
    }
    this.requests.push(request)
    if (!message.mti.startsWith('08')) await this.script(request)
    else if (message.mti[2] === '0' && this.networkManagement !== undefined) {
      await request.answer({ 39: this.networkManagement })
    }
  }
}

function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}${Number(mti[3]) & ~1}`
}
