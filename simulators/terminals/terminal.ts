import { type Random, systemRandom } from '../../kernel/random.ts'
import type { TestCard } from '../cards.ts'
import { encryptPin, type TestKey } from '../keys.ts'
import { type AskOptions, Channel, type Reply } from './channel.ts'
import {
  completionRequest,
  marksOf,
  naming,
  type processingCodes,
  type Purchase,
  purchaseRequest,
  repeatOf,
  reversalRequest,
} from './messages.ts'
import type { LineTls } from './line.ts'
import { Numbering } from './numbering.ts'
import type { BitmapForm, WireMessage } from './wire.ts'

export interface TerminalOptions {
  readonly host: string
  readonly port: number
  readonly terminalId: string
  readonly merchantId: string
  readonly keys: TerminalKeys
  readonly timeoutMs?: number
  readonly bitmap?: BitmapForm
  readonly random?: Random
  readonly tls?: LineTls
}

export interface TerminalKeys {
  readonly pin: TestKey
  readonly mac: TestKey
}

export interface PurchaseOrder {
  readonly card: TestCard
  /** Minor units of `currency`. */
  readonly amountMinor: bigint
  /** The card's own when not given; null leaves DE52 out. */
  readonly pin?: string | null
  readonly entry?: 'pan' | 'track2'
  readonly currency?: string
  readonly kind?: keyof typeof processingCodes | 'ecommerce'
  /** Elements to put in the place of what the terminal would write; undefined leaves one out. */
  readonly fields?: Readonly<Record<number, string | undefined>>
  readonly seal?: NonNullable<AskOptions['seal']>
  readonly timeoutMs?: number
}

/** A purchase on its way: what was sent, and the answer to come. */
export interface Asked {
  readonly purchase: Purchase
  readonly message: WireMessage
  readonly reply: Promise<Reply>
}

export interface ReversalOrder {
  readonly mti?: '0400' | '0401' | '0420' | '0421'
  /** An earlier reversal of this terminal, to be sent again as it was. */
  readonly again?: WireMessage
  /** DE95: what is to remain. */
  readonly actualMinor?: bigint
  /** DE39: why; 17 is the customer's cancellation. */
  readonly reason?: string
  readonly timeoutMs?: number
}

export interface CompletionOrder {
  readonly amountMinor: bigint
  /** DE38 of the authorization; without it DE90 names it. */
  readonly authId?: string
  readonly mti?: '0120' | '0220'
  readonly again?: WireMessage
  readonly fields?: Readonly<Record<number, string | undefined>>
}

/** The layout that the switch's terminals speak. */
export const terminalBitmap: BitmapForm = 'hex'

const kuwaitiDinar = '414'

/** One terminal that does exactly what it is told, for acceptance tests and fault drills. Keeps no book. */
export class Terminal {
  readonly #options: TerminalOptions
  readonly #numbering: Numbering
  readonly #timeoutMs: number
  readonly channel: Channel
  /** Answers that nobody waited for, and answers whose seal was wrong. */
  readonly unmatched: WireMessage[] = []
  readonly badSeals: WireMessage[] = []

