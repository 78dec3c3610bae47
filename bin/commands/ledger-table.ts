import { currencies, formatMoney } from '../../kernel/money.ts'
import type { CurrencyCode } from '../../kernel/money.ts'

export type Form = 'table' | 'csv' | 'json'

export type Cell = string | number | bigint | Date

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
}

/**
 * The same rows as a table for people, as CSV (RFC 4180), or as a JSON list of objects. People see times as they are in
 * Kuwait, whose days the books are asked by; programs get them in UTC.
 */
export function render({ columns, rows }: Table, form: Form): string {
  const texts = rows.map((row) => row.map(form === 'table' ? shownText : textOf))
  switch (form) {
    case 'csv':
      return [columns, ...texts].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('')
    case 'json':
      return `${JSON.stringify(texts.map((row) => Object.fromEntries(row.map((text, index) => [columns[index]!, text]))))}\n`
    case 'table':
      return asTable(columns, texts)
  }
}

function textOf(cell: Cell): string {
  return cell instanceof Date ? cell.toISOString() : String(cell)
}

const kuwaitMs = 3 * 3_600_000

function shownText(cell: Cell): string {
  if (!(cell instanceof Date)) return String(cell)
  return new Date(cell.getTime() + kuwaitMs).toISOString().replace('T', ' ').replace('Z', '+03')
}

// A spreadsheet takes a cell that begins with one of these for a formula.
function csvCell(text: string): string {
  const plain = /^[=+@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

function asTable(columns: readonly string[], texts: readonly string[][]): string {
  const widths = columns.map((name, index) =>
    Math.max(name.length, ...texts.map((row) => row[index]!.length)),
  )
  // A column of numbers stands on its right side, so that amounts can be added up by eye.
  const isNumber = columns.map((_, index) => texts.every((row) => /^(-?\d+(\.\d+)?)?$/.test(row[index]!)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, index) =>
        isNumber[index] === true ? text.padStart(widths[index]!) : text.padEnd(widths[index]!),
      )
      .join('  ')
      .trimEnd()
  return [line(columns.map((name) => name.toUpperCase())), ...texts.map(line), ''].join('\n')
}

/** `12.500`, with the decimals of the currency. */
export function amountText(amountMinor: bigint, currency: string): string {
  if (!(currency in currencies)) return String(amountMinor)
  return formatMoney({ amountMinor, currency: currency as CurrencyCode }).slice(currency.length + 1)
}
