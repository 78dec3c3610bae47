import { currencies, type CurrencyCode, currencyOfNumeric } from '../kernel/money.ts'

/** An amount in another currency, as a network says it in its answer. */
export interface SaidConversion {
  readonly amountMinor: bigint
  /** ISO 4217 numeric. */
  readonly currencyNumeric: string
  /** DE9 or DE10: eight digits, of which the first says how many of the others are decimals. */
  readonly rate?: string
  /** DE16, MMDD. */
  readonly date?: string
}

/** What a network pays for an amount in another currency (§4.13). */
export interface Conversion {
  readonly amountMinor: bigint
  readonly currency: CurrencyCode
  readonly rate?: string
  readonly date?: string
  /** How much more it is than the rate makes of the amount, rounded half up: one minor unit at most, either way. */
  readonly roundingMinor: bigint
  /** Of the amount, what is paid for DE28. */
  readonly feeMinor?: bigint
}

/** `unknownCurrency`: its decimals are not known, and are never guessed (A5). `doesNotAdd`: the rate makes another amount. */
export type ReadConversion =
  | { readonly kind: 'none' }
  | { readonly kind: 'converted'; readonly conversion: Conversion }
  | { readonly kind: 'unknownCurrency' }
  | { readonly kind: 'doesNotAdd' }

/** Whether a rate is between whole units of the two currencies, or between their minor units. */
export type RateBasis = 'major' | 'minor'

/**
 * What a network said of its settlement of an amount. The amount itself, in its own currency, is nothing to convert; nothing
 * at all in its own currency is an element that was filled up. Another amount in that currency is what it pays.
 */
export function readConversion(
  said: SaidConversion | undefined,
  of: { readonly amountMinor: bigint; readonly currency: CurrencyCode; readonly basis: RateBasis },
): ReadConversion {
  if (said === undefined) return { kind: 'none' }
  const isOwn = said.currencyNumeric === currencies[of.currency].numeric
  if (isOwn && (said.amountMinor === of.amountMinor || said.amountMinor === 0n)) return { kind: 'none' }
  const currency = currencyOfNumeric(said.currencyNumeric)
  if (currency === undefined) return { kind: 'unknownCurrency' }
  const { amountMinor, date, rate } = said
  const more = date === undefined ? {} : { date }
  if (rate === undefined)
    return { kind: 'converted', conversion: { amountMinor, currency, roundingMinor: 0n, ...more } }
  const exact = convert(of.amountMinor, { from: of.currency, to: currency, rate, basis: of.basis })
  if (exact === undefined) return { kind: 'doesNotAdd' }
  const roundingMinor = amountMinor - exact
  // Who rounds down, or to even, is one away from who rounds half up.
  if (roundingMinor > 1n || roundingMinor < -1n) return { kind: 'doesNotAdd' }
  // In its own currency nothing is rounded: whatever is between the two stays between them.
  const kept = isOwn ? 0n : roundingMinor
  return { kind: 'converted', conversion: { amountMinor, currency, rate, roundingMinor: kept, ...more } }
}

/** Rounded half up, once, at the decimals of the second currency (A3). undefined: it is no rate. */
export function convert(
  amountMinor: bigint,
  by: {
    readonly from: CurrencyCode
    readonly to: CurrencyCode
    readonly rate: string
    readonly basis: RateBasis
  },
): bigint | undefined {
  if (!/^[0-7]\d{7}$/.test(by.rate)) return undefined
  const shift =
    (by.basis === 'minor' ? 0 : currencies[by.to].exponent - currencies[by.from].exponent) -
    Number(by.rate[0])
  const product = amountMinor * BigInt(by.rate.slice(1))
  return shift >= 0 ? product * 10n ** BigInt(shift) : halfUp(product, 10n ** BigInt(-shift))
}

/** The same share of what it was settled with. */
export function shareOf(whole: bigint, part: { readonly minor: bigint; readonly ofMinor: bigint }): bigint {
  return part.minor === part.ofMinor ? whole : halfUp(whole * part.minor, part.ofMinor)
}

function halfUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator * 2n + denominator) / (denominator * 2n)
}