  private constructor(options: TerminalOptions, onUp: () => void) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? 30_000
    // Two terminals that are opened one after the other must not count through the same reference numbers.
    this.#numbering = new Numbering((options.random ?? systemRandom).below(86_400_000))
    this.channel = new Channel({
      host: options.host,
      port: options.port,
      ...(options.tls && { tls: options.tls }),
      bitmap: options.bitmap ?? terminalBitmap,
      macKey: options.keys.mac,
      random: options.random ?? systemRandom,
      onUp,
      onUnmatched: (message) => this.unmatched.push(message),
      onBadSeal: (message) => this.badSeals.push(message),
    })
  }

  /** Resolves when the line is up; until then it is tried again and again. */
  static open(options: TerminalOptions): Promise<Terminal> {
    return new Promise((resolve) => {
      const terminal = new Terminal(options, () => resolve(terminal))
    })
  }

  /** Sends a purchase; does not wait for its answer. */
  begin(order: PurchaseOrder): Asked {
    const drafted = this.draft(order)
    return { ...drafted, reply: this.ask(drafted.message, order) }
  }

  /** A purchase that is not sent yet, but may be reversed. */
  draft(order: PurchaseOrder): Omit<Asked, 'reply'> {
    const purchase = this.#purchaseOf(order)
    return { purchase, message: withFields(purchaseRequest(purchase), order.fields) }
  }

  async purchase(order: PurchaseOrder): Promise<Asked & { readonly answer: Reply }> {
    const asked = this.begin(order)
    return { ...asked, answer: await asked.reply }
  }

  /** More is to be set aside with what an authorization did, under its reference. */
  async raise(
    asked: Pick<Asked, 'purchase'>,
    order: PurchaseOrder & { readonly authId?: string },
  ): Promise<Asked & { readonly answer: Reply }> {
    const { rrn } = asked.purchase
    return this.#about(asked.purchase, { ...order, kind: 'authorization' }, { rrn })
  }

  /** Money back for what was paid, all of it or a part. */
  async refund(
    asked: Pick<Asked, 'purchase'>,
    order: PurchaseOrder,
  ): Promise<Asked & { readonly answer: Reply }> {
    return this.#about(asked.purchase, { ...order, kind: 'refund' }, {})
  }

  async #about(
    original: Purchase,
    order: PurchaseOrder & { readonly authId?: string },
    otherwise: Partial<Purchase>,
  ): Promise<Asked & { readonly answer: Reply }> {
    const purchase = { ...this.#purchaseOf(order), ...otherwise }
    const message = withFields(naming(purchaseRequest(purchase), original, order.authId), order.fields)
    const reply = this.ask(message, order)
    return { purchase, message, reply, answer: await reply }
  }

  /** The same purchase again as 0201. */
  repeat(asked: Asked, options: Partial<AskOptions> = {}): Promise<Reply> {
    return this.ask(repeatOf(asked.message), options)
  }

  /** The same key with other data, which a switch must refuse. */
  conflict(asked: Asked, fields: Readonly<Record<number, string>>): Promise<Reply> {
    return this.ask(withFields(asked.message, fields))
  }

  /** A reversal of the purchase, or with `again` a repeat of that reversal. */
  reverse(
    asked: Pick<Asked, 'purchase'>,
    order: ReversalOrder = {},
  ): { message: WireMessage; reply: Promise<Reply> } {
    const { mti = '0420', again, actualMinor } = order
    const base = mti.startsWith('040') ? '0400' : '0420'
    const fresh = again ?? this.#reversalOf(asked.purchase, base, actualMinor)
    const why = order.reason === undefined ? {} : { 39: order.reason }
    const message = withFields({ ...fresh, mti: again === undefined ? mti : repeatOf(fresh).mti }, why)
    return { message, reply: this.ask(message, order) }
  }

  /** The completion of an authorization, or with `again` a repeat of that completion. */
  complete(
    asked: Pick<Asked, 'purchase'>,
    order: CompletionOrder,
  ): { message: WireMessage; reply: Promise<Reply> } {
    const { again, amountMinor, authId, mti = '0220', fields } = order
    const { purchase } = asked
    const stan = this.#numbering.nextStan(purchase.terminalId)
    const named = authId === undefined ? {} : { authId }
    const fresh = completionRequest({ purchase, mti, stan, madeAt: Date.now(), amountMinor, ...named })
    const message = again === undefined ? withFields(fresh, fields) : repeatOf(again)
    return { message, reply: this.ask(message) }
  }

  echo(timeoutMs?: number): Promise<Reply> {
    return this.channel.echo(timeoutMs)
  }

  /** Any message, sealed as asked. */
  ask(message: WireMessage, { timeoutMs, seal }: Partial<AskOptions> = {}): Promise<Reply> {
    return this.channel.ask(message, {
      timeoutMs: timeoutMs ?? this.#timeoutMs,
      ...(seal === undefined ? {} : { seal }),
    })
  }

  close(): void {
    this.channel.close()
  }

  #purchaseOf({
    card,
    amountMinor,
    pin = card.pin,
    entry = 'pan',
    currency = kuwaitiDinar,
    kind = 'purchase',
  }: PurchaseOrder): Purchase {
    const { terminalId, merchantId, keys } = this.#options
    const madeAt = Date.now()
    const block =
      pin === null ? undefined : encryptPin(keys.pin, { pin, pan: card.pan }).toString('hex').toUpperCase()
    return {
      terminalId,
      merchantId,
      rrn: this.#numbering.nextRrn(madeAt),
      stan: this.#numbering.nextStan(terminalId),
      ...marksOf(kind),
      madeAt,
      amountMinor,
      currency,
      pan: card.pan,
      expiry: card.expiry,
      entry,
      ...(block === undefined ? {} : { pinBlock: block }),
    }
  }

  #reversalOf(purchase: Purchase, mti: '0400' | '0420', actualMinor: bigint | undefined): WireMessage {
    const stan = this.#numbering.nextStan(purchase.terminalId)
    const part = actualMinor === undefined ? {} : { actualMinor }
    return reversalRequest({ purchase, mti, stan, madeAt: Date.now(), ...part })
  }
}

/** DE39 of an answer; undefined when there was none. */
export function responseCodeOf(reply: Reply): string | undefined {
  return reply.kind === 'answer' ? reply.message.fields[39] : undefined
}

function withFields(
  message: WireMessage,
  changed: Readonly<Record<number, string | undefined>> = {},
): WireMessage {
  const fields: Record<number, string> = {}
  for (const [de, value] of Object.entries({ ...message.fields, ...changed })) {
    if (value !== undefined) fields[Number(de)] = value
  }
  return { ...message, fields }
}
