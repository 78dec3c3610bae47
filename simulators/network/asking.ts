import { setTimeout as sleep } from 'node:timers/promises'
import type { FieldValue, MessageBody } from '../../iso8583/iso8583.ts'
import type { Counts } from './counts.ts'
import type { KeyRing, Offer, RingPart } from './key-ring.ts'

/** Where a key travels in this network's messages. */
export interface KeySpeech {
  readonly element: number
  readonly form: 'text' | 'bytes'
  readonly checkDigits: number
  /** The codes of a message that brings a key, and of one that asks for keys, as they stand on the wire. */
  readonly code: string
  readonly askCode: string
}

type Fields = Record<number, FieldValue>

interface AskingPorts {
  readonly keys: KeyRing
  /** How keys are told to the peer; undefined: people bring them. */
  readonly exchange: KeySpeech | undefined
  readonly counts: Counts
  readonly say: (body: MessageBody) => Promise<void>
}

/** What the network asks of one peer by itself: messages of network management, and their answers. */
export class Asking {
  readonly #ports: AskingPorts
  readonly #awaited = new Map<string, (responseCode: string | undefined) => void>()
  #many = 0

  constructor(ports: AskingPorts) {
    this.#ports = ports
  }

  /** An 0810 came: its DE11 and DE39. */
  answered(stan: string, responseCode: string | undefined): void {
    this.#awaited.get(stan)?.(responseCode)
  }

  /** The peer is gone: it answers nothing any more. */
  closed(): void {
    for (const answer of this.#awaited.values()) answer(undefined)
  }

  /**
   * Tells the peer of a new key, and takes it into use when the peer says that it has it. `wrongKcv`: with another check
   * value than the key's. Resolves to DE39 of the answer; undefined: there was none.
   */
  async #sendKey(part: RingPart, { wrongKcv = false } = {}): Promise<string | undefined> {
    const { counts, exchange, keys } = this.#ports
    const offer = keys.offer(part)
    if (exchange === undefined || offer === undefined) return undefined
    const fields = { ...this.fresh(), ...keyFields(exchange, offer, wrongKcv) }
    const responseCode = await this.told(fields)
    if (responseCode === undefined) return undefined
    if (agreed.includes(responseCode)) keys.taken(part)
    else if (!later.includes(responseCode)) {
      counts.keysRefused++
      keys.refused(part)
    }
    return responseCode
  }

  /** Says an 0800 of our own. Resolves to DE39 of its answer; undefined: there was none. */
  async told(fields: Fields & { readonly 11: string }): Promise<string | undefined> {
    const answered = new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), managementAnswerMs)
      timer.unref()
      this.#awaited.set(fields[11], (responseCode) => {
        clearTimeout(timer)
        resolve(responseCode)
      })
    })
    await this.#ports.say({ mti: '0800', fields })
    const responseCode = await answered
    this.#awaited.delete(fields[11])
    return responseCode
  }

  /** DE7 and DE11 of a message of our own. */
  fresh(): { 7: string; 11: string } {
    this.#many++
    // Apart from other desks' and from those of a life before: the peer joins what looks the same.
    const stan = ((Date.now() + this.#many) % 1_000_000).toString().padStart(6, '0')
    return { 7: new Date().toISOString().slice(5, 19).replace(/[-:T]/g, ''), 11: stan }
  }

  /** What the peer asked for, or what it was told of in an earlier life and did not answer to. */
  async tellKeys(parts: readonly RingPart[]): Promise<void> {
    for (const part of parts) await this.tellKey(part)
  }

  /** `sendKey`, and again a few times where the peer says that it can't just now. */
  async tellKey(part: RingPart, how?: { readonly wrongKcv: boolean }): Promise<string | undefined> {
    for (let tries = 1; ; tries++) {
      const responseCode = await this.#sendKey(part, how)
      if (!(responseCode !== undefined && later.includes(responseCode)) || tries === keyTriesMax)
        return responseCode
      await sleep(1_000)
    }
  }
}

/** DE39 of an 0810 that agrees, in either edition. */
const agreed: readonly string[] = ['00', '800', '000']
/** Malfunction: not now. */
const later: readonly string[] = ['96', '909']
const managementAnswerMs = 15_000
const keyTriesMax = 5

function keyFields(
  { element, form, checkDigits, code }: KeySpeech,
  { block, kcv }: Offer,
  wrongKcv: boolean,
): Fields {
  const check = wrongKcv ? kcv.replace(/./g, (digit) => (digit === 'F' ? '0' : 'F')) : kcv
  const text = block + check.slice(0, checkDigits)
  return { [element]: form === 'bytes' ? Buffer.from(text, 'latin1') : text, 70: code }
}
