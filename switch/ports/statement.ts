import { createHash } from 'node:crypto'
import { currencies } from '../../kernel/money.ts'
import { type MatchItem, owedFor } from '../matching.ts'
import type { TotalOf } from '../reconciliation.ts'

/**
 * A network's statement of a business date, in the one form that we read and write: CSV (RFC 4180) with a header row. What a
 * network really sends is its own and confidential; whoever has it turns it into this.
 *
 *     type,isReversal,rrn,stan,terminal,amountMinor,currency,date
 *     debit,false,632610983283,000026,X0000004,2907,KWD,2026-11-22
 *     total,KWD,1,2907
 *     sha256,9f86d081...
 *
 * `total` and `sha256` may be left out: for each currency how many items there are and what is owed for them by the network
 * (below zero: to it); and the digest of all bytes before that line. Where they are there they must hold. A column of any
 * other name is refused, so that none with card data comes in.
 */
export interface Statement {
  readonly items: readonly MatchItem[]
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string
  /** Whether the file said what it adds up to, and whether it had a digest: both were right then. */
  readonly totalled: boolean
  readonly sealed: boolean
}

export type StatementFault =
  | 'empty'
  | 'notUtf8'
  | 'noColumn'
  | 'strangeColumn'
  | 'fieldCount'
  | 'quotes'
  | 'badValue'
  | 'afterTotals'
  | 'wrongTotal'
  | 'wrongDigest'

const faultTexts: Readonly<Record<StatementFault, string>> = {
  empty: 'the file has no header row',
  notUtf8: 'the file is not UTF-8',
  noColumn: 'a column is missing in the header row',
  strangeColumn: 'a column that has no place here',
  fieldCount: 'more or fewer fields than the header row has',
  quotes: 'quotes that do not end',
  badValue: 'a value that this column can not have',
  afterTotals: 'an item behind the totals',
  wrongTotal: 'the items do not add up to this total',
  wrongDigest: 'the digest is not that of the file',
}

/** Where and what, never the value: it may be a card number. */
export class StatementError extends Error {
  override readonly name = 'StatementError'
  readonly fault: StatementFault
  /** Counted from 1. */
  readonly line: number
  /** Of fields, counted from 1; 0: the line as a whole. */
  readonly column: number

  constructor(
    fault: StatementFault,
    { line, column, about }: { line: number; column: number; about?: string },
  ) {
    const where = column === 0 ? `line ${line}` : `line ${line}, column ${column}`
    super(`${where}${about === undefined ? '' : ` (${about})`}: ${faultTexts[fault]}`)
    this.fault = fault
    this.line = line
    this.column = column
  }
}

const statementColumns = [
  'type',
  'isReversal',
  'rrn',
  'stan',
  'terminal',
  'amountMinor',
  'currency',
  'date',
] as const
type Column = (typeof statementColumns)[number]
/** A network may not know ours, or none at all; nothing is found by it. */
const optional: readonly Column[] = ['stan']

const shapes: Readonly<Record<Column, RegExp>> = {
  type: /^(?:debit|credit|transfer|inquiry|authorization)$/,
  isReversal: /^(?:true|false)$/,
  rrn: /^[A-Za-z0-9]{1,12}$/,
  stan: /^(?:\d{1,6})?$/,
  // DE41 may have anything printable; no comma is known to be in one.
  terminal: /^[!-~](?:[ -~]{0,6}[!-~])?$/,
  amountMinor: /^\d{1,15}$/,
  currency: /^[A-Z]{3}$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
}

/** Throws `StatementError`. */
export function readStatement(bytes: Uint8Array): Statement {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lines = linesOf(buffer)
  const header = lines.next().value
  if (header === undefined || header.text === '') throw new StatementError('empty', { line: 1, column: 0 })
  const columns = columnsOf(header)
  const items: MatchItem[] = []
  const dates = new Set<string>()
  let totalled = false
  let sealed = false
  for (const line of lines) {
    if (line.text === '') continue
    const at = { line: line.number, column: 0 }
    if (sealed) throw new StatementError('afterTotals', at)
    const fields = fieldsOf(line)
    if (fields[0] === 'sha256') {
      sealed = true
      if (fields[1] !== sha256(buffer.subarray(0, line.from))) throw new StatementError('wrongDigest', at)
    } else if (fields[0] === 'total') {
      totalled = true
      checkTotal(fields, items, at)
    } else if (totalled) throw new StatementError('afterTotals', at)
    else items.push(itemOf(fields, columns, { number: line.number, dates }))
  }
  return { items, sha256: sha256(buffer), totalled, sealed }
}

