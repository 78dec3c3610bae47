import type { FieldValue } from '../../iso8583/iso8583.ts'
import type { RequestName } from './book-lines.ts'
import type { FeeTerms } from './fees.ts'
import type { Heard } from './hearing.ts'
import type { RequestFacts } from './rules.ts'

/** What a rule looks at. */
export function factsOf(message: Heard): RequestFacts {
  return {
    ...{ mti: message.mti, processingCode: message.text(3) },
    ...{ amountMinor: message.amount(4), pan: panOf(message) },
  }
}

/** DE2, or of a track. */
export function panOf(message: Heard): string | undefined {
  const pan = message.reveal(2)
  if (typeof pan === 'string') return pan
  const track = message.reveal(35)
  return typeof track === 'string' ? track.split(/[=D]/)[0] : undefined
}

/** What names a request, of its acquirer and among all. */
export function nameOf(message: Heard): RequestName | undefined {
  const [stan, transmittedAt, rrn, terminal] = [11, 7, 37, 41].map((de) => message.text(de))
  if (stan === undefined || transmittedAt === undefined || rrn === undefined || terminal === undefined)
    return undefined
  return { stan, transmittedAt, acquirer: (message.text(32) ?? '').padStart(11, '0'), rrn, terminal }
}

/** DE90, with the reference and terminal that reversal and original share. */
export function originalOf(message: Heard, { rrn, terminal }: RequestName): RequestName | undefined {
  const original = message.reveal(90)
  if (typeof original !== 'object' || original instanceof Uint8Array) return undefined
  const { stan, transmittedAt, acquirerId } = original as Readonly<Record<string, FieldValue>>
  if (typeof stan !== 'string' || typeof transmittedAt !== 'string' || typeof acquirerId !== 'string')
    return undefined
  return { stan, transmittedAt, acquirer: acquirerId.padStart(11, '0'), rrn, terminal }
}

/** DE95: the actual transaction amount, with the fee that DE4 may be without; zero where there is none. */
export function actualOf(message: Heard, { inAmount }: Pick<FeeTerms, 'inAmount'>): bigint {
  const amounts = partsOf(message, 95)
  const [transaction, fee] = [amounts['transaction'], amounts['transactionFee']]
  if (typeof transaction !== 'bigint') return 0n
  return transaction + (!inAmount && typeof fee === 'bigint' ? fee : 0n)
}

/** DE28: what the acquirer's side charges the cardholder. */
export function feeOf(message: Heard): bigint {
  const { amount, sign } = partsOf(message, 28)
  return typeof amount === 'bigint' && sign === 'D' ? amount : 0n
}

function partsOf(message: Heard, de: number): Readonly<Record<string, FieldValue>> {
  const value = message.reveal(de)
  return typeof value === 'object' && !(value instanceof Uint8Array) ? value : {}
}
