import { Command, InvalidArgumentError, Option } from 'commander'
import { currencyOfNumeric, currencies, type CurrencyCode } from '../../kernel/money.ts'
import { kinds, mistakeText, readRules, type Route, type RouteQuestion } from '../../switch/switch.ts'
import { stateFolderOf } from '../environment/endpoints.ts'
import { knownToRules, readRuleTexts, ruledConfiguration } from '../environment/rules.ts'

interface Asked {
  readonly state?: string
  readonly pan?: string
  readonly bin?: string
  readonly kind: RouteQuestion['kind']
  readonly currency: CurrencyCode
  readonly amount: bigint
  readonly source: string
  readonly mcc?: string
  readonly rules?: string
}

/** `mafraq explain-route`: where a card would go by the files of the running switch, and why. Nothing is sent. */
export function explainRouteCommand(): Command {
  return new Command('explain-route')
    .description('where a card would go, and why each row of the table fits or does not; nothing is sent')
    .option('--pan <number>', 'a card number; it is shown masked', digits)
    .option('--bin <digits>', 'its leading digits', digits)
    .addOption(
      new Option('--kind <kind>', 'what is asked for').choices(Object.keys(kinds)).default('purchase'),
    )
    .option('--currency <code>', 'ISO 4217, as letters or digits', currencyOf, 'KWD')
    .option('--amount <minor>', 'minor units: 1000 is KWD 1.000', minorUnits, 1_000n)
    .option('--source <name>', 'who asks', 'acq1')
    .option('--mcc <code>', 'merchant type')
    .option(
      '--rules <folder>',
      "a folder of rules in the place of the running switch's, to try before a reload",
    )
    .option('--state <folder>', 'the state folder of the running system')
    .action(async (asked: Asked, command: Command) => {
      const number = asked.pan ?? asked.bin
      if (number === undefined) command.error('error: --pan or --bin says which card', { exitCode: 2 })
      const config = ruledConfiguration(stateFolderOf(asked.state))
      const known = await knownToRules(config)
      if (!known.sources.has(asked.source)) {
        const sources = [...known.sources.keys()].join(', ')
        command.error(`error: no source is called ${asked.source}; there are: ${sources}`, { exitCode: 2 })
      }
      const read = readRules(readRuleTexts(asked.rules ?? config.rules), known)
      if (read.kind === 'refused')
        throw new Error(`the rules are not sound:\n${read.mistakes.map(mistakeText).join('\n')}`)
      const table = read.rules.routes
      const question = questionOf(asked, number)
      const routed = table.route(question)
      const masked = number.length > 10 ? `${number.slice(0, 6)}…${number.slice(-4)}` : number
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

function questionOf(asked: Asked, pan: string): RouteQuestion {
  const { amount: amountMinor, currency, kind, source, mcc } = asked
  return {
    ...{ pan, token: pan, kind, source },
    ...{ processingCode: '000000', entryMode: '051', conditionCode: '00' },
    ...(mcc === undefined ? {} : { merchantType: mcc }),
    ...{ currency, amountMinor },
  }
}

function digits(text: string): string {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidArgumentError('1 to 19 digits are needed.')
  return text
}

function minorUnits(text: string): bigint {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('A whole number of minor units is needed.')
  return BigInt(text)
}

function currencyOf(text: string): CurrencyCode {
  const currency = text in currencies ? text : currencyOfNumeric(text)
  if (currency === undefined)
    throw new InvalidArgumentError('It is no currency of ISO 4217 that is known here.')
  return currency as CurrencyCode
}

function rowText({ low, high, priority = 0, strategy }: Route): string {
  const range = low === high ? low : `${low} to ${high}`
  return `${range.padEnd(24)} priority ${priority}  ${strategy.kind}`
}
