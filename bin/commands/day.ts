import { Command } from 'commander'
import { type CurrencyCode, formatMoney } from '../../kernel/money.ts'
import {
  beginByOperator,
  businessDayHistory,
  datedItems,
  type DayOnRecord,
  matchRuns,
  reconciliationHistory,
  type ReconciliationItem,
  reconciliationItems,
  type ReconciliationOnRecord,
  unmatchedItems,
  writeStatement,
} from '../../switch/switch.ts'

import { addMatching, approvalsOf, refuseStrangeDate } from './day-match.ts'
import { withJournal } from './journal.ts'
import { businessDate } from './ledger-arguments.ts'
import { byWhomAndWhy } from './people.ts'

interface Where {
  readonly state?: string
  readonly json?: boolean
}

interface Cutover extends Where {
  readonly date?: string
  readonly by: string
  readonly why: string
}

/** `mafraq day`: the business dates of the destinations and of the switch, and the operator's cutover. */
export function dayCommand(): Command {
  const command = new Command('day').description('business dates: what they are, and turning one by hand')
  placed(command.command('show'))
    .description('every business date: when it began, by whose word, and whether its totals are frozen')
    .action((where: Where) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'day' }, async (pool) => {
        const days = await businessDayHistory(pool)
        const told = await reconciliationHistory(pool)
        const open = await unmatchedItems(pool, { live: true })
        const runs = await matchRuns(pool)
        const of = (day: DayOnRecord): ReconciliationOnRecord[] =>
          told.filter(({ date, destination }) => date === day.date && destination === day.destination)
        const matchOf = (day: DayOnRecord): MatchOnDay => ({
          matchedAt: runs.find((run) => isOf(run, day))?.at ?? null,
          open: open.filter((item) => isOf(item, day) && item.status === 'open').length,
          explained: open.filter((item) => isOf(item, day) && item.status === 'explained').length,
        })
        const text = days.flatMap((day) => [
          lineOf(day),
          ...of(day).map(balanceLine),
          ...matchLines(matchOf(day)),
        ])
        const all = days.map((day) => ({ ...day, totals: of(day), match: matchOf(day) }))
        process.stdout.write(where.json === true ? `${JSON.stringify(all)}\n` : `${text.join('\n')}\n`)
      }),
    )
  placed(command.command('items'))
    .description(
      'what the totals of a date are made of, item by item: for when a network says that they do not agree',
    )
    .argument('<destination>')
    .argument('<date>', 'YYYY-MM-DD', businessDate)
    .option('--approvals <codes>', "what its answers say when it has done it; the network's own unless told")
    .option('--csv', 'as a statement: the form that mafraq day match reads, for the network to look at')
    .option('--fees-reversed', 'its undoings give back what it charged (rules.fees.reversed)')
    .option('--fee-beside', 'its DE4 is without DE28 (rules.fees.inAmount: false)')
    .action((destination: string, date: string, where: Where & ItemOptions) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'day' }, async (pool) => {
        await refuseStrangeDate(pool, destination, date)
        const approvals = where.approvals?.split(',') ?? (await approvalsOf(destination))
        const fees = { reversed: where.feesReversed === true, inAmount: where.feeBeside !== true }
        if (where.csv === true) {
          const dated = await datedItems(pool, { destination, date, approvals })
          return void process.stdout.write(writeStatement(dated))
        }
        const items = await reconciliationItems(pool, { destination, date, approvals, fees })
        const all = items.map((item) => ({ ...item, minor: item.minor.toString() }))
        const text = items.map((item) => `${itemLine(item)}\n`).join('')
        process.stdout.write(where.json === true ? `${JSON.stringify(all)}\n` : text || 'no item so far\n')
      }),
    )
  byWhomAndWhy(placed(command.command('cutover')))
    .description('begin the next business date of a destination; it can not be taken back')
    .argument('<destination>')
    .option('--date <date>', 'YYYY-MM-DD; the day after the current one unless told', businessDate)
    .action((destination: string, options: Cutover) =>
      withJournal({ state: options.state, role: 'writerUrl', as: 'day' }, async (pool) => {
        const { date, by: who, why } = options
        const asked = { destination, who, why, ...(date === undefined ? {} : { date }) }
        const outcome = await beginByOperator(pool, asked)
        const text = outcome.begun ? `${destination} ${outcome.date} begun` : `refused: ${outcome.reason}`
        process.stdout.write(options.json === true ? `${JSON.stringify(outcome)}\n` : `${text}\n`)
        if (!outcome.begun) process.exitCode = 1
      }),
    )
  addMatching(command)
  return command
}

/** What matching with the network's statement has left of a date. */
interface MatchOnDay {
  readonly matchedAt: Date | null
  readonly open: number
  readonly explained: number
}

function isOf(
  one: { readonly destination: string; readonly date: string },
  { destination, date }: DayOnRecord,
): boolean {
  return one.destination === destination && one.date === date
}

function matchLines({ explained, matchedAt, open }: MatchOnDay): string[] {
  if (matchedAt === null && open + explained === 0) return []
  const matched = matchedAt === null ? 'not matched yet' : `matched ${matchedAt.toISOString()}`
  const left =
    open + explained === 0 ? 'nothing open' : `${open} open, ${explained} explained (mafraq day unmatched)`
  return [`${' '.repeat(13)}${matched}  ${left}`]
}

function placed(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
}

interface ItemOptions {
  readonly csv?: boolean
  readonly approvals?: string
  readonly feesReversed?: boolean
  readonly feeBeside?: boolean
}

function balanceLine({ balance, currency, totals }: ReconciliationOnRecord): string {
  const money = (minor: string): string =>
    formatMoney({ amountMinor: BigInt(minor), currency: currency as CurrencyCode })
  const { creditCount, creditMinor, creditReversalMinor, debitCount, debitMinor, debitReversalMinor } = totals
  const debits = `${debitCount} debits ${money(debitMinor)} less ${money(debitReversalMinor)}`
  const credits = `${creditCount} credits ${money(creditMinor)} less ${money(creditReversalMinor)}`
  return `${' '.repeat(13)}${balance === null ? 'not answered yet' : words[balance]}  ${debits}, ${credits}`
}

const words = {
  in: 'in balance',
  out: 'OUT OF BALANCE: the network has other totals (mafraq day items shows ours)',
  error: 'NOT COMPARED: the network could not',
} as const

function itemLine({ currency, id, isReversal, minor, rrn, total }: ReconciliationItem): string {
  const money = formatMoney({ amountMinor: minor, currency: currency as CurrencyCode })
  return `${`${total}${isReversal ? ' reversal' : ''}`.padEnd(18)} ${money.padStart(16)}  RRN ${rrn}  ${id}`
}

function lineOf({ destination, date, beganAt, cause, who, frozenAt, stragglers }: DayOnRecord): string {
  const unresolved = stragglers === null || stragglers === 0 ? '' : `, ${stragglers} unresolved`
  const end = frozenAt === null ? 'open' : `frozen ${frozenAt.toISOString()}${unresolved}`
  return `${destination.padEnd(12)} ${date}  began ${beganAt.toISOString()}  by ${cause} (${who})  ${end}`
}
