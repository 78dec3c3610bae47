import type { FieldValue, MessageBody } from '../iso8583/iso8583.ts'
import { nearestYear } from '../kernel/calendar.ts'
import { feeSet1993, feesOf1993, feeTotals1993 } from './fees.ts'
import { isGroup, type Wording } from './wording.ts'

/**
 * A message of 1987 in the words of ISO 8583:1993: other numbers for the same things, a function code, a reason, and
 * original data in DE56. Generic practice after the standard's own lists; a host's document may want it otherwise.
 */
export const edition1993: Wording = {
  say({ mti, fields }, wallMs) {
    const said: Record<number, FieldValue> = {}
    for (const [de, value] of Object.entries(fields)) {
      if (!replaced.has(Number(de))) said[Number(de)] = value
    }
    return { mti: `1${mti.slice(1)}`, fields: { ...said, ...inTheirWords(mti, fields, wallMs) } }
  },
  feesOf: feesOf1993,
}

/** Elements that mean something else in 1993, or nothing. */
const replaced = new Set([12, 13, 15, 18, 22, 25, 28, 39, 71, 72, 82, 83, 84, 85, 90, 95])

type Fields = MessageBody['fields']

function inTheirWords(mti: string, fields: Fields, wallMs: number): Fields {
  const actual = replacementOf(fields)
  return present({
    12: localTime(fields, wallMs),
    22: pointOfService(fields[22], fields[52] !== undefined),
    24: functionCode(mti, actual !== undefined),
    25: mti[1] === '4' ? reasons[textOf(fields[39])] : undefined,
    26: fields[18],
    // Totals are of a date of reconciliation; a settlement date of 1993 has its year before it.
    [mti[1] === '5' ? 28 : 15]: withYear(fields[15], wallMs),
    ...feesOf(mti, fields),
    56: originalData(fields, wallMs),
    ...(actual === undefined ? {} : { 4: actual, 30: { transaction: fields[4]!, reconciliation: 0n } }),
  })
}

/**
 * Fees stand in DE46; where a part is undone, what remains of them there and what they were in DE66. Those of totals stand in
 * DE109 and DE110.
 */
function feesOf(mti: string, fields: Fields): Readonly<Record<number, FieldValue | undefined>> {
  if (mti[1] === '5')
    return { 109: feeTotals1993(fields[82], fields[83]), 110: feeTotals1993(fields[84], fields[85]) }
  const [fee, currencyNumeric] = [fields[28], textOf(fields[49])]
  if (!isGroup(fee)) return {}
  const said = feeSet({ sign: fee['sign'], amountMinor: fee['amount'], currencyNumeric })
  const amounts = fields[95]
  if (!isGroup(amounts)) return { 46: said }
  const left = {
    sign: amounts['transactionFeeSign'],
    amountMinor: amounts['transactionFee'],
    currencyNumeric,
  }
  return { 46: feeSet(left), 66: said }
}

function feeSet(fee: {
  readonly sign: string | bigint | undefined
  readonly amountMinor: string | bigint | undefined
  readonly currencyNumeric: string
}): string | undefined {
  const { amountMinor, currencyNumeric, sign } = fee
  if (typeof sign !== 'string' || typeof amountMinor !== 'bigint') return undefined
  return feeSet1993({ sign, amountMinor, currencyNumeric })
}

/** DE12 of 1993 is YYMMDDhhmmss; the year is the one that puts the date nearest to now. */
function localTime({ 12: time, 13: date }: Fields, wallMs: number): string | undefined {
  if (typeof time !== 'string' || typeof date !== 'string') return undefined
  return `${nearestYear(date, wallMs).slice(2)}${date}${time}`
}

/** YYMMDD of MMDD: the year is the one that puts the date nearest to now. */
function withYear(date: FieldValue | undefined, wallMs: number): string | undefined {
  return typeof date === 'string' ? `${nearestYear(date, wallMs).slice(2)}${date}` : undefined
}

/** What is asked: an authorization, a financial transaction, a reversal in full or in part, a completion, totals. */
function functionCode(mti: string, isPart: boolean): string | undefined {
  switch (mti.slice(1, 3)) {
    case '10':
      return '100'
    case '12':
      return '101'
    case '20':
      return '200'
    case '22':
      return '201'
    case '40':
    case '42':
      return isPart ? '401' : '400'
    // The last totals of their date.
    case '50':
    case '52':
      return '500'
    default:
      return undefined
  }
}

/** DE39 of a reversal of 1987 is its reason; 1993 has DE25 for that. */
const reasons: Readonly<Record<string, string>> = {
  // Customer cancellation; suspected malfunction; completed partially; timeout waiting for the response.
  '17': '4000',
  '22': '4002',
  '32': '4004',
  '68': '4021',
}

/** DE22: twelve positions instead of three digits. What three digits don't say is said to be unknown. */
function pointOfService(entryMode: FieldValue | undefined, hasPin: boolean): string | undefined {
  if (typeof entryMode !== 'string') return undefined
  const input = inputModes[entryMode.slice(0, 2)] ?? '0'
  const isRemote = entryMode.startsWith('81')
  return [
    isRemote ? '0' : input, // what the terminal can read
    hasPin ? '1' : '0', // whether it can ask for a PIN
    '0', // it keeps no cards
    isRemote ? '0' : '1', // attended, on the merchant's premises
    isRemote ? '5' : '0', // the cardholder is there; or ordered electronically
    isRemote ? '0' : '1', // the card is there
    input,
    hasPin ? '1' : '0', // how the cardholder was authenticated
    hasPin ? '3' : '0', // and by whom: the authorizing agent
    '0', // whether it can write to cards
    '0', // and print or display
    hasPin ? '1' : '0', // the longest PIN it takes
  ].join('')
}

/** Position 7 by the first two digits of 1987's DE22: manual, magnetic stripe, chip, contactless as chip, key entry. */
const inputModes: Readonly<Record<string, string>> = {
  '01': '1',
  '02': '2',
  '05': '5',
  '07': '5',
  '80': '2',
  '81': '6',
  '90': '2',
  '91': '2',
}

/** DE56: type, STAN, local date and time, and the acquirer with its length. */
function originalData(fields: Fields, wallMs: number): string | undefined {
  const original = fields[90]
  if (!isGroup(original)) return undefined
  const acquirer = textOf(original['acquirerId']).replace(/^0+/, '')
  const length = String(acquirer.length).padStart(2, '0')
  return `1${textOf(original['mti']).slice(1)}${textOf(original['stan'])}${localTime(fields, wallMs) ?? ''}${length}${acquirer}`
}

/** DE95's first amount: what remains. */
function replacementOf(fields: Fields): bigint | undefined {
  const amounts = fields[95]
  const actual = isGroup(amounts) ? amounts['transaction'] : undefined
  return typeof actual === 'bigint' ? actual : undefined
}

function textOf(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function present(fields: Readonly<Record<number, FieldValue | undefined>>): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Fields
}
