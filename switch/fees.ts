import type { FeeRules, SaidFee, SaidFees } from '../connectors/connector.ts'
import { currencies, type CurrencyCode, currencyOfNumeric } from '../kernel/money.ts'
import { convert, type Conversion, type RateBasis, shareOf } from './conversion.ts'

/** What a network charges us for a transaction (D), or pays us for it (C): never a part of the amount. */
export interface Fee {
  readonly kind: 'transaction' | 'processing'
  readonly sign: 'C' | 'D'
  readonly amountMinor: bigint
  readonly currency: CurrencyCode
}

/** What an answer says of fees, as far as it can be booked. */
export interface ReadFees {
  readonly fees: readonly Fee[]
  /** There are fees in it that nobody can book: no currency, one that is not known, or no form of a fee. */
  readonly isUnread: boolean
  /** It charges the cardholder another DE28 than was asked for. */
  readonly isOtherAmount: boolean
  /** DE29 of the fee that was asked for: what the network pays for it. */
  readonly asked?: SaidFee
}

interface Asked {
  readonly currency: CurrencyCode
  readonly feeMinor?: bigint
}

/**
 * Each fee once: where it is said in both currencies, the one that is settled counts. The fee that the terminal's side asked
 * for is a part of the amount already, and so nothing but a confirmation.
 */
export function readFees(said: SaidFees = [], request: Asked): ReadFees {
  if (said === 'unreadable') return { fees: [], isUnread: true, isOtherAmount: false }
  const isAsked = ({ kind }: SaidFee): boolean => kind === 'transaction' && request.feeMinor !== undefined
  const ofAmount = said.filter(isAsked)
  const asked = ofAmount.find(({ form }) => form === 'settlement')
  const fees: Fee[] = []
  let isUnread = false
  for (const one of said) {
    if (isAsked(one) || (one.form === 'transaction' && isSettled(said, one))) continue
    const currency = currencyOf(one, request)
    if (currency === undefined) isUnread = true
    else fees.push({ kind: one.kind, sign: one.sign, amountMinor: one.amountMinor, currency })
  }
  const isOtherAmount = ofAmount.some((one) => !confirms(one, request))
  return { fees, isUnread, isOtherAmount, ...(asked === undefined ? {} : { asked }) }
}

/** What is settled of it is said too; sets of 1993 follow each other, and each has at most the two. */
function isSettled(said: readonly SaidFee[], one: SaidFee): boolean {
  const next = said[said.indexOf(one) + 1]
  return next?.kind === one.kind && next.form === 'settlement'
}

/** Without a word it is that of the transaction; of what is settled there is no such guess. */
function currencyOf({ currencyNumeric, form }: SaidFee, { currency }: Asked): CurrencyCode | undefined {
  if (currencyNumeric !== undefined) return currencyOfNumeric(currencyNumeric)
  return form === 'transaction' ? currency : undefined
}

function confirms({ amountMinor, currencyNumeric, form, sign }: SaidFee, request: Asked): boolean {
  if (sign !== 'D') return false
  if (form === 'settlement') return true
  const isItsCurrency =
    currencyNumeric === undefined || currencyNumeric === currencies[request.currency].numeric
  return isItsCurrency && amountMinor === request.feeMinor
}

/** Of the amount, what DE4 is without at a destination or source whose DE4 has no fee in it. */
export function apartOf({ feeMinor = 0n }: Pick<Asked, 'feeMinor'>, rules: FeeRules | undefined): bigint {
  return rules?.inAmount === false ? feeMinor : 0n
}

/**
 * A settlement with that of DE28 in it, and how much of it that is: as said (DE29), else by the rate of the amount. Without
 * either nobody knows what is paid for a fee that the amount is without: undefined.
 */
export function withFee(
  conversion: Conversion,
  of: {
    readonly request: Asked
    readonly asked: SaidFee | undefined
    /** Whether the amount that was converted has the fee in it, and how much that was. */
    readonly isInAmount: boolean
    readonly convertedMinor: bigint
    readonly basis: RateBasis
  },
): Conversion | undefined {
  const { asked, basis, convertedMinor, isInAmount, request } = of
  const { feeMinor: chargedMinor = 0n } = request
  if (chargedMinor === 0n) return conversion
  const { currency: to, rate } = conversion
  const isSaid = asked !== undefined && asked.currencyNumeric === currencies[to].numeric
  const byRate =
    rate === undefined ? undefined : convert(chargedMinor, { from: request.currency, to, rate, basis })
  const byShare = shareOf(conversion.amountMinor, { minor: chargedMinor, ofMinor: convertedMinor })
  const feeMinor = isSaid ? asked.amountMinor : (byRate ?? (isInAmount ? byShare : undefined))
  if (feeMinor === undefined) return undefined
  return { ...conversion, feeMinor, amountMinor: conversion.amountMinor + (isInAmount ? 0n : feeMinor) }
}
