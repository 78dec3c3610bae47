/** An amount is a count of minor units beside its currency; there is no other form of money in the switch. */
export interface Money {
  readonly amountMinor: bigint
  readonly currency: CurrencyCode
}

export type CurrencyCode = keyof typeof currencies

interface Currency {
  /** ISO 4217 numeric, as DE49 carries it. */
  readonly numeric: string
  /** How many of the digits are minor units. */
  readonly exponent: number
}

/** ISO 4217. A currency that is not here is refused, never guessed at. */
export const currencies = {
  KWD: { numeric: '414', exponent: 3 },
  BHD: { numeric: '048', exponent: 3 },
  OMR: { numeric: '512', exponent: 3 },
  SAR: { numeric: '682', exponent: 2 },
  AED: { numeric: '784', exponent: 2 },
  QAR: { numeric: '634', exponent: 2 },
  USD: { numeric: '840', exponent: 2 },
  EUR: { numeric: '978', exponent: 2 },
  GBP: { numeric: '826', exponent: 2 },
  JPY: { numeric: '392', exponent: 0 },
} as const satisfies Record<string, Currency>

const byNumeric: ReadonlyMap<string, CurrencyCode> = new Map(
  Object.entries(currencies).map(([code, { numeric }]) => [numeric, code as CurrencyCode] as const),
)

/** `414` is KWD; undefined for a number the table doesn't have. */
export function currencyOfNumeric(numeric: string): CurrencyCode | undefined {
  return byNumeric.get(numeric)
}

/** `KWD 12.500`, for people. */
export function formatMoney({ amountMinor, currency }: Money): string {
  const { exponent } = currencies[currency]
  const sign = amountMinor < 0n ? '-' : ''
  const digits = (amountMinor < 0n ? -amountMinor : amountMinor).toString().padStart(exponent + 1, '0')
  const whole = digits.slice(0, digits.length - exponent)
  return `${currency} ${sign}${whole}${exponent === 0 ? '' : `.${digits.slice(-exponent)}`}`
}
