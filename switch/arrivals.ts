import type { Message } from '../iso8583/iso8583.ts'
import { nearestYear } from '../kernel/calendar.ts'
import { currencies, currencyOfNumeric } from '../kernel/money.ts'
import { Secret } from '../kernel/secret.ts'
import { amountOfType, cashType } from './additional-amounts.ts'
import type { Rules } from './rules/rules.ts'
import type { SourceRules } from './rules/source-rules.ts'
import { type Kind, kindOf, kinds } from './transaction/kinds.ts'
import type { CardRequest, Part } from './transaction/transaction.ts'

/** What must not outlive the request: in memory only, and printed by nothing. */
export interface CardSecrets {
  readonly pan: string
  /** DE14, YYMM */
  readonly expiry?: string
  readonly track2?: string
  readonly pinBlock?: Uint8Array
  /** DE55, byte-exact */
  readonly emv?: Uint8Array
}

/** The earlier transaction that a message is about, as its source says: the key that DE90 makes, or DE37 and DE38. */
export interface Named {
  readonly originalKey?: string
  readonly authId?: string
}

export interface InboundRequest {
  readonly kind: 'request'
  /** Of what is about an earlier transaction: a raise of an authorization, a refund of what was paid. */
  readonly names?: Named
  /** The only destination it may go to: that of what it names. */
  readonly to?: string
  /** The source says that it asked before. */
  readonly repeat: boolean
  readonly source: SourceRules
  /** The rules that were in force when it came: it is decided by them to its end. */
  readonly rules: Rules
  readonly sourceKey: string
  readonly fingerprint: string
  readonly cardMask: string
  readonly request: CardRequest
  readonly secrets: Secret<CardSecrets>
  readonly receivedMonotonicMs: number
  /** The masked dump, for the journal. */
  readonly described: string
}

export interface InboundReversal {
  readonly kind: 'reversal'
  readonly source: SourceRules
  readonly sourceKey: string
  readonly fingerprint: string
  /** The source key of what is to be reversed. */
  readonly originalKey: string
  /** DE90 names an advice: a completion, which is an act on an authorization and no transaction of its own. */
  readonly isOfCompletion?: boolean
  /** DE4 and DE37: what the source believes the original to be. */
  readonly amountMinor: bigint
  /** DE95: what is to remain; zero where everything is undone. */
  readonly actualMinor: bigint
  readonly rrn: string
  /** DE41 */
  readonly terminalId?: string
  /** It tells, and does not ask (M3). */
  readonly isAdvice: boolean
  /** DE39 17: the customer cancelled. */
  readonly isVoid: boolean
  readonly described: string
}

/** A completion (0220, or 0120 where clearing follows): what a source says has become of an authorization. */
export interface InboundCompletion {
  readonly kind: 'completion'
  readonly source: SourceRules
  readonly rules: Rules
  readonly sourceKey: string
  readonly fingerprint: string
  /** The source key of the authorization, where DE90 says it. */
  readonly originalKey: string | undefined
  readonly cardMask: string
  /** Others follow; what is left stays set aside. */
  readonly isPart: boolean
  /** DE71 and DE72. */
  readonly part?: Part
  /** As if it were a transaction of its own; of a forced post it is. */
  readonly request: CardRequest
  readonly secrets: Secret<CardSecrets>
  readonly described: string
}

/** A message that is well formed but not what we can serve; `element` is the one at fault. */
export interface Unserved {
  readonly kind: 'unserved'
  readonly responseCode: string
  readonly why: 'format' | 'unsupported'
  readonly element: number
}

export interface Receipt {
  readonly source: SourceRules
  readonly rules: Rules
  readonly receivedMonotonicMs: number
  readonly receivedAt: number
  readonly described: string
}

export type Arrived = InboundRequest | InboundReversal | InboundCompletion | Unserved

/** A class 1, 2 or 4 message as the switch understands it. Pure: the same message gives the same arrival. */
export function arrivalOf(message: Message, receipt: Receipt): Arrived {
  try {
    switch (message.mti) {
      case '0100':
      case '0101':
      case '0200':
      case '0201':
        return requestOf(message, receipt)
      case '0120':
      case '0121':
      case '0220':
      case '0221':
        return completionOf(message, receipt)
      case '0400':
      case '0401':
      case '0420':
      case '0421':
        return reversalOf(message, receipt)
      default:
        return { kind: 'unserved', responseCode: '12', why: 'unsupported', element: 0 }
    }
  } catch (error) {
    if (error instanceof Refused) return error.unserved
    throw error
  }
}

