import type { FieldValue } from '../../iso8583/iso8583.ts'
import type { Charging } from './book-lines.ts'
import { type Conversion, type Settled, settledBack, settledOf } from './conversion.ts'

/** What a network takes for handling a request (D), or pays for it (C): minor units of the currency that was asked for. */
export interface Charge {
  readonly sign: 'C' | 'D'
  readonly minor: bigint
}

/** What is charged for one transaction, and what that is in the currency that is settled, where it is another. */
export interface Fees {
  /** DE28, which the acquirer's side charges: a part of the amount. */
  readonly asked?: bigint
  readonly askedSettled?: Settled
  readonly charge?: Charge
  readonly chargeSettled?: Settled
}

/** How a network has it with fees. */
export interface FeeTerms {
  /** Whether DE4 has DE28 in it. */
  inAmount: boolean
  /** Whether the undoing of the whole gives back what it charged. */
  reversed: boolean
}

/** What is said of it, in the place of how it was. undefined: it says something else. */
export function changedTerms(from: FeeTerms, said: Readonly<Record<string, unknown>>): FeeTerms | undefined {
  const { inAmount = from.inAmount, reversed = from.reversed, ...others } = said
  if (typeof inAmount !== 'boolean' || typeof reversed !== 'boolean') return undefined
  return Object.keys(others).length === 0 ? { inAmount, reversed } : undefined
}

/** What is charged for what was granted; what is not settled elsewhere is charged as it was asked. */
export function feesOf(
  { charge, currency, feeMinor }: { charge?: Charge; currency: string; feeMinor?: bigint },
  settlement: Conversion | undefined,
): Fees | undefined {
  if (charge === undefined && feeMinor === undefined) return undefined
  const inOther = (amountMinor: bigint): Settled | undefined =>
    settledOf(settlement, { amountMinor, currency })
  const askedSettled = feeMinor === undefined ? undefined : inOther(feeMinor)
  const chargeSettled = charge === undefined ? undefined : inOther(charge.minor)
  return {
    ...(feeMinor === undefined ? {} : { asked: feeMinor }),
    ...(askedSettled === undefined ? {} : { askedSettled }),
    ...(charge === undefined ? {} : { charge }),
    ...(chargeSettled === undefined ? {} : { chargeSettled }),
  }
}

/** DE28 to DE31 of the answer: the fee that was asked for is confirmed. */
export function feeFields(fees: Fees | undefined): Record<number, FieldValue> {
  const { asked, askedSettled, charge, chargeSettled } = fees ?? {}
  return {
    ...(asked !== undefined && { 28: { sign: 'D', amount: asked } }),
    ...(askedSettled !== undefined && { 29: { sign: 'D', amount: askedSettled.minor } }),
    ...(charge !== undefined && { 30: { sign: charge.sign, amount: charge.minor } }),
    ...(charge !== undefined &&
      chargeSettled !== undefined && { 31: { sign: charge.sign, amount: chargeSettled.minor } }),
  }
}

/** What of the fees goes back with an undoing: that of the amount last, the network's own with the whole, if at all. */
export function feesBack(
  { asked, askedSettled, charge, chargeSettled }: Fees,
  of: { readonly beforeMinor: bigint; readonly afterMinor: bigint },
  { reversed }: FeeTerms,
): Fees {
  const back: { -readonly [Name in keyof Fees]: Fees[Name] } = {}
  if (asked !== undefined) {
    const [beforeMinor, afterMinor] = [least(asked, of.beforeMinor), least(asked, of.afterMinor)]
    back.asked = beforeMinor - afterMinor
    if (askedSettled !== undefined)
      back.askedSettled = settledBack(askedSettled, { wholeMinor: asked, beforeMinor, afterMinor })
  }
  if (reversed && of.afterMinor === 0n && charge !== undefined) {
    back.charge = charge
    if (chargeSettled !== undefined) back.chargeSettled = chargeSettled
  }
  return back
}

/** As the book has them. */
export function chargingOf({ asked, askedSettled, charge, chargeSettled }: Fees = {}): Charging {
  return {
    ...(asked === undefined ? {} : { feeMinor: asked.toString() }),
    ...(askedSettled === undefined ? {} : { settledFeeMinor: askedSettled.minor.toString() }),
    ...(charge === undefined ? {} : { chargeMinor: charge.minor.toString(), chargeSign: charge.sign }),
    ...(chargeSettled === undefined ? {} : { settledChargeMinor: chargeSettled.minor.toString() }),
  }
}

/** Of a line of the book, with the currency that it was settled in. */
export function feesOfLine(
  { chargeMinor, chargeSign = 'D', feeMinor, settledChargeMinor, settledFeeMinor }: Charging,
  settledCurrency: string | undefined,
): Fees | undefined {
  if (chargeMinor === undefined && feeMinor === undefined) return undefined
  const inOther = (minor: string): Settled => ({ currency: settledCurrency ?? '', minor: BigInt(minor) })
  return {
    ...(feeMinor === undefined ? {} : { asked: BigInt(feeMinor) }),
    ...(settledFeeMinor === undefined ? {} : { askedSettled: inOther(settledFeeMinor) }),
    ...(chargeMinor === undefined ? {} : { charge: { sign: chargeSign, minor: BigInt(chargeMinor) } }),
    ...(settledChargeMinor === undefined ? {} : { chargeSettled: inOther(settledChargeMinor) }),
  }
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}
