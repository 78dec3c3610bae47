import { maskedPan } from '../cards.ts'
import type { PurchaseAsked } from './asked.ts'
import type { Applied, NetworkLine, RequestName } from './book-lines.ts'

/** What it counts to in the totals of a date; what only sets aside counts when it is taken. */
export type Total = 'debit' | 'credit' | 'hold' | 'none'

export function totalOf(asked: PurchaseAsked): Total {
  if (asked.mtiClass === '1') return 'hold'
  if (asked.processingCode.startsWith('4')) return 'none'
  const direction = directionOf(asked) ?? 0n
  return direction === 0n ? 'none' : direction < 0n ? 'credit' : 'debit'
}

export const totalOfLine: Readonly<Partial<Record<NetworkLine['event'], Total>>> = {
  debit: 'debit',
  credit: 'credit',
  hold: 'hold',
  raise: 'hold',
}

/** Whether an account loses the amount, gains it, or neither. */
export type Direction = 1n | 0n | -1n

/** The first two digits of DE3: purchases and cash, refunds and deposits, questions for the balance, transfers. */
export function directionOf({ processingCode, amountMinor }: PurchaseAsked): Direction | undefined {
  if (isVerification(processingCode, amountMinor)) return 0n
  return directions[processingCode.slice(0, 2)]
}

const directions: Readonly<Record<string, Direction>> = {
  '00': 1n,
  '01': 1n,
  '09': 1n,
  '20': -1n,
  '21': -1n,
  '30': 0n,
  '31': 0n,
  '40': 1n,
}

/** A purchase of nothing asks whether the card is good. */
export function isVerification(processingCode: string, amountMinor: bigint): boolean {
  return processingCode.startsWith('00') && amountMinor === 0n
}

export function isInquiry({ processingCode }: PurchaseAsked): boolean {
  return processingCode.startsWith('3')
}

/** Approved; approved in part; no reason to decline. */
export const partialCode = '10'
export const verifiedCode = '85'
export const approvals: readonly string[] = ['00', partialCode, verifiedCode]

/** DE54: of the default account, available (02), currency, credit, and twelve digits of minor units. */
export function availableBalance(balanceMinor: bigint, currency: string): string {
  return `0002${currency}C${balanceMinor.toString().padStart(12, '0')}`
}

/** An original that comes after its reversal is an invalid transaction. */
export const overtakenCode = '12'

/** What a reversal may have changed, to be done again after a restart. */
export const changing: readonly Applied[] = ['released', 'reduced', 'unknownOriginal']

/** Done; unable to locate; no action taken. */
export const reversalCodes: Readonly<Record<Applied, string>> = {
  released: '00',
  reduced: '00',
  unknownOriginal: '25',
  again: '21',
  declinedOriginal: '21',
}

export function originalOf(line: {
  originalStan: string
  originalTransmittedAt: string
  originalAcquirer: string
  rrn: string
  terminal: string
}): RequestName {
  return {
    stan: line.originalStan,
    transmittedAt: line.originalTransmittedAt,
    acquirer: line.originalAcquirer,
    rrn: line.rrn,
    terminal: line.terminal,
  }
}

export function keyOf({ stan, transmittedAt, acquirer, rrn, terminal }: RequestName): string {
  return [stan, transmittedAt, acquirer, rrn, terminal].join('|')
}

export function fingerprintOf({
  pan,
  amountMinor,
  currency,
}: Pick<PurchaseAsked, 'pan' | 'amountMinor' | 'currency'>): string {
  return [maskedPan(pan), amountMinor, currency].join('|')
}

/** YYMM, as DE14 is written. */
export function currentMonth(): string {
  const now = new Date().toISOString()
  return now.slice(2, 4) + now.slice(5, 7)
}
