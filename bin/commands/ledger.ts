import { Command } from 'commander'
import { anchorKey, businessDate, countOf, endOf, startOf, version } from './ledger-arguments.ts'
import type { Where } from './ledger-books.ts'
import { checking, closeBooks, closeDate, rebuild, verify } from './ledger-checks.ts'
import type { Closing, Verifying } from './ledger-checks.ts'
import {
  balanceTable,
  historyTable,
  holdsTable,
  periodsTable,
  postingTable,
  report,
  statementTable,
  trialBalanceTable,
  versionTable,
} from './ledger-reports.ts'
import { byWhomAndWhy } from './people.ts'
import type { Shown } from './ledger-reports.ts'

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
  byWhomAndWhy(placed(command.command('close-date')))
    .description(
      'end a business date of a network: its balances become due in settlement, nothing reaches it again',
    )
    .argument('<network>')
    .argument('<date>', 'YYYY-MM-DD, in Kuwait', businessDate)
    .option('--json', 'one JSON object')
    .action((network: string, date: string, where: Closing) =>
      checking(where.json === true, () => closeDate(where, network, date)),
    )
  byWhomAndWhy(placed(command.command('close-period')))
    .description(
      'close all books up to a date, once each network has closed its dates: nothing counts for it any more',
    )
    .argument('<date>', 'YYYY-MM-DD, in Kuwait', businessDate)
    .option('--json', 'one JSON object')
    .action((date: string, where: Closing) => checking(where.json === true, () => closeBooks(where, date)))
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
