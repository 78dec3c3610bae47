import { Command } from 'commander'
import { currencyOfNumeric, currencies, type CurrencyCode } from '../../kernel/money.ts'
import { mistakeText, readRules, type Route, type RouteQuestion } from '../../switch/switch.ts'
import { stateFolderOf } from '../environment/endpoints.ts'
import { knownToRules, readRuleTexts, ruledConfiguration } from '../environment/rules.ts'

interface Asked {
  readonly state?: string
  readonly pan?: string
  readonly bin?: string
  readonly kind: RouteQuestion['kind']
  readonly currency: string
  readonly amount: string
  readonly source: string
  readonly mcc?: string
  readonly rules?: string
}

/** `mafraq explain-route`: where a card would go by the files of the running switch, and why. Nothing is sent. */
export function explainRouteCommand(): Command {
  return new Command('explain-route')
    .description('where a card would go, and why each row of the table fits or does not; nothing is sent')
    .option('--pan <number>', 'a card number; it is shown masked')
    .option('--bin <digits>', 'its leading digits')
    .option('--kind <kind>', 'what is asked for', 'purchase')
    .option('--currency <code>', 'ISO 4217, as letters or digits', 'KWD')
    .option('--amount <minor>', 'minor units', '1000')
    .option('--source <name>', 'who asks', 'acq1')
    .option('--mcc <code>', 'merchant type')
    .option(
      '--rules <folder>',
      "a folder of rules in the place of the running switch's, to try before a reload",
    )
    .option('--state <folder>', 'the state folder of the running system')
    .action(async (asked: Asked) => {
      const digits = asked.pan ?? asked.bin
      if (digits === undefined || !/^\d{1,19}$/.test(digits)) throw new Error('--pan or --bin, in digits')
      const config = ruledConfiguration(stateFolderOf(asked.state))
      const read = readRules(readRuleTexts(asked.rules ?? config.rules), await knownToRules(config))
      if (read.kind === 'refused')
        throw new Error(`the rules are not sound:\n${read.mistakes.map(mistakeText).join('\n')}`)
      const table = read.rules.routes
      const question = questionOf(asked, digits)
      const routed = table.route(question)
      const masked = digits.length > 10 ? `${digits.slice(0, 6)}…${digits.slice(-4)}` : digits
      process.stdout.write(
        [
          `card ${masked}  ${question.kind}  ${question.amountMinor} ${question.currency}  from ${question.source}`,
          ...table.explain(question).map(({ row, why }) => `${rowText(row)}  ${why ?? 'fits'}`),
          routed.kind === 'targets'
            ? `goes to ${routed.targets.join(', else ')}`
            : routed.kind === 'invalidCard'
              ? 'declined 14: no card has that number'
              : 'declined 15: no row is for it',
          '',
        ].join('\n'),
      )
      if (routed.kind !== 'targets') process.exitCode = 1
    })
}

function questionOf(asked: Asked, digits: string): RouteQuestion {
  const { kind, source, mcc } = asked
  const currency = asked.currency in currencies ? asked.currency : currencyOfNumeric(asked.currency)
  if (currency === undefined) throw new Error('no such currency')
  return {
    ...{ pan: digits, token: digits, kind, source },
    ...{ processingCode: '000000', entryMode: '051', conditionCode: '00' },
    ...(mcc === undefined ? {} : { merchantType: mcc }),
    currency: currency as CurrencyCode,
    amountMinor: BigInt(asked.amount),
  }
}

function rowText({ low, high, priority = 0, strategy }: Route): string {
  const range = low === high ? low : `${low} to ${high}`
  return `${range.padEnd(24)} priority ${priority}  ${strategy.kind}`
}
