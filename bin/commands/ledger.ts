import { existsSync, readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { DatabaseError, openClient } from '../../kernel/database.ts'
import {
  AnchorError,
  accountHistory,
  balanceAtVersion,
  balanceOf,
  checkAnchors,
  closeBusinessDate,
  closePeriod,
  closedPeriods,
  openHolds,
  openLedger,
  postingOf,
  rebuildDifferences,
  statementOf,
  trialBalance,
  verifyLedger,
} from '../../ledger/ledger.ts'
import type { HistoryLine, Ledger, Reader, UnitOutcome, Verification } from '../../ledger/ledger.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { amountText, render } from './ledger-table.ts'
import type { Form, Table } from './ledger-table.ts'

interface Where {
  readonly state?: string
  readonly databaseUrl?: string
}

interface Verifying extends Where {
  readonly json?: boolean
  readonly anchors?: string
  readonly anchorKey?: ReadonlyMap<string, string>
}

interface Shown extends Where {
  readonly json?: boolean
  readonly csv?: boolean
  readonly asOf?: number
  readonly knownAt?: number
}

const broken = 1
const couldNotCheck = 3

const help = `
A date is a day in Kuwait, and tables show Kuwait's time; an instant is ISO 8601, and --csv and --json show UTC.
--as-of asks by when things count, --known-at by when they were written. A balance is on its account's normal side.
Checks exit with 0 when the books hold, 1 when they do not, 3 when that could not be checked; 2 is a wrong call.`

/** `mafraq ledger`: what the books say, and whether they are still what was written. */
export function ledgerCommand(): Command {
  const command = new Command('ledger')
    .description('the books: what they say, and whether they hold')
    .addHelpText('after', help)
  placed(command.command('verify'))
    .description('compute the whole of the books anew: hash chain, sums, histories, projections')
    .option(
      '--anchors <file>',
      'compare with the checkpoints in this file; else with those of the running system',
    )
    .option('--anchor-key <id=file>', 'a public key (PEM) that checkpoints may be signed with', anchorKey)
    .option('--json', 'one JSON object')
    .action((where: Verifying) => checking(where.json === true, () => verify(where)))
  placed(command.command('rebuild'))
    .description('recompute every balance from the entries, and compare')
    .requiredOption('--check', 'compare only; nothing is written')
    .option('--json', 'one JSON object')
    .action((where: Where & { json?: boolean }) => checking(where.json === true, () => rebuild(where)))
  placed(command.command('close-date'))
    .description(
      'end a business date of a network: its balances become due in settlement, nothing reaches it again',
    )
    .argument('<network>')
    .argument('<date>', 'YYYY-MM-DD, in Kuwait', businessDate)
    .option('--json', 'one JSON object')
    .action((network: string, date: string, where: Where & { json?: boolean }) =>
      checking(where.json === true, () => closeDate(where, network, date)),
    )
  placed(command.command('close-period'))
    .description(
      'close all books up to a date, once each network has closed its dates: nothing counts for it any more',
    )
    .argument('<date>', 'YYYY-MM-DD, in Kuwait', businessDate)
    .option('--json', 'one JSON object')
    .action((date: string, where: Where & { json?: boolean }) =>
      checking(where.json === true, () => closeBooks(where, date)),
    )
  shown(command.command('periods'))
    .description('up to which date the books of each network are closed, and all of them (*)')
    .action((options: Shown) => report(options, periodsTable))
  shown(command.command('holds'))
    .description('money that is set aside, by what ends first')
    .argument('[account]', 'holds of this account only')
    .option('--limit <count>', 'at most this many', countOf, 1_000)
    .action((account: string | undefined, options: Shown & { limit: number }) =>
      report(options, (reader) => holdsTable(reader, account, options.limit)),
    )
  shown(command.command('posting'))
    .description('one posting and its sides, by its reference')
    .argument('<reference>')
    .action((reference: string, options: Shown) =>
      report(options, (reader) => postingTable(reader, reference)),
    )
  timed(shown(command.command('trial-balance')))
    .description('debits and credits of every account')
    .action((options: Shown) => report(options, (reader) => trialBalanceTable(reader, options)))
  timed(shown(command.command('balance')))
    .description('the balance of one account')
    .argument('<account>')
    .option('--at-version <count>', 'after this many entries of it, instead of at a time', version)
    .action((account: string, options: Shown & { atVersion?: bigint }) =>
      report(options, (reader) =>
        options.atVersion === undefined
          ? balanceTable(reader, account, options)
          : versionTable(reader, account, options.atVersion),
      ),
    )
  shown(command.command('history'))
    .description('every entry of one account, in the order in which it was written')
    .argument('<account>')
    .option('--after <version>', 'entries after this one', version)
    .option('--limit <count>', 'at most this many', countOf, 1_000)
    .action((account: string, options: Shown & { after?: bigint; limit: number }) =>
      report(options, (reader) => historyTable(reader, account, options)),
    )
  shown(command.command('statement'))
    .description('what counted for one account in a period, between its balances')
    .argument('<account>')
    .requiredOption('--from <date>', 'first date in Kuwait, or an instant', startOf)
    .requiredOption('--to <date>', 'last date in Kuwait, or an instant', endOf)
    .option('--known-at <date>', 'what had been written by then', endOf)
    .action((account: string, options: Shown & { from: number; to: number }) =>
      report(options, (reader) => statementTable(reader, account, options)),
    )
  return command
}

function placed(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--database-url <url>', 'the database, instead of that of the state folder')
}

function shown(command: Command): Command {
  return placed(command).option('--json', 'a JSON list').option('--csv', 'comma-separated')
}

function timed(command: Command): Command {
  return command
    .option('--as-of <date>', 'what counts by the end of this date in Kuwait, or by this instant', endOf)
    .option('--known-at <date>', 'what had been written by then', endOf)
}

/** A check prints its RESULT last, and exits with 0, 1, or 3 when it could not look. */
async function checking(json: boolean, check: () => Promise<Checked>): Promise<void> {
  let checked: Checked
  try {
    checked = await check()
  } catch (error) {
    if (!(error instanceof DatabaseError || error instanceof AnchorError)) throw error
    checked = { result: `could not check: ${error.message}`, facts: {}, text: '' }
    process.exitCode = couldNotCheck
  }
  if (checked.result !== 'ok') process.exitCode ??= broken
  const { result, facts, text } = checked
  process.stdout.write(json ? `${toJson({ result, ...facts })}\n` : `${text}RESULT ${result}\n`)
}

interface Checked {
  readonly result: string
  readonly facts: object
  readonly text: string
}

async function verify(where: Verifying): Promise<Checked> {
  const startedAt = performance.now()
  const found = await verifyLedger(databaseUrlOf(where))
  const seconds = (performance.now() - startedAt) / 1_000
  const { blocks, units, postings, entries, accounts, head } = found
  const counts = Object.entries({ blocks, units, postings, entries, accounts })
  const text = [
    counts.map(([name, count]) => `${name} ${count.toLocaleString('en')}`).join('  '),
    `head ${head}`,
    `seconds ${seconds.toFixed(1)}`,
    '',
  ].join('\n')
  const anchors = anchorsOf(where)
  if (found.bad !== undefined || anchors === undefined) {
    const unsigned =
      anchors === undefined ? 'anchors none: what the owner of the database changed is not seen\n' : ''
    return { result: resultOf(found), facts: found, text: text + unsigned }
  }
  const anchored = await reading(where, (reader) => checkAnchors({ reader, ...anchors }))
  const after = blocks - anchored.lastSeq
  const signatures =
    anchored.bad === undefined ? `signatures ok (${[...anchors.keys.keys()].join(', ')})` : ''
  return {
    result:
      anchored.bad === undefined
        ? 'ok'
        : `TAMPERED block ${anchored.bad.seq} ${anchored.bad.kind}: ${anchored.bad.what}`,
    facts: { ...found, anchored },
    text: `${text}anchors ${anchored.anchors}  ${signatures}  blocks after the last ${after}\n`,
  }
}

/** Those that are named, else those of the running system. */
function anchorsOf(where: Verifying): { file: string; keys: ReadonlyMap<string, string> } | undefined {
  const { anchors, anchorKey: keys = new Map<string, string>() } = where
  if (anchors !== undefined) return { file: anchors, keys }
  if (where.databaseUrl !== undefined) return undefined
  const running = readEndpoints(stateFolderOf(where.state)).anchors
  if (running === undefined || !existsSync(running.file)) return undefined
  return {
    file: running.file,
    keys: new Map([[running.key, readFileSync(running.publicKeyFile, 'utf8')], ...keys]),
  }
}

function anchorKey(
  text: string,
  earlier: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is not of the form id=file.')
  return new Map([...earlier, [text.slice(0, at), readFileSync(text.slice(at + 1), 'utf8')]])
}

function resultOf({ bad }: Verification): string {
  if (bad === undefined) return 'ok'
  const place = bad.block === undefined ? '' : ` block ${bad.block}`
  return `TAMPERED${place} ${bad.table} ${bad.kind}: ${bad.row} ${bad.what}`
}

async function rebuild(where: Where): Promise<Checked> {
  const differences = await reading(where, rebuildDifferences)
  const found = await verifyLedger(databaseUrlOf(where))
  const columns = ['account', 'column', 'stored', 'computed']
  const rows = differences.map(({ account, column, stored, computed }) => [account, column, stored, computed])
  const result = differences.length > 0 ? `${differences.length} balances differ` : resultOf(found)
  const text =
    rows.length === 0 ? `balances ${found.accounts} recomputed\n` : render({ columns, rows }, 'table')
  return { result, facts: { differences }, text }
}

/** Through a writer of its own, which takes turns with that of the switch. */
async function writing<T>(where: Where, write: (ledger: Ledger, reader: Reader) => Promise<T>): Promise<T> {
  const databaseUrl = where.databaseUrl ?? readEndpoints(stateFolderOf(where.state)).database.writerUrl
  const log = { warn: () => undefined, error: () => undefined }
  const ledger = await openLedger({ databaseUrl, rowKinds: [], log })
  try {
    return await reading({ databaseUrl }, (reader) => write(ledger, reader))
  } finally {
    await ledger.close()
  }
}

async function closeBooks(where: Where, through: string): Promise<Checked> {
  const outcome = await writing(where, (ledger, reader) =>
    closePeriod(ledger, reader, { scope: '*', through, effectiveAt: Date.now() }),
  )
  const answer = outcome.kind === 'refused' ? outcome.reason : outcome.kind
  const result = answer === 'committed' ? 'ok' : `the books are not closed up to ${through}: ${answer}`
  return { result, facts: { period: answer }, text: '' }
}

function closeDate(where: Where, network: string, date: string): Promise<Checked> {
  return writing(where, async (ledger, reader) => {
    const closed = await closeBusinessDate(ledger, reader, { network, date, effectiveAt: Date.now() })
    const answerOf = (outcome: UnitOutcome): string =>
      outcome.kind === 'refused' ? outcome.reason : outcome.kind
    const accounts = closed.accounts.map(({ account, outcome }) => ({ account, answer: answerOf(outcome) }))
    const period = answerOf(closed.period)
    const open = accounts.filter(({ answer }) => answer !== 'committed')
    return {
      result:
        open.length > 0
          ? `${open.length} accounts stay open`
          : period === 'committed'
            ? 'ok'
            : `${network} is not closed up to ${date}: ${period}`,
      facts: { accounts, period },
      text: [
        ...accounts.map(({ account, answer }) => `${account} ${answer}`),
        `${network} up to ${date} ${period}`,
        '',
      ].join('\n'),
    }
  })
}

async function report(options: Shown, make: (reader: Reader) => Promise<Table>): Promise<void> {
  const form: Form = options.json === true ? 'json' : options.csv === true ? 'csv' : 'table'
  process.stdout.write(render(await reading(options, make), form))
}

async function trialBalanceTable(reader: Reader, when: Shown): Promise<Table> {
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

async function balanceTable(reader: Reader, account: string, when: Shown): Promise<Table> {
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

async function periodsTable(reader: Reader): Promise<Table> {
  const periods = await closedPeriods(reader)
  return { columns: ['scope', 'closed through'], rows: periods.map(({ scope, through }) => [scope, through]) }
}

async function holdsTable(reader: Reader, account: string | undefined, limit: number): Promise<Table> {
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

async function postingTable(reader: Reader, reference: string): Promise<Table> {
  const posting = await postingOf(reader, reference)
  if (posting === undefined) throw new Error(`there is no posting ${reference}`)
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

async function versionTable(reader: Reader, account: string, atVersion: bigint): Promise<Table> {
  const { currency, normalSide } = existing(account, await balanceOf(reader, account))
  const debitsLessCredits = await balanceAtVersion(reader, account, atVersion)
  if (debitsLessCredits === undefined) throw new Error(`${account} has not had so many entries`)
  const balance = normalSide === 'debit' ? debitsLessCredits : -debitsLessCredits
  return {
    columns: ['account', 'currency', 'version', 'balance', 'side'],
    rows: [[account, currency, atVersion, amountText(balance, currency), normalSide]],
  }
}

async function historyTable(
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

async function statementTable(
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
  if (found === undefined) throw new Error(`there is no account ${account}`)
  return found
}

async function reading<T>(where: Where, read: (reader: Reader) => Promise<T>): Promise<T> {
  const client = await openClient({ databaseUrl: databaseUrlOf(where), applicationName: 'mafraq-report' })
  try {
    return await read(client)
  } finally {
    await client.end()
  }
}

function databaseUrlOf({ databaseUrl, state }: Where): string {
  return databaseUrl ?? readEndpoints(stateFolderOf(state)).database.readerUrl
}

/** Kuwait is three hours ahead of UTC all year. */
function startOf(text: string): number {
  return instant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00.000+03:00` : text)
}

function endOf(text: string): number {
  return instant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T23:59:59.999+03:00` : text)
}

function instant(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new InvalidArgumentError('It is no date and no instant (ISO 8601).')
  return ms
}

function businessDate(text: string): string {
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))
  if (!isDate) throw new InvalidArgumentError('It is no date of the form YYYY-MM-DD.')
  return text
}

function countOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is no count.')
  return Number(text)
}

function version(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('It is no number of an entry.')
  return BigInt(text)
}

function toJson(facts: object): string {
  return JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))
}
