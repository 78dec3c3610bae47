import { createHash } from 'node:crypto'
import { currencyOfNumeric } from '../../kernel/money.ts'
import { keyOf, originalOf } from './accounts.ts'
import type { NetworkLine } from './book-lines.ts'
import { settledIn } from './day.ts'

/** A row of the statement, in the form that docs/running.md describes. */
interface Row {
  readonly type: 'debit' | 'credit' | 'transfer' | 'inquiry' | 'authorization'
  readonly isReversal: boolean
  readonly line: NetworkLine
  readonly currency: string
  readonly minor: bigint
}

const header = 'type,isReversal,rrn,stan,terminal,amountMinor,currency,date\n'

/**
 * What a network says it did on a business date, from the lines of its own book: CSV with its totals and a digest. It is made
 * here and read in the switch by code that knows nothing of this, so that a fault of one can't agree with itself.
 */
export async function* statementOf(
  lines: AsyncIterable<Readonly<Record<string, unknown>>>,
  date: string,
): AsyncGenerator<string> {
  const digest = createHash('sha256')
  const totals = new Map<string, { items: number; minor: bigint }>()
  const transfers = new Set<string>()
  const told = (text: string): string => {
    digest.update(text)
    return text
  }
  yield told(header)
  for await (const raw of lines) {
    const line = raw as unknown as NetworkLine
    if (line.event === 'transfer') transfers.add(keyOf(line))
    const row = line.date === date ? rowOf(line, transfers) : undefined
    if (row === undefined) continue
    const total = totals.get(row.currency) ?? { items: 0, minor: 0n }
    totals.set(row.currency, total)
    total.items++
    total.minor += owedFor(row)
    yield told(textOf(row))
  }
  for (const [currency, { items, minor }] of [...totals].sort())
    yield told(`total,${currency},${items},${minor}\n`)
  yield `sha256,${digest.digest('hex')}\n`
}

/** undefined: nothing was done. */
function rowOf(line: NetworkLine, transfers: ReadonlySet<string>): Row | undefined {
  const { currency: numeric, minor } = settledIn(line)
  const currency = currencyOfNumeric(numeric)
  if (currency === undefined) return undefined
  const row = { line, currency, minor, isReversal: false }
  switch (line.event) {
    case 'debit':
    case 'credit':
    case 'transfer':
    case 'inquiry':
      return { ...row, type: line.event }
    // Nothing of these is money until it is taken.
    case 'hold':
    case 'raise':
    case 'verification':
      return { ...row, type: 'authorization' }
    case 'completion':
      return line.applied === 'taken' || line.applied === 'forced' ? { ...row, type: 'debit' } : undefined
    case 'reversal': {
      if (line.undoneOf !== undefined) return { ...row, type: line.undoneOf, isReversal: true }
      if (line.applied !== 'released' || !transfers.has(keyOf(originalOf(line)))) return undefined
      return { ...row, type: 'transfer', isReversal: true, minor: BigInt(line.amountMinor) }
    }
    case 'decline':
    case 'reversalRefused':
      return undefined
  }
}

function owedFor({ isReversal, minor, type }: Row): bigint {
  if (type !== 'debit' && type !== 'credit') return 0n
  return (type === 'debit') === isReversal ? -minor : minor
}

function textOf({ type, isReversal, line, currency, minor }: Row): string {
  const { rrn, stan, terminal, date = '' } = line
  const fields = [type, isReversal, rrn.trim(), stan, terminal.trim(), minor, currency, date]
  return `${fields.map((field) => quoted(String(field))).join(',')}\n`
}

function quoted(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
