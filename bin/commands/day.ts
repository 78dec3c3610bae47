import { Command } from 'commander'
import { type CurrencyCode, formatMoney } from '../../kernel/money.ts'
import {
  beginByOperator,
  businessDayHistory,
  type DayOnRecord,
  reconciliationHistory,
  type ReconciliationItem,
  reconciliationItems,
  type ReconciliationOnRecord,
} from '../../switch/switch.ts'

import { withJournal } from './journal.ts'
import { businessDate } from './ledger-arguments.ts'

interface Where {
  readonly state?: string
  readonly json?: boolean
}

interface Cutover extends Where {
  readonly date?: string
  readonly who: string
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
        const of = (day: DayOnRecord): ReconciliationOnRecord[] =>
          told.filter(({ date, destination }) => date === day.date && destination === day.destination)
        const text = days.flatMap((day) => [lineOf(day), ...of(day).map(balanceLine)])
        const all = days.map((day) => ({ ...day, totals: of(day) }))
        process.stdout.write(where.json === true ? `${JSON.stringify(all)}\n` : `${text.join('\n')}\n`)
      }),
    )
  placed(command.command('items'))
    .description(
      'what the totals of a date are made of, item by item: for when a network says that they do not agree',
    )
    .argument('<destination>')
    .argument('<date>', 'YYYY-MM-DD', businessDate)
    .option('--approvals <codes>', 'what its answers say when it has done what it was asked', '00,10')
    .action((destination: string, date: string, where: Where & { approvals: string }) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'day' }, async (pool) => {
        const days = await businessDayHistory(pool)
        if (!days.some((day) => day.destination === destination && day.date === date)) {
          throw new Error(
            `${destination} has had no business date ${date}: mafraq day show lists what there was`,
          )
        }
        const approvals = where.approvals.split(',')
        const items = await reconciliationItems(pool, { destination, date, approvals })
        const all = items.map((item) => ({ ...item, minor: item.minor.toString() }))
        const text = items.map((item) => `${itemLine(item)}\n`).join('')
        process.stdout.write(where.json === true ? `${JSON.stringify(all)}\n` : text || 'no item so far\n')
      }),
    )
  placed(command.command('cutover'))
    .description('begin the next business date of a destination; it can not be taken back')
    .argument('<destination>')
    .option('--date <date>', 'YYYY-MM-DD; the day after the current one unless told', businessDate)
    .requiredOption('--who <name>', 'who asks for it, for the record')
    .requiredOption('--why <reason>', 'why, for the record')
    .action((destination: string, options: Cutover) =>
      withJournal({ state: options.state, role: 'writerUrl', as: 'day' }, async (pool) => {
        const { date, who, why } = options
        const asked = { destination, who, why, ...(date === undefined ? {} : { date }) }
        const outcome = await beginByOperator(pool, asked)
        const text = outcome.begun ? `${destination} ${outcome.date} begun` : `refused: ${outcome.reason}`
        process.stdout.write(options.json === true ? `${JSON.stringify(outcome)}\n` : `${text}\n`)
        if (!outcome.begun) process.exitCode = 1
      }),
    )
  return command
}

function placed(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
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
