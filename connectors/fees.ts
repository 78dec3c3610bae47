import type { FieldValue, Message } from '../iso8583/iso8583.ts'
import type { SaidFee, SaidFees } from './said-fees.ts'
import { isGroup } from './wording.ts'

/** DE28 to DE31 of ISO 8583:1987, of an answer to a request. What is zero is an element that was filled up. */
export function feesOf1987(message: Message): SaidFees {
  const fees: SaidFee[] = []
  for (const [de, kind, form, currencyOf] of elements) {
    if (!message.has(de)) continue
    const said = signedOf(message.get(de))
    if (said === undefined) return 'unreadable'
    const currencyNumeric = message.text(currencyOf)
    if (said.amountMinor === 0n) continue
    fees.push({ kind, form, ...said, ...(currencyNumeric !== undefined && { currencyNumeric }) })
  }
  return fees
}

const elements = [
  [28, 'transaction', 'transaction', 49],
  [29, 'transaction', 'settlement', 50],
  [30, 'processing', 'transaction', 49],
  [31, 'processing', 'settlement', 50],
] as const

function signedOf(value: FieldValue | undefined): Pick<SaidFee, 'sign' | 'amountMinor'> | undefined {
  if (!isGroup(value)) return undefined
  const { amount: amountMinor, sign } = value
  return isSign(sign) && typeof amountMinor === 'bigint' ? { sign, amountMinor } : undefined
}

function isSign(sign: unknown): sign is 'C' | 'D' {
  return sign === 'C' || sign === 'D'
}

/**
 * DE46 of ISO 8583:1993: up to six sets of type 2, currency 3, sign and amount 1 + 8, rate 8, sign and amount 1 + 8 in the
 * currency of reconciliation, that currency 3. Types: 00 of the transaction, 01 of its processing; what else a host has
 * is in its document, and is taken for a fee of processing.
 */
export function feesOf1993(message: Message): SaidFees {
  const text = message.reveal(46)
  if (text === undefined) return []
  if (typeof text !== 'string' || text.length % set.length !== 0) return 'unreadable'
  const fees: SaidFee[] = []
  for (let at = 0; at < text.length; at += set.length) {
    const read = set.form.exec(text.slice(at, at + set.length))
    if (read === null) return 'unreadable'
    const [, type, currency, sign, amount, settledSign, settled, settledCurrency] =
      read as unknown as string[]
    const kind = type === feeTypes.transaction ? 'transaction' : 'processing'
    const forms = [
      ['transaction', sign, amount, currency],
      ['settlement', settledSign, settled, settledCurrency],
    ] as const
    for (const [form, said, minor, numeric] of forms) {
      const amountMinor = BigInt(minor!)
      if (amountMinor === 0n || !isSign(said)) continue
      fees.push({
        kind,
        form,
        sign: said,
        amountMinor,
        ...(numeric !== '000' && { currencyNumeric: numeric! }),
      })
    }
  }
  return fees
}

const set = {
  length: 34,
  form: /^(\d{2})(\d{3})([CD])(\d{8})\d{8}([CD])(\d{8})(\d{3})$/,
} as const

const feeTypes = { transaction: '00', processing: '01' } as const

/** One set of DE46 or DE66: a fee of the transaction in its own currency, converted to none. */
export function feeSet1993(fee: {
  readonly sign: string
  readonly amountMinor: bigint
  readonly currencyNumeric: string
}): string {
  const { amountMinor, currencyNumeric, sign } = fee
  const amount = amountMinor.toString().padStart(8, '0')
  return `${feeTypes.transaction}${currencyNumeric}${sign}${amount}${'0'.repeat(8)}D${'0'.repeat(8)}000`
}

/** DE109 and DE110 of totals: sets of type 2 and amount 12; undefined: neither was told. */
export function feeTotals1993(
  processing: FieldValue | undefined,
  transaction: FieldValue | undefined,
): string | undefined {
  const sets: string[] = []
  const add = (type: string, minor: FieldValue | undefined): void => {
    if (typeof minor === 'bigint') sets.push(type + minor.toString().padStart(12, '0'))
  }
  add(feeTypes.transaction, transaction)
  add(feeTypes.processing, processing)
  return sets.length === 0 ? undefined : sets.join('')
}