function requestOf(message: Message, receipt: Receipt): InboundRequest {
  const mti = withoutRepeat(message.mti)
  const [processingCode, conditionCode] = [need(message, 3), need(message, 25)]
  const alone = kindOf({ mti, processingCode, conditionCode, amountMinor: message.amount(4) })
  if (alone === undefined) throw new Refused('12', 3)
  const names = kinds[alone].books === 'hold' || alone === 'refund' ? namedBy(message, receipt) : undefined
  // To take what raises an authorization for one of its own would set money aside twice.
  const kind = names !== undefined && kinds[alone].books === 'hold' ? 'incremental' : alone
  const read = readRequest(message, receipt, kind)
  const { receivedMonotonicMs } = receipt
  const request = { kind: 'request', repeat: message.mti !== mti, receivedMonotonicMs, ...read } as const
  if (names === undefined) return request
  const fingerprint = [read.fingerprint, names.originalKey ?? names.authId].join('|')
  return { ...request, fingerprint, names }
}

function namedBy(message: Message, receipt: Receipt): Named | undefined {
  if (message.has(90)) {
    const original = { ...originalDataOf(message), terminalId: need(message, 41) }
    return { originalKey: sourceKeyOf(receipt, original) }
  }
  const authId = message.text(38)
  return authId === undefined ? undefined : { authId }
}

/** A completion of nothing that is named is as good as one of something that nobody knows. */
function completionOf(message: Message, receipt: Receipt): InboundCompletion {
  if (!need(message, 3).startsWith('00')) throw new Refused('12', 3)
  const read = readRequest(message, receipt, 'completion')
  const originalKey = message.has(90) ? namedBy(message, receipt)?.originalKey : undefined
  return { kind: 'completion', originalKey, ...partOf(message), ...read }
}

/** DE71 says which of several completions it is, DE72 of how many; only the last lets go of what is left. */
function partOf(message: Message): Pick<InboundCompletion, 'isPart' | 'part'> {
  const [number, last] = [message.text(71), message.text(72)]
  if (number === undefined) return { isPart: false }
  return { isPart: number !== last, part: { number, ...optional('last', last) } }
}

type Read = Pick<
  InboundRequest,
  'source' | 'rules' | 'sourceKey' | 'fingerprint' | 'cardMask' | 'request' | 'secrets' | 'described'
>

function readRequest(message: Message, receipt: Receipt, kind: Kind): Read {
  const currency = currencyOfNumeric(need(message, 49))
  if (currency === undefined) throw new Refused('12', 49)
  const amountMinor = amountOf(message, kind) + feeBeside(message, receipt.source)
  const secrets = secretsOf(message)
  const request: CardRequest = {
    kind,
    mti: withoutRepeat(message.mti),
    processingCode: need(message, 3),
    amountMinor,
    currency,
    transmittedAt: need(message, 7),
    stan: need(message, 11),
    localTime: need(message, 12),
    localDate: need(message, 13),
    ...optional('merchantType', message.text(18)),
    entryMode: need(message, 22),
    conditionCode: need(message, 25),
    ...optional('acquirerId', message.text(32)),
    rrn: need(message, 37),
    ...optional('authId', message.text(38)),
    terminalId: need(message, 41),
    merchantId: need(message, 42),
    ...partsOf(message, { kind, amountMinor, currency }),
  }
  const cardMask = maskOf(secrets.pan)
  return {
    source: receipt.source,
    rules: receipt.rules,
    sourceKey: sourceKeyOf(receipt, request),
    fingerprint: [cardMask, kind, amountMinor, currency, request.merchantId.trim()].join('|'),
    cardMask,
    request,
    secrets: new Secret(secrets),
    described: receipt.described,
  }
}

