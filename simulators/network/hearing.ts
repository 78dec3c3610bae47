import type { FieldValue, Message, MessageBody } from '../../iso8583/iso8583.ts'
import { nearestYear } from '../../kernel/calendar.ts'

/**
 * How a network's desk understands what is said to it, and says what it answers: the desk thinks in the types and
 * elements of ISO 8583:1987. Its own tables: the switch has others for the same thing, and either might be wrong.
 */
export interface Hearing {
  /** Where the code of network management stands on the wire. */
  readonly codeElement: number
  hear(wire: Message): Heard
  /** The answer, or a message of the network's own where it answers none. */
  say(body: MessageBody, to: Heard | undefined): MessageBody
}

export interface Heard {
  readonly mti: string
  /** As it came: what seals are checked over, and what answers repeat. */
  readonly wire: Message
  has(de: number): boolean
  text(de: number): string | undefined
  amount(de: number): bigint | undefined
  reveal(de: number): FieldValue | undefined
}

/** A single message says it all. */
export const singleMessage: Hearing = {
  codeElement: 70,
  hear: asItCame,
  say: (body, to) => ({ ...body, fields: { ...repeated(to, echo1987), ...body.fields } }),
}

/** What is asked as an authorization is done at once, but for those that say they come ahead of something. */
export const dualMessages: Hearing = {
  codeElement: 70,
  hear(wire) {
    const heard = asItCame(wire)
    const isAhead = wire.text(25) === preauthorized
    return /^010[01]$/.test(wire.mti) && !isAhead ? { ...heard, mti: `020${wire.mti[3]!}` } : heard
  },
  say(body, to) {
    const mti = to?.wire.mti.startsWith('01') === true ? body.mti.replace(/^02/, '01') : body.mti
    return singleMessage.say({ ...body, mti }, to)
  },
}

/** DE25: the request comes ahead of a completion. */
const preauthorized = '06'

/** ISO 8583:1993, as far as the desk has use for it. */
export const messagesOf1993: Hearing = {
  codeElement: 24,
  hear(wire) {
    const heard = asItCame(wire)
    const at = wire.text(12) ?? ''
    const read = new Map<number, FieldValue | undefined>([
      // A message is named by its local date and time; the transmission's would do as well, but DE56 has only this.
      [7, at === '' ? wire.text(7) : at.slice(2)],
      [12, at.slice(6)],
      [13, at.slice(2, 6)],
      [39, undefined],
      [28, feeOf(wire.reveal(46))],
      ...totalsOfFees(wire),
      [70, managementCodes[wire.text(24) ?? '']],
      [90, originalOf(wire.text(56))],
    ])
    if (wire.mti[1] === '5') read.set(15, wire.text(28)?.slice(2))
    if (wire.text(24) === '401') {
      const left = partsOf(feeOf(wire.reveal(46)))?.['amount']
      read.set(95, { transaction: wire.amount(4) ?? 0n, transactionFee: left ?? 0n })
      read.set(28, feeOf(wire.reveal(66)))
      read.set(4, partsOf(wire.reveal(30))?.['transaction'])
    }
    const value = (de: number): FieldValue | undefined => (read.has(de) ? read.get(de) : wire.reveal(de))
    return {
      ...heard,
      mti: mtiOf1987(wire.mti),
      has: (de) => (read.has(de) ? read.get(de) !== undefined : wire.has(de)),
      text: (de) => (read.has(de) ? textOrNone(read.get(de)) : wire.text(de)),
      amount(de) {
        const amount = value(de)
        return typeof amount === 'bigint' ? amount : undefined
      },
      reveal: value,
    }
  },
  say({ mti, fields }, to) {
    // DE66 are fees in 1993: whether totals agree is said by DE39.
    const { 15: date, 39: code, 66: _, 70: management, 28: fee, 29: feeSettled, ...others } = fields
    const { 30: charge, 31: chargeSettled, ...rest } = others
    const settledIn = textOrNone(fields[50])
    const currency = to?.wire.text(49) ?? '000'
    const sets = [
      ...feeSet('00', [fee, currency], [feeSettled, settledIn]),
      ...feeSet('01', [charge, currency], [chargeSettled, settledIn]),
    ]
    const said = {
      ...repeated(to, mti[1] === '8' ? [7, 11, 24] : echo1993),
      ...rest,
      // The date of totals stands elsewhere than that of money.
      ...(typeof date === 'string' && { [mti[1] === '5' ? 28 : 15]: dated(date) }),
      ...(sets.length > 0 && { 46: sets.join('') }),
      ...(typeof code === 'string' && { 39: actionCode(code, mti[1]!) }),
      ...(typeof management === 'string' && to === undefined && { 24: codeOf1993(management) }),
    }
    return { mti: mtiOf1993(mti), fields: said }
  },
}

const echo1987 = [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] as const
const echo1993 = [3, 4, 7, 11, 12, 32, 37, 41, 42, 49] as const

function asItCame(wire: Message): Heard {
  return {
    mti: wire.mti,
    wire,
    has: (de) => wire.has(de),
    text: (de) => wire.text(de),
    amount: (de) => wire.amount(de),
    reveal: (de) => wire.reveal(de),
  }
}

