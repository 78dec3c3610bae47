import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import type { DatabasePool } from '../../kernel/database.ts'
import {
  type BookTotal,
  businessDayHistory,
  closeUnmatched,
  datedItems,
  type DayOnRecord,
  doneBy,
  explainUnmatched,
  journalTotals,
  keepMatch,
  keptMax,
  matchDate,
  movesMoney,
  ownBooks,
  readStatement,
  unmatchedHistory,
  unmatchedItems,
} from '../../switch/switch.ts'
import { allNetworks } from '../networks.ts'
import { asCsv, asText, type MatchTold, queueText, toldAgrees } from '../reconcile/match-text.ts'
import { withJournal } from './journal.ts'
import { businessDate } from './ledger-arguments.ts'
import { byWhomAndWhy, personName } from './people.ts'
import { Refused } from './refused.ts'

interface MatchOptions {
  readonly state?: string
  readonly json?: boolean
  readonly csv?: boolean
  readonly file?: string
  readonly approvals?: string
  readonly by: string
  readonly dryRun?: boolean
}

interface WordOptions {
  readonly state?: string
  readonly json?: boolean
  readonly by: string
  readonly why: string
}

/** `mafraq day match | unmatched | explain-item | close-item`: a date against its network's statement, and what is left of that. */
export function addMatching(day: Command): void {
  placed(day.command('match'))
    .description(
      "a date four ways: sources, journal, ledger and, with --file, the network's statement item by item; what differs is kept",
    )
    .argument('<destination>')
    .argument('<date>', 'YYYY-MM-DD', businessDate)
    .option('--file <statement>', "the network's statement as CSV (docs/running.md says how)")
    .option('--approvals <codes>', "what its answers say when it has done it; the network's own unless told")
    .option('--by <name>', 'who compares, for the record', personName, 'match')
    .option('--dry-run', 'keep nothing of it')
    .option('--csv', 'what differs, as CSV')
    .action((destination: string, date: string, options: MatchOptions) =>
      runMatch(destination, date, options),
    )
  placed(day.command('unmatched'))
    .description('what matches have left open, and totals that a network did not agree to; the oldest first')
    .argument('[destination]')
    .option('--all', 'what is closed or gone too')
    .action((destination: string | undefined, options: { state?: string; json?: boolean; all?: boolean }) =>
      withJournal({ state: options.state, role: 'readerUrl', as: 'day' }, async (pool) => {
        const wanted = { live: options.all !== true, ...(destination !== undefined && { destination }) }
        const items = await unmatchedItems(pool, wanted)
        process.stdout.write(options.json === true ? asJson(items) : queueText(items, Date.now()))
      }),
    )
  placed(day.command('item'))
    .description('what became of one of them, and by whose word')
    .argument('<number>', 'its number in mafraq day unmatched', itemNumber)
    .action((id: string, options: { state?: string; json?: boolean }) =>
      withJournal({ state: options.state, role: 'readerUrl', as: 'day' }, async (pool) => {
        const events = await unmatchedHistory(pool, id)
        if (events.length === 0) throw new Refused(refusals.unknown)
        const line = ({ at, who, why, status, state }: (typeof events)[number]): string =>
          `${at.toISOString()}  ${status.padEnd(9)} ${state.padEnd(13)} by ${who}, "${why}"\n`
        process.stdout.write(options.json === true ? asJson(events) : events.map(line).join(''))
      }),
    )
  word(
    day,
    'explain-item',
    explainUnmatched,
    'say why an item differs: it pages no more, and stays to be closed',
  )
  word(day, 'close-item', closeUnmatched, 'settle an item that somebody else has explained')
}

/** The date; throws `Refused` where the destination never had it. */
export async function refuseStrangeDate(
  pool: DatabasePool,
  destination: string,
  date: string,
): Promise<DayOnRecord> {
  const days = await businessDayHistory(pool)
  const found = days.find((day) => day.destination === destination && day.date === date)
  if (found !== undefined) return found
  throw new Refused(`${destination} has had no business date ${date}: mafraq day show lists what there was`)
}

async function runMatch(destination: string, date: string, options: MatchOptions): Promise<void> {
  const { by: who, dryRun = false, file, state } = options
  // Before anything is asked: a statement that can't be read compares nothing.
  const statement = file === undefined ? undefined : readStatement(readFileSync(file))
  const approvals = options.approvals?.split(',') ?? (await approvalsOf(destination))
  const isKept = statement !== undefined && !dryRun
  await withJournal({ state, role: isKept ? 'writerUrl' : 'readerUrl', as: 'day' }, async (pool) => {
    const { frozenAt } = await refuseStrangeDate(pool, destination, date)
    const day = { destination, date, approvals }
    const ours = await datedItems(pool, day)
    const journal = journalTotals(ours)
    const books = await ownBooks(pool, day, journal)
    const report = statement && (await matchDate(pool, day, { ours, theirs: statement.items }))
    const network: BookTotal[] | undefined = statement && journalTotals(statement.items)
    const told: MatchTold = {
      ...{ destination, date, journal, books, isFrozen: frozenAt !== null },
      ...(statement && report && network && { statement, report, network }),
    }
    const agrees = toldAgrees(told)
    process.stdout.write(
      options.json === true
        ? asJson({ ...inShort(told), agrees })
        : options.csv === true
          ? asCsv(told)
          : asText(told),
    )
    if (!agrees) process.exitCode = 1
    if (!isKept || report === undefined) return
    const kept = await keepMatch(pool, { destination, date, sha256: statement.sha256, who, agrees, report })
    if (kept === 'tooMany')
      throw new Refused(
        `${report.differing.filter(movesMoney).length} items differ, and more than ${keptMax} are not kept: is it the statement of ${destination} for ${date}?`,
      )
  })
}

/** Without the items that match. */
function inShort({ statement, ...told }: MatchTold): object {
  if (statement === undefined) return told
  const { items, ...file } = statement
  return { ...told, statement: { ...file, items: items.length } }
}

/** What the network's answers say when it has done what it was asked, by its own folder. */
export async function approvalsOf(destination: string): Promise<readonly string[]> {
  const network = (await allNetworks()).find(({ name }) => name.toLowerCase() === destination.toLowerCase())
  return network === undefined ? ['00', '10'] : doneBy(network.rules)
}

const refusals = {
  unknown: 'there is no item of this number: mafraq day unmatched has those that are open',
  over: 'it is over: closed, or gone since a later match',
  unexplained: 'nobody has explained it yet: mafraq day explain-item',
  samePerson: 'who has explained it cannot close it: it needs another person',
} as const

function word(
  day: Command,
  name: string,
  say: (
    pool: DatabasePool,
    word: { readonly id: string; readonly who: string; readonly why: string },
  ) => Promise<'done' | keyof typeof refusals>,
  about: string,
): void {
  byWhomAndWhy(placed(day.command(name)))
    .description(about)
    .argument('<number>', 'its number in mafraq day unmatched', itemNumber)
    .action(async (id: string, { state, json, by: who, why }: WordOptions) => {
      const outcome = await withJournal({ state, role: 'writerUrl', as: 'day' }, (pool) =>
        say(pool, { id, who, why }),
      )
      if (outcome !== 'done') throw new Refused(refusals[outcome])
      process.stdout.write(json === true ? asJson({ outcome }) : 'done\n')
    })
}

function itemNumber(text: string): string {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('An item is a number.')
  return text
}

function placed(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON value')
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one))}\n`
}