/** Our own items in the same form: what is sent to a network that has other totals. */
export function writeStatement(items: Iterable<MatchItem>): string {
  const all = [...items]
  const lines = all.map(({ type, isReversal, rrn, terminal, minor, currency, date }) =>
    [type, isReversal, rrn, '', terminal, minor, currency, date].map(asField).join(','),
  )
  const totals = currenciesOf(all).map((currency) => {
    const of = all.filter((item) => item.currency === currency)
    return `total,${currency},${of.length},${sumOf(of)}`
  })
  const text = [statementColumns.join(','), ...lines, ...totals].map((line) => `${line}\n`).join('')
  return `${text}sha256,${sha256(Buffer.from(text))}\n`
}

interface Line {
  readonly text: string
  readonly number: number
  /** Where it begins, in bytes. */
  readonly from: number
}

function* linesOf(buffer: Buffer): Generator<Line, undefined> {
  const hasMark = buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf
  let from = hasMark ? 3 : 0
  for (let number = 1; from < buffer.length; number++) {
    const found = buffer.indexOf(0x0a, from)
    const end = found < 0 ? buffer.length : found
    const text = buffer.toString('utf8', from, buffer[end - 1] === 0x0d ? Math.max(from, end - 1) : end)
    if (text.includes('\ufffd')) throw new StatementError('notUtf8', { line: number, column: 0 })
    yield { text, number, from }
    from = end + 1
  }
  return undefined
}

function fieldsOf({ text, number }: Line): string[] {
  if (!text.includes('"')) return text.split(',')
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (let isMore = true; isMore; ) {
    const [, quoted, plain, end] = field.exec(text) ?? []
    if (end === undefined) throw new StatementError('quotes', { line: number, column: fields.length + 1 })
    fields.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    isMore = end === ','
  }
  return fields
}

/** Which field of a line is which column. */
function columnsOf(header: Line): readonly Column[] {
  const names = fieldsOf(header)
  for (const [index, name] of names.entries()) {
    const isOurs = (statementColumns as readonly string[]).includes(name)
    if (!isOurs || names.indexOf(name) !== index)
      throw new StatementError('strangeColumn', { line: header.number, column: index + 1 })
  }
  const missing = statementColumns.find((name) => !names.includes(name) && !optional.includes(name))
  if (missing !== undefined)
    throw new StatementError('noColumn', { line: header.number, column: 0, about: missing })
  return names as Column[]
}

function itemOf(
  fields: readonly string[],
  columns: readonly Column[],
  { number: line, dates }: { readonly number: number; readonly dates: Set<string> },
): MatchItem {
  if (fields.length !== columns.length) throw new StatementError('fieldCount', { line, column: 0 })
  const values = {} as Record<Column, string>
  for (const [index, about] of columns.entries()) {
    const value = about === 'terminal' ? fields[index]!.trim() : fields[index]!
    if (!shapes[about].test(value)) throw new StatementError('badValue', { line, column: index + 1, about })
    values[about] = value
  }
  const { amountMinor, currency, date, isReversal, rrn, terminal, type } = values
  const bad = (about: Column): never => {
    throw new StatementError('badValue', { line, column: columns.indexOf(about) + 1, about })
  }
  if (!Object.hasOwn(currencies, currency)) bad('currency')
  if (!dates.has(date)) {
    const ms = Date.parse(`${date}T00:00:00Z`)
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== date) bad('date')
    dates.add(date)
  }
  return {
    ...{ type: type as TotalOf, isReversal: isReversal === 'true' },
    ...{ rrn, terminal, currency, minor: BigInt(amountMinor), date },
  }
}

function checkTotal(
  [, currency = '', count = '', minor = '']: readonly string[],
  items: readonly MatchItem[],
  at: { readonly line: number; readonly column: number },
): void {
  const of = items.filter((item) => item.currency === currency)
  if (!/^[A-Z]{3}$/.test(currency) || String(of.length) !== count || String(sumOf(of)) !== minor)
    throw new StatementError('wrongTotal', at)
}

function sumOf(items: readonly MatchItem[]): bigint {
  return items.reduce((sum, item) => sum + owedFor(item), 0n)
}

function currenciesOf(items: readonly MatchItem[]): string[] {
  return [...new Set(items.map(({ currency }) => currency))].sort()
}

function asField(value: string | bigint | boolean): string {
  const text = String(value)
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