function repeated(to: Heard | undefined, elements: readonly number[]): Record<number, FieldValue> {
  const fields: Record<number, FieldValue> = {}
  const wanted = to?.mti[1] === '8' ? [7, 11, 24, 70] : elements
  for (const de of wanted) {
    const value = to?.wire.reveal(de)
    if (value !== undefined) fields[de] = value
  }
  return fields
}

/** Network management of 1993 has a function of its own in the fourth digit. */
function mtiOf1987(mti: string): string {
  return mti.startsWith('18') ? `08${mti[2]!}0` : `0${mti.slice(1)}`
}

function mtiOf1993(mti: string): string {
  return mti.startsWith('08') ? `18${mti[2]!}4` : `1${mti.slice(1)}`
}

const managementCodes: Readonly<Record<string, string>> = {
  '801': '001',
  '802': '002',
  '831': '301',
  '821': '201',
}

function codeOf1993(code: string): string {
  return Object.keys(managementCodes).find((key) => managementCodes[key] === code) ?? code
}

/** DE56: type 4, STAN 6, local date and time 12, length of the acquirer 2, acquirer. */
function originalOf(text: string | undefined): FieldValue | undefined {
  const match = /^(\d{4})(\d{6})\d{2}(\d{10})(\d{2})(\d*)$/.exec(text ?? '')
  if (match === null || Number(match[4]) !== match[5]!.length) return undefined
  return {
    mti: mtiOf1987(match[1]!),
    stan: match[2]!,
    transmittedAt: match[3]!,
    acquirerId: match[5]!.padStart(11, '0'),
  }
}

/** The transaction fee (type 00) among the sets of DE46 or DE66: type 2, currency 3, sign 1, amount 8, and 20 more. */
function feeOf(sets: FieldValue | undefined): FieldValue | undefined {
  if (typeof sets !== 'string') return undefined
  for (let at = 0; at < sets.length; at += 34) {
    const read = /^00\d{3}([CD])(\d{8})/.exec(sets.slice(at, at + 34))
    if (read !== null) return { sign: read[1]!, amount: BigInt(read[2]!) }
  }
  return undefined
}

/** DE82 to DE85 of the sets of DE109 and DE110: type 2 and amount 12. */
function totalsOfFees(wire: Message): [number, FieldValue | undefined][] {
  const of = (de: number, type: string): FieldValue | undefined => {
    const sets = wire.mti[1] === '5' ? wire.reveal(de) : undefined
    if (typeof sets !== 'string') return undefined
    const set = sets.match(/.{14}/g)?.find((one) => one.startsWith(type))
    return set === undefined ? undefined : BigInt(set.slice(2))
  }
  return [
    [82, of(109, '01')],
    [83, of(109, '00')],
    [84, of(110, '01')],
    [85, of(110, '00')],
  ]
}

/** One set of DE46, in the currency of the transaction and in that of reconciliation. */
function feeSet(
  type: string,
  [fee, currency]: readonly [FieldValue | undefined, string],
  [settled, settledIn = '000']: readonly [FieldValue | undefined, string | undefined],
): string[] {
  const [own, other] = [partsOf(fee), partsOf(settled)]
  if (own === undefined) return []
  const said = (parts: Readonly<Record<string, FieldValue>> = {}): string => {
    const { amount = 0n, sign } = parts
    return `${textOrNone(sign) ?? 'D'}${(typeof amount === 'bigint' ? amount : 0n).toString().padStart(8, '0')}`
  }
  const there = other === undefined ? '000' : settledIn
  return [`${type}${currency}${said(own)}${'0'.repeat(8)}${said(other)}${there}`]
}

/** DE39 of 1993: approvals, denials, reversals accepted, totals in balance or not, network management accepted. */
function actionCode(code: string, messageClass: string): string {
  if (code === '00') return done[messageClass] ?? '000'
  return actionCodes[code] ?? '100'
}

const done: Readonly<Record<string, string>> = { '4': '400', '5': '500', '8': '800' }

const actionCodes: Readonly<Record<string, string>> = {
  '05': '100',
  '10': '002',
  '12': '902',
  '13': '110',
  '14': '111',
  '21': '400',
  '25': '914',
  '30': '904',
  '41': '208',
  '43': '209',
  '51': '116',
  '54': '101',
  '55': '117',
  '57': '119',
  '59': '102',
  '61': '121',
  '62': '104',
  '63': '916',
  '65': '123',
  '68': '911',
  '75': '106',
  '85': '000',
  '91': '907',
  '94': '913',
  '95': '501',
  '96': '909',
}

function partsOf(value: FieldValue | undefined): Readonly<Record<string, FieldValue>> | undefined {
  return typeof value === 'object' && !(value instanceof Uint8Array) ? value : undefined
}

function textOrNone(value: FieldValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** DE15 has its year in 1993: the one that puts the date nearest to today. */
function dated(monthAndDay: string): string {
  return `${nearestYear(monthAndDay, Date.now()).slice(2)}${monthAndDay}`
}