function reversalOf(message: Message, receipt: Receipt): InboundReversal {
  const original = originalDataOf(message)
  const terminalId = need(message, 41)
  const amountMinor = message.amount(4)
  if (amountMinor === undefined) throw new Refused('30', 4)
  const actualMinor = actualOf(message, receipt.source)
  const originalKey = sourceKeyOf(receipt, { ...original, terminalId })
  return {
    kind: 'reversal',
    source: receipt.source,
    sourceKey: sourceKeyOf(receipt, {
      mti: message.mti,
      transmittedAt: need(message, 7),
      stan: need(message, 11),
      ...optional('acquirerId', message.text(32)),
      terminalId,
    }),
    fingerprint: [originalKey, amountMinor, actualMinor].join('|'),
    originalKey,
    isOfCompletion: original.mti[2] === '2',
    amountMinor,
    actualMinor,
    rrn: need(message, 37),
    terminalId,
    isAdvice: message.mti[2] === '2',
    isVoid: message.text(39) === '17',
    described: receipt.described,
  }
}

/** DE4. Where nothing is moved it is zero, and may be left out. */
function amountOf(message: Message, kind: Kind): bigint {
  const amountMinor = message.amount(4)
  if (kinds[kind].amount === 'zero') {
    if ((amountMinor ?? 0n) !== 0n) throw new Refused('13', 4)
    return 0n
  }
  if (amountMinor === undefined) throw new Refused('30', 4)
  // A completion of nothing lets go of everything.
  if (amountMinor === 0n && kind !== 'completion') throw new Refused('13', 4)
  return amountMinor
}

/** What only some kinds say: how much of it is cash, and between which accounts it moves. */
function partsOf(
  message: Message,
  { kind, amountMinor, currency }: Pick<CardRequest, 'kind' | 'amountMinor' | 'currency'>,
): Pick<CardRequest, 'cashMinor' | 'feeMinor' | 'fromAccount' | 'toAccount'> {
  const fee = feeOf(message, { kind, amountMinor })
  if (kind === 'cashback') {
    const numeric = currencies[currency].numeric
    const cashMinor = amountOfType(message.text(54) ?? '', { type: cashType, numeric })
    if (cashMinor === undefined) throw new Refused('30', 54)
    if (cashMinor === 0n || cashMinor + (fee.feeMinor ?? 0n) >= amountMinor) throw new Refused('13', 54)
    return { cashMinor, ...fee }
  }
  if (kind !== 'transfer') return fee
  const [fromAccount, toAccount] = [accountOf(message, 102), accountOf(message, 103)]
  if (fromAccount === toAccount) throw new Refused('12', 103)
  return { fromAccount, toAccount }
}

/** DE28 of a source whose DE4 is without it; what is wrong with it is said where it is read. */
export function feeBeside(message: Message, { feeInAmount }: Pick<SourceRules, 'feeInAmount'>): bigint {
  if (feeInAmount !== false || !message.has(28)) return 0n
  const value = message.get(28)
  const amount = typeof value === 'object' && !(value instanceof Uint8Array) ? value['amount'] : undefined
  return typeof amount === 'bigint' ? amount : 0n
}

/** DE28, which is a part of the amount. What would be given to the cardholder with it is no fee. */
function feeOf(
  message: Message,
  { kind, amountMinor }: Pick<CardRequest, 'kind' | 'amountMinor'>,
): Pick<CardRequest, 'feeMinor'> {
  if (!message.has(28)) return {}
  const value = message.get(28)
  if (typeof value !== 'object' || value instanceof Uint8Array) throw new Refused('30', 28)
  const { sign, amount } = value
  if (typeof amount !== 'bigint') throw new Refused('30', 28)
  if (amount === 0n) return {}
  if (!takesFee.includes(kind)) throw new Refused('12', 28)
  if (sign !== 'D' || amount >= amountMinor) throw new Refused('13', 28)
  return { feeMinor: amount }
}

const takesFee: readonly Kind[] = ['purchase', 'cashback', 'withdrawal']

/** The name of an account, which the books will say. What could be a card number is none. */
function accountOf(message: Message, de: number): string {
  const name = textOf(message, de)?.trim()
  if (name === undefined || !/^[0-9A-Za-z-]{1,28}$/.test(name)) throw new Refused('30', de)
  if (/^\d{12,19}$/.test(name)) throw new Refused('12', de)
  return name
}

