import {
  answerMti,
  type Dialect,
  type Link,
  type Message,
  type MessageBody,
  type Multiplexer,
} from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type { LegIdentity, NetworkQuestion } from './connector.ts'
import { codeElementOf, type Log, type SessionProfile } from './network.ts'
import type { NetworkRequests, Told } from './network-requests.ts'

export interface ManagementOptions {
  readonly profile: SessionProfile
  readonly dialect: Dialect
  readonly multiplexer: Multiplexer
  readonly clock: Clock
  readonly identify: () => LegIdentity | undefined
  /** Encodes, and seals what has to be. undefined: it can't be. */
  readonly encode: (body: MessageBody) => Promise<Buffer | undefined>
  readonly requests: NetworkRequests
  readonly log: Log
}

/** Network management of one destination over any link to it: what we ask, and how the peer is answered. */
export class Management {
  readonly #options: ManagementOptions
  readonly #profile: SessionProfile
  readonly #codeElement: number
  readonly #mti: string

  constructor(options: ManagementOptions) {
    this.#options = options
    this.#profile = options.profile
    this.#codeElement = codeElementOf(options.profile)
    this.#mti = options.profile.mti ?? '0800'
  }

  /** The response code of the answer; undefined: none came. */
  async tell(link: Link, what: 'signOn' | 'signOff' | 'echo'): Promise<string | undefined> {
    const answer = await this.ask(link, { code: this.#profile.codes[what] })
    return answer?.text(39)
  }

  async ask(link: Link, { code, fields = {} }: NetworkQuestion): Promise<Message | undefined> {
    const { clock, encode, identify, multiplexer } = this.#options
    const identity = identify()
    if (identity === undefined) return undefined
    const { stan, transmittedAt } = identity
    const bytes = await encode({
      mti: this.#mti,
      fields: { ...fields, 7: transmittedAt, 11: stan, [this.#codeElement]: code },
    })
    if (bytes === undefined) return undefined
    const outcome = await multiplexer.exchange(link, bytes, clock.monotonicMs() + this.#profile.answerMs)
    return outcome.kind === 'answered' ? outcome.message : undefined
  }

  /** Answers a request of the peer's. The returned word is what it means for the session. */
  receive(link: Link, request: Message): 'signedOn' | 'signedOff' | undefined {
    if (!this.#isManagement(request.mti)) {
      this.#options.log.warn({ mti: request.mti }, 'a request that this session does not take')
      return undefined
    }
    const { approved, codes } = this.#profile
    const code = request.text(this.#codeElement)
    if (code !== codes.echo && code !== codes.signOn && code !== codes.signOff) {
      void this.#handOver(link, request)
      return undefined
    }
    void this.#answer(link, request, { responseCode: approved[0]! })
    if (code === codes.echo) return undefined
    return code === codes.signOn ? 'signedOn' : 'signedOff'
  }

  /** A request of network management, or its repeat. */
  #isManagement(mti: string): boolean {
    return mti === this.#mti || mti === `${this.#mti.slice(0, 3)}${Number(this.#mti[3]) + 1}`
  }

  async #handOver(link: Link, request: Message): Promise<void> {
    const reply = await this.#options.requests.reply(request)
    if (reply !== undefined) await this.#answer(link, request, reply)
  }

  async #answer(link: Link, request: Message, { responseCode, fields = {}, answered }: Told): Promise<void> {
    const mti = answerMti(this.#options.dialect, request.mti)
    if (mti === undefined) return
    const echoed = Object.fromEntries(
      [7, 11, this.#codeElement].flatMap((de) => (request.has(de) ? [[de, request.text(de) ?? '']] : [])),
    )
    const bytes = await this.#options.encode({ mti, fields: { ...fields, ...echoed, 39: responseCode } })
    if (bytes === undefined) return
    if ((await link.send(bytes)) === 'written') answered?.()
  }
}
