/**
 * DE54 (ISO 8583:1987): up to six times account type 2, amount type 2, currency 3, sign, amount 12.
 */
export const additionalAmountsForm = /^(\d{2}\d{2}\d{3}[CD]\d{12}){1,6}$/

/** Amount types: cash of a purchase with cash; what was asked for where less was approved. */
export const cashType = '40'
export const originalType = '57'

/** One additional amount, of no particular account. */
export function additionalAmount(amount: {
  readonly type: string
  /** Of the currency, ISO 4217 numeric. */
  readonly numeric: string
  readonly amountMinor: bigint
}): string {
  return `00${amount.type}${amount.numeric}D${amount.amountMinor.toString().padStart(12, '0')}`
}

/** The amount of one type, in minor units of the currency; undefined: none, or not in this currency. */
export function amountOfType(
  additionalAmounts: string,
  { type, numeric }: { readonly type: string; readonly numeric: string },
): bigint | undefined {
  if (!additionalAmountsForm.test(additionalAmounts)) return undefined
  for (let start = 0; start < additionalAmounts.length; start += 20) {
    const one = additionalAmounts.slice(start, start + 20)
    if (one.slice(2, 4) === type && one.slice(4, 7) === numeric) return BigInt(one.slice(8))
  }
  return undefined
}