/** DE2, or the card number at the head of DE35; where both are there they must be the same card. */
function secretsOf(message: Message): CardSecrets {
  const pan = textOf(message, 2)
  const track2 = textOf(message, 35)
  const fromTrack = track2?.split(/[=D]/, 1)[0]
  if (pan !== undefined && fromTrack !== undefined && pan !== fromTrack) throw new Refused('30', 35)
  const number = pan ?? fromTrack
  if (number === undefined || !/^\d{12,19}$/.test(number)) throw new Refused('30', pan === undefined ? 35 : 2)
  return {
    pan: number,
    ...optional('expiry', textOf(message, 14)),
    ...optional('track2', track2),
    ...optional('pinBlock', bytesOf(message, 52)),
    ...optional('emv', message.has(55) ? message.raw(55) : undefined),
  }
}

interface KeyParts {
  readonly mti: string
  readonly transmittedAt: string
  readonly stan: string
  readonly acquirerId?: string
  readonly terminalId: string
}

/**
 * What names a request at its source (U1). The day is that of DE7 with its year, not our business day: a repeat after
 * the cutover is still a repeat.
 */
function sourceKeyOf(receipt: Receipt, parts: KeyParts): string {
  const year = nearestYear(parts.transmittedAt, receipt.receivedAt)
  const acquirer = (parts.acquirerId ?? '').replace(/^0+/, '')
  return [
    receipt.source.name,
    withoutRepeat(parts.mti),
    year + parts.transmittedAt,
    parts.stan,
    acquirer,
    parts.terminalId.trim(),
  ].join('|')
}

/** The request without its repeat flag: 0201 is 0200 again, 0421 is 0420 again. */
function withoutRepeat(mti: string): string {
  const last = mti.charCodeAt(3) - 48
  return mti.slice(0, 3) + String(last - (last % 2))
}

/** The actual transaction amount of DE95, its first twelve digits. */
function actualOf(message: Message, { feeInAmount }: SourceRules): bigint {
  const value = message.get(95)
  if (value === undefined) return 0n
  if (typeof value !== 'object' || value instanceof Uint8Array) throw new Refused('30', 95)
  const { transaction, transactionFee } = value
  if (typeof transaction !== 'bigint') throw new Refused('30', 95)
  // Where DE4 is without the fee, what remains of that is said beside it, too.
  return feeInAmount === false && typeof transactionFee === 'bigint'
    ? transaction + transactionFee
    : transaction
}

/** DE90: original MTI 4, STAN 6, DE7 10, DE32 11, DE33 11. */
function originalDataOf(message: Message): KeyParts & { readonly terminalId: '' } {
  const value = message.get(90)
  if (typeof value !== 'object' || value instanceof Uint8Array) throw new Refused('30', 90)
  const { mti, stan, transmittedAt, acquirerId } = value
  if (typeof mti !== 'string' || typeof stan !== 'string' || typeof transmittedAt !== 'string')
    throw new Refused('30', 90)
  if (!/^0[12][02]0$/.test(mti)) throw new Refused('12', 90)
  return {
    mti,
    stan,
    transmittedAt,
    acquirerId: typeof acquirerId === 'string' ? acquirerId : '',
    terminalId: '',
  }
}

function maskOf(pan: string): string {
  return pan.slice(0, 6) + '*'.repeat(pan.length - 10) + pan.slice(-4)
}

function need(message: Message, de: number): string {
  const value = message.text(de)
  if (value === undefined) throw new Refused('30', de)
  return value
}

function textOf(message: Message, de: number): string | undefined {
  const value = message.reveal(de)
  return typeof value === 'string' ? value : undefined
}

function bytesOf(message: Message, de: number): Uint8Array | undefined {
  const value = message.reveal(de)
  return value instanceof Uint8Array ? value : undefined
}

function optional<K extends string, V>(name: K, value: V | undefined): { readonly [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in K]?: V })
}

class Refused extends Error {
  readonly unserved: Unserved

  constructor(responseCode: string, element: number) {
    super(`unserved: ${responseCode} at DE${element}`)
    this.unserved = {
      kind: 'unserved',
      responseCode,
      why: responseCode === '30' ? 'format' : 'unsupported',
      element,
    }
  }
}
