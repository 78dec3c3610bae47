import { strict as assert } from 'node:assert'
import { currencies } from '../kernel/money.ts'
import type { CurrencyCode } from '../kernel/money.ts'
import type { Command, Leg } from './contract.ts'

export interface Exchange {
  readonly id: string
  readonly from: { readonly account: string; readonly amountMinor: bigint; readonly currency: CurrencyCode }
  readonly to: { readonly account: string; readonly currency: CurrencyCode }
  /** Whole units of the second currency for one of the first, as a decimal text: `3.2541`. */
  readonly rate: string
  /** Which way the receiver's amount is rounded; the position is always rounded to the nearest, halves to even. */
  readonly rounding: 'down' | 'nearest'
  readonly effectiveAt: number
}

/**
 * An exchange as one posting that sums to zero in each currency by itself: what one side gives goes into the position
 * of its currency, what the other gets comes out of the position of the other, and what rounding leaves between the
 * two goes to a rounding account. The rate is kept with the posting.
 *
 * Accounts used: `fx:position:{currency}` and `rounding:{currency}`. A rate that is no decimal number, or an amount
 * that comes to nothing, is a bug of the caller: asserts.
 */
export function exchange(wanted: Exchange): Command & { readonly kind: 'post' } {
  const { from, to, rate } = wanted
  const { numerator, denominator } = converted(wanted)
  const exact = nearest(numerator, denominator)
  const given = wanted.rounding === 'down' ? numerator / denominator : exact
  assert.ok(given > 0n, 'an exchange gives something')
  const legs: Leg[] = [
    debit(from.account, from.amountMinor, from.currency),
    credit(`fx:position:${from.currency}`, from.amountMinor, from.currency),
    debit(`fx:position:${to.currency}`, exact, to.currency),
    credit(to.account, given, to.currency),
  ]
  // Rounding down gives the nearest or one less, so what is left over is ours.
  if (exact > given) legs.push(credit(`rounding:${to.currency}`, exact - given, to.currency))
  return { kind: 'post', id: wanted.id, effectiveAt: wanted.effectiveAt, legs, meta: { rate } }
}

/** The exact amount in minor units of the second currency, as a fraction. */
function converted({ from, to, rate }: Exchange): {
  readonly numerator: bigint
  readonly denominator: bigint
} {
  assert.match(rate, /^\d{1,12}(\.\d{1,12})?$/, 'a rate is a decimal number')
  const [whole, decimals = ''] = rate.split('.') as [string, string?]
  const shift = currencies[to.currency].exponent - currencies[from.currency].exponent - decimals.length
  const product = from.amountMinor * BigInt(whole + decimals)
  return shift >= 0
    ? { numerator: product * 10n ** BigInt(shift), denominator: 1n }
    : { numerator: product, denominator: 10n ** BigInt(-shift) }
}

function nearest(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  if (twice > denominator || (twice === denominator && quotient % 2n === 1n)) return quotient + 1n
  return quotient
}

function debit(account: string, amountMinor: bigint, currency: string): Leg {
  return { account, side: 'debit', amountMinor, currency }
}

function credit(account: string, amountMinor: bigint, currency: string): Leg {
  return { account, side: 'credit', amountMinor, currency }
}
