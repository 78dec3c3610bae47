import type { WireMessage } from './wire.ts'

/** One purchase as its terminal knows it. The card and PIN block live only as long as this object. */
export interface Purchase {
  readonly terminalId: string
  readonly merchantId: string
  readonly rrn: string
  readonly stan: string
  /** DE3: what is asked for. Of the estate's terminals, always a purchase. */
  readonly processingCode: string
  readonly mti?: '0100' | '0200'
  /** DE25; 00 when absent. */
  readonly conditionCode?: string
  /** DE22, where the card was not read here. */
  readonly entryMode?: string
  /** Wall clock ms: DE7, DE12 and DE13 come from it. */
  readonly madeAt: number
  readonly amountMinor: bigint
  /** ISO 4217 numeric. */
  readonly currency: string
  readonly pan: string
  /** YYMM */
  readonly expiry: string
  readonly entry: 'pan' | 'track2'
  /** Encrypted, hex. */
  readonly pinBlock?: string
}

/** DE3 of a plain purchase, of cash, of a refund and of a question for the balance: default accounts. */
export const processingCodes = {
  purchase: '000000',
  withdrawal: '010000',
  refund: '200000',
  balance: '310000',
  cashback: '090000',
  deposit: '210000',
  transfer: '400000',
  verification: '000000',
  authorization: '000000',
  preauthorization: '000000',
} as const

/** Kinds that travel as authorizations, not as financial messages. */
const authorizing: readonly string[] = ['verification', 'authorization', 'preauthorization']

/** All that says which kind it is. From afar: DE22 81 and DE25 59, electronic commerce. */
export function marksOf(
  kind: keyof typeof processingCodes | 'ecommerce',
): Pick<Purchase, 'processingCode' | 'mti' | 'conditionCode' | 'entryMode'> {
  if (kind !== 'ecommerce') return { processingCode: processingCodes[kind], ...kindMarks(kind) }
  return { processingCode: processingCodes.purchase, entryMode: '811', conditionCode: '59' }
}

/** What says, beside DE3, which kind it is: the class of the message, and DE25. */
function kindMarks(kind: keyof typeof processingCodes): Pick<Purchase, 'mti' | 'conditionCode'> {
  return {
    ...(authorizing.includes(kind) ? { mti: '0100' } : {}),
    // Preauthorized request.
    ...(kind === 'preauthorization' ? { conditionCode: '06' } : {}),
  }
}

/** DE22 by how the card was read: magnetic stripe, or keyed in; both with a PIN pad (final 1). */
const entryModes = { track2: '021', pan: '011' } as const

export function purchaseRequest(purchase: Purchase): WireMessage {
  return {
    mti: purchase.mti ?? '0200',
    fields: {
      ...cardFields(purchase),
      ...commonFields(purchase),
      7: transmittedAt(purchase.madeAt),
      11: purchase.stan,
      ...(purchase.pinBlock === undefined ? {} : { 52: purchase.pinBlock }),
    },
  }
}

/** The same message again: only the type says so. */
export function repeatOf(message: WireMessage): WireMessage {
  return { ...message, mti: `${message.mti.slice(0, 3)}1` }
}

/** What is reversed is the purchase; the reversal has a trace number and a time of its own. */
export interface Reversal {
  readonly purchase: Purchase
  readonly mti: '0400' | '0420'
  readonly stan: string
  readonly madeAt: number
  /** What is to remain, in minor units: a reversal of the rest alone. */
  readonly actualMinor?: bigint
}

export function reversalRequest({ purchase, mti, stan, madeAt, actualMinor }: Reversal): WireMessage {
  return {
    mti,
    fields: {
      2: purchase.pan,
      14: purchase.expiry,
      ...commonFields(purchase),
      7: transmittedAt(madeAt),
      11: stan,
      90: originalData({
        mti: purchase.mti ?? '0200',
        stan: purchase.stan,
        transmittedAt: transmittedAt(purchase.madeAt),
      }),
      ...(actualMinor === undefined ? {} : { 95: replacementAmounts(actualMinor) }),
    },
  }
}

/** What has become of an authorization: told, not asked. */
export interface Completion {
  readonly purchase: Purchase
  readonly mti: '0120' | '0220'
  readonly stan: string
  readonly madeAt: number
  readonly amountMinor: bigint
  /** DE38 of the authorization; without it DE90 names it. */
  readonly authId?: string
}

export function completionRequest({
  purchase,
  mti,
  stan,
  madeAt,
  amountMinor,
  authId,
}: Completion): WireMessage {
  const original = {
    mti: purchase.mti ?? '0200',
    stan: purchase.stan,
    transmittedAt: transmittedAt(purchase.madeAt),
  }
  return {
    mti,
    fields: {
      2: purchase.pan,
      14: purchase.expiry,
      ...commonFields(purchase),
      4: amountMinor.toString().padStart(12, '0'),
      7: transmittedAt(madeAt),
      11: stan,
      ...(authId === undefined ? { 90: originalData(original) } : { 38: authId }),
    },
  }
}

/** What is about an earlier request: a raise under the reference of its authorization, or a refund of a purchase. */
export function naming(
  message: WireMessage,
  { madeAt, mti = '0200', stan }: Purchase,
  authId: string | undefined,
): WireMessage {
  const original = { mti, stan, transmittedAt: transmittedAt(madeAt) }
  const named = authId === undefined ? { 90: originalData(original) } : { 38: authId }
  return { ...message, fields: { ...message.fields, ...named } }
}

/** DE95: actual amount 12, settlement amount 12, two fees of a sign and 8. */
function replacementAmounts(actualMinor: bigint): string {
  const fee = `D${'0'.repeat(8)}`
  return actualMinor.toString().padStart(12, '0') + '0'.repeat(12) + fee + fee
}

/** DE70 of an echo test. */
const echoCode = '301'

export function echoRequest({ stan, madeAt }: { stan: string; madeAt: number }): WireMessage {
  return { mti: '0800', fields: { 7: transmittedAt(madeAt), 11: stan, 70: echoCode } }
}

/** The type of the answer: the function's next, never a repeat. */
export function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti.charAt(2)) + 1}0`
}

/** DE7: MMDDhhmmss, UTC. */
function transmittedAt(wallMs: number): string {
  const iso = new Date(wallMs).toISOString()
  return iso.slice(5, 19).replace(/[-:T]/g, '')
}

function cardFields({ entry, pan, expiry }: Purchase): Record<number, string> {
  // Service code 201: a chip card, international, normal; what follows is the issuer's own.
  return entry === 'pan' ? { 2: pan, 14: expiry } : { 35: `${pan}=${expiry}201000000`, 14: expiry }
}

function commonFields(purchase: Purchase): Record<number, string> {
  // Kuwait has no summer time: UTC+3 all year.
  const local = transmittedAt(purchase.madeAt + 3 * 3_600_000)
  return {
    3: purchase.processingCode,
    4: purchase.amountMinor.toString().padStart(12, '0'),
    12: local.slice(4),
    13: local.slice(0, 4),
    22: purchase.entryMode ?? entryModes[purchase.entry],
    25: purchase.conditionCode ?? '00',
    37: purchase.rrn,
    41: purchase.terminalId,
    42: purchase.merchantId,
    49: purchase.currency,
  }
}

/** DE90: the original's type, trace number and time; these terminals have no institution ids to name. */
function originalData(original: { mti: string; stan: string; transmittedAt: string }): string {
  return `${original.mti}${original.stan}${original.transmittedAt}`.padEnd(42, '0')
}
