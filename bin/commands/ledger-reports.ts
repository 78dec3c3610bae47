import {
  accountHistory,
  balanceAtVersion,
  balanceOf,
  closedPeriods,
  openHolds,
  postingOf,
  statementOf,
  trialBalance,
} from '../../ledger/ledger.ts'
import type { HistoryLine, Reader } from '../../ledger/ledger.ts'
import { reading } from './ledger-books.ts'
import type { Where } from './ledger-books.ts'
import { amountText, render } from './ledger-table.ts'
import type { Form, Table } from './ledger-table.ts'
import { Refused } from './refused.ts'

export interface Shown extends Where {
  readonly json?: boolean
  readonly csv?: boolean
  readonly asOf?: number
  readonly knownAt?: number
}

export async function report(options: Shown, make: (reader: Reader) => Promise<Table>): Promise<void> {
  const form: Form = options.json === true ? 'json' : options.csv === true ? 'csv' : 'table'
  process.stdout.write(render(await reading(options, make), form))
}

export async function trialBalanceTable(reader: Reader, when: Shown): Promise<Table> {
  const balances = await trialBalance(reader, when)
  const rows = balances.map(({ path, currency, debits, credits, balance, normalSide }) => {
    const texts = [debits, credits, balance].map((amount) => amountText(amount, currency))
    return [path, currency, ...texts, normalSide]
  })
  for (const [currency, own] of Map.groupBy(balances, (row) => row.currency)) {
    const debits = own.reduce((sum, row) => sum + row.debits, 0n)
    const credits = own.reduce((sum, row) => sum + row.credits, 0n)
    rows.push([
      'total',
      currency,
      ...[debits, credits, debits - credits].map((sum) => amountText(sum, currency)),
      '',
    ])
  }
  return { columns: ['account', 'currency', 'debits', 'credits', 'balance', 'side'], rows }
}

export async function balanceTable(reader: Reader, account: string, when: Shown): Promise<Table> {
  const { path, currency, normalSide, ...sums } = existing(account, await balanceOf(reader, account, when))
  const text = (amount: bigint): string => amountText(amount, currency)
  const columns = ['account', 'currency', 'debits', 'credits', 'balance', 'side']
  const row = [path, currency, text(sums.debits), text(sums.credits), text(sums.balance), normalSide]
  const { setAside } = sums
  if (setAside === undefined) return { columns, rows: [row] }
  return {
    columns: [...columns, 'set aside', 'available'],
    rows: [[...row, text(setAside), text(sums.balance - setAside)]],
  }
}

export async function periodsTable(reader: Reader): Promise<Table> {
  const periods = await closedPeriods(reader)
  return {
    columns: ['scope', 'closed through', 'by', 'why'],
    rows: periods.map(({ scope, through, by = 'the clock', why = '' }) => [scope, through, by, why]),
  }
}

export async function holdsTable(reader: Reader, account: string | undefined, limit: number): Promise<Table> {
  if (account !== undefined) existing(account, await balanceOf(reader, account))
  const holds = await openHolds(reader, { account, limit })
  return {
    columns: ['expires', 'currency', 'set aside', 'captured', 'open', 'from', 'to', 'reference'],
    rows: holds.map((hold) => {
      const texts = [hold.amountMinor, hold.capturedMinor, hold.openMinor].map((each) =>
        amountText(each, hold.currency),
      )
      const on = (side: string): string =>
        hold.legs.flatMap((leg) => (leg.side === side ? [leg.account] : [])).join(' ')
      return [hold.expiresAt, hold.currency, ...texts, on('debit'), on('credit'), hold.reference]
    }),
  }
}

export async function postingTable(reader: Reader, reference: string): Promise<Table> {
  const posting = await postingOf(reader, reference)
  if (posting === undefined) throw new Refused(`there is no posting ${reference}`)
  const { kind, effectiveAt, recordedAt, block, entries, meta = {} } = posting
  const said = Object.entries(meta)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
  return {
    columns: [
      'effective',
      'recorded',
      'block',
      'kind',
      'account',
      'currency',
      'layer',
      'debit',
      'credit',
      'meta',
    ],
    rows: entries.map(({ account, currency, layer, amount }) => {
      return [
        effectiveAt,
        recordedAt,
        block,
        kind,
        account,
        currency,
        layer,
        ...sides({ amount }, currency),
        said,
      ]
    }),
  }
}

export async function versionTable(reader: Reader, account: string, atVersion: bigint): Promise<Table> {
  const { currency, normalSide } = existing(account, await balanceOf(reader, account))
  const debitsLessCredits = await balanceAtVersion(reader, account, atVersion)
  if (debitsLessCredits === undefined) throw new Refused(`${account} has not had so many entries`)
  const balance = normalSide === 'debit' ? debitsLessCredits : -debitsLessCredits
  return {
    columns: ['account', 'currency', 'version', 'balance', 'side'],
    rows: [[account, currency, atVersion, amountText(balance, currency), normalSide]],
  }
}

export async function historyTable(
  reader: Reader,
  account: string,
  options: { readonly after?: bigint; readonly limit: number },
): Promise<Table> {
  const { currency, normalSide } = existing(account, await balanceOf(reader, account))
  const lines = await accountHistory(reader, account, options)
  if (lines.length === options.limit) {
    process.stderr.write(`there may be more: --after ${lines.at(-1)!.version}\n`)
  }
  return {
    columns: ['version', 'effective', 'recorded', 'kind', 'layer', 'debit', 'credit', 'balance', 'reference'],
    rows: lines.map((line) => [
      line.version,
      line.effectiveAt,
      line.recordedAt,
      line.kind,
      line.layer,
      ...sides(line, currency),
      amountText(normalSide === 'debit' ? line.balanceAfter : -line.balanceAfter, currency),
      line.reference,
    ]),
  }
}

export async function statementTable(
  reader: Reader,
  account: string,
  period: { readonly from: number; readonly to: number; readonly knownAt?: number },
): Promise<Table> {
  const { currency, normalSide } = existing(account, await balanceOf(reader, account))
  const { opening, lines, closing } = existing(account, await statementOf(reader, account, period))
  let balance = opening
  const rows = lines.map((line) => {
    balance += normalSide === 'debit' ? line.amount : -line.amount
    return [
      line.effectiveAt,
      line.kind,
      line.reference,
      ...sides(line, currency),
      amountText(balance, currency),
    ]
  })
  return {
    columns: ['effective', 'kind', 'reference', 'debit', 'credit', 'balance'],
    rows: [
      ['', 'opening', '', '', '', amountText(opening, currency)],
      ...rows,
      ['', 'closing', '', '', '', amountText(closing, currency)],
    ],
  }
}

function sides({ amount }: Pick<HistoryLine, 'amount'>, currency: string): [debit: string, credit: string] {
  return amount > 0n ? [amountText(amount, currency), ''] : ['', amountText(-amount, currency)]
}

function existing<T>(account: string, found: T | undefined): T {
  if (found === undefined) throw new Refused(`there is no account ${account}`)
  return found
}
