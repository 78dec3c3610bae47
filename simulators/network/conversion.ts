import type { FieldValue } from '../../iso8583/iso8583.ts'
import { currencies } from '../../kernel/money.ts'
import type { Config } from '../config.ts'

/** In which currencies a network settles with its members and bills its cardholders, where those are others. */
export interface Conversions {
  readonly settlement?: Conversion
  readonly billing?: Conversion
}

export interface Conversion {
  /** ISO 4217, numeric. */
  readonly currency: string
  /**
   * As DE9 and DE10 have it (ISO 8583:1987): how many of the seven digits behind it are decimals. What one unit of the
   * transaction's currency is in this one, both in major units: between minor ones it would be another number wherever
   * one of the two has three decimals.
   */
  readonly rate: string
}

/** `conversions: {settlement: {currency: "840", rate: "63250000"}}`, and `billing` likewise. */
export function readConversions(config: Config): Conversions {
  const section = config.section('conversions')
  const read = (name: 'settlement' | 'billing'): Conversion | undefined => {
    const one = section?.section(name)
    if (one === undefined) return undefined
    const [currency, rate] = [one.text('currency'), one.text('rate')]
    if (exponentOf(currency) === undefined) return one.refuse('currency', 'a known currency, by its number,')
    if (!/^[0-7][0-9]{7}$/.test(rate)) return one.refuse('rate', 'a number of decimals and seven digits')
    return { currency, rate }
  }
  const [settlement, billing] = [read('settlement'), read('billing')]
  return { ...(settlement && { settlement }), ...(billing && { billing }) }
}

/** What a network pays, or takes back, in the currency that it settles in. */
export interface Settled {
  /** ISO 4217 numeric. */
  readonly currency: string
  readonly minor: bigint
}

/** undefined: it settles in the currency of the amount. */
export function settledOf(
  settlement: Conversion | undefined,
  { amountMinor, currency }: { readonly amountMinor: bigint; readonly currency: string },
): Settled | undefined {
  const exponent = exponentOf(currency)
  if (settlement === undefined || exponent === undefined || amountMinor === 0n) return undefined
  return { currency: settlement.currency, minor: converted({ amountMinor, exponent }, settlement) }
}

/**
 * What is paid back when `beforeMinor` becomes `afterMinor` of the whole: the same share, rounded half up from what is left
 * each time, so that parts make up the whole.
 */
export function settledBack(
  { currency, minor }: Settled,
  of: { readonly wholeMinor: bigint; readonly beforeMinor: bigint; readonly afterMinor: bigint },
): Settled {
  const share = (partMinor: bigint): bigint => (minor * partMinor * 2n + of.wholeMinor) / (of.wholeMinor * 2n)
  return { currency, minor: share(of.beforeMinor) - share(of.afterMinor) }
}

/** What the answer says of an amount beside DE4 and DE49: DE5, 9 and 50, DE6, 10 and 51, and the day of the rates, DE16. */
export function convertedFields(
  { settlement, billing }: Conversions,
  { amountMinor, currency, wallMs }: { amountMinor: bigint; currency: string; wallMs: number },
): Record<number, FieldValue> {
  const from = exponentOf(currency)
  if (from === undefined || (settlement === undefined && billing === undefined)) return {}
  const day = new Date(wallMs).toISOString().slice(5, 10).replace('-', '')
  const money = { amountMinor, exponent: from }
  return {
    16: day,
    ...(settlement && { 5: converted(money, settlement), 9: settlement.rate, 50: settlement.currency }),
    ...(billing && { 6: converted(money, billing), 10: billing.rate, 51: billing.currency }),
  }
}

/** Rounded once, half up, at the decimals of the currency it becomes. */
export function converted(
  { amountMinor, exponent }: { readonly amountMinor: bigint; readonly exponent: number },
  { currency, rate }: Conversion,
): bigint {
  const decimals = exponent + Number(rate[0])
  const times = amountMinor * BigInt(rate.slice(1)) * 10n ** BigInt(exponentOf(currency) ?? 0)
  const unit = 10n ** BigInt(decimals)
  return (times * 2n + unit) / (unit * 2n)
}

function exponentOf(numeric: string): number | undefined {
  return Object.values(currencies).find((one) => one.numeric === numeric)?.exponent
}
