import { Command, InvalidArgumentError } from 'commander'
import type { DatabasePool } from '../../kernel/database.ts'
import { type CurrencyCode, formatMoney } from '../../kernel/money.ts'
import {
  type Act,
  approveOperation,
  askOperation,
  findWaiting,
  listExposures,
  listUnproven,
  listWaiting,
  operationsOn,
  type Waiting,
  type Wanted,
} from '../../switch/switch.ts'
import { withJournal } from './journal.ts'
import { byWhom, byWhomAndWhy } from './people.ts'
import { Refused } from './refused.ts'

/**
 * `mafraq saf`: what is owed and waits for people. One asks, another approves. Who somebody is they say themselves
 * (`--by`): until there are operators with keys, the record is only as good as that.
 */
export function safCommand(): Command {
  const saf = new Command('saf').description(
    'what is owed to networks (store and forward), and what waits for people',
  )
  common(saf.command('list'))
    .description('what is parked; with --due or --late what is owed')
    .option('--late', 'owed for more than a minute')
    .option('--due', 'all that is owed')
    .option('--limit <count>', 'at most so many', count, 100)
    .action(async ({ state, json, ...options }: ListOptions) => {
      const wanted: Wanted = options.due === true ? 'due' : options.late === true ? 'late' : 'parked'
      const rows = await withJournal({ state: state, role: 'readerUrl', as: 'saf' }, (pool) =>
        listWaiting(pool, wanted, options.limit),
      )
      say(json, rows, () => (rows.length === 0 ? `nothing is ${wanted}\n` : rows.map(asText).join('')))
    })
  common(saf.command('show'))
    .description('one of them, and what people did with it')
    .argument('<id>', 'its id, or the first eight characters')
    .action(async (id: string, { state, json }: Common) => {
      const found = await withJournal({ state: state, role: 'readerUrl', as: 'saf' }, async (pool) => {
        const one = await found1(pool, id)
        return { ...one, operations: await operationsOn(pool, one.id) }
      })
      say(json, found, () =>
        [
          asText(found),
          ...found.operations.map(
            ({ id: number, at, kind, act, who, why, before, after }) =>
              `  ${at.toISOString()}  ${kind === 'asked' ? `asked ${number}` : 'approved'}: ${act} by ${who}, "${why}"` +
              `  ${String(before['state'])} -> ${String(after['state'])}\n`,
          ),
        ].join(''),
      )
    })
  for (const [name, act, about] of acts) {
    byWhomAndWhy(common(saf.command(name)))
      .description(about)
      .argument('<id>', 'its id, or the first eight characters')
      .action(async (id: string, { state, json, why, by: who }: ActOptions) => {
        const answer = await withJournal({ state: state, role: 'writerUrl', as: 'saf' }, async (pool) => {
          const { id: obligationId } = await found1(pool, id)
          return askOperation(pool, { obligationId, act, who, why })
        })
        if (answer.outcome !== 'asked') fail(`it is not parked: there is nothing to decide`)
        say(
          json,
          answer,
          () =>
            `asked as operation ${answer.operation ?? ''}; somebody else approves: mafraq saf approve ${answer.operation ?? ''} --by NAME\n`,
        )
      })
  }
  byWhom(common(saf.command('approve')))
    .description('agree to what somebody else has asked for; then it is done')
    .argument('<operation>', 'the number of what was asked', operationNumber)
    .option('--why <reason>', 'why, for the record', 'agreed')
    .action(async (operation: string, { state, json, why, by: who }: ActOptions) => {
      const outcome = await withJournal({ state: state, role: 'writerUrl', as: 'saf' }, (pool) =>
        approveOperation(pool, { operation, who, why }),
      )
      if (outcome !== 'done') fail(refusals[outcome])
      say(json, { outcome }, () => 'done; the switch goes on with it at its next sweep\n')
    })
  return saf
}

/** `mafraq unproven`: approvals of which nobody knows whether they arrived. */
export function unprovenCommand(): Command {
  return common(new Command('unproven'))
    .description('approvals of which nobody knows whether their source has them')
    .option('--limit <count>', 'at most so many', count, 100)
    .action(async ({ state, json, limit }: ListOptions) => {
      const rows = await withJournal({ state: state, role: 'readerUrl', as: 'saf' }, (pool) =>
        listUnproven(pool, limit),
      )
      say(json, rows, () =>
        rows.length === 0
          ? 'every approval is known to have arrived\n'
          : rows
              .map(
                (one) =>
                  `${one.receivedAt.toISOString()}  RRN ${one.rrn}  ${one.source} ${one.terminal.trim()}  ${one.cardMask}  ${money(one.amountMinor, one.currency)}\n`,
              )
              .join(''),
      )
    })
}

/** `mafraq exposures`: what was approved in issuers' places and is not acknowledged by them. */
export function exposuresCommand(): Command {
  return common(new Command('exposures'))
    .description("approvals in issuers' places that the issuer has not acknowledged")
    .option('--limit <count>', 'at most so many', count, 100)
    .action(async ({ state, json, limit }: ListOptions) => {
      const rows = await withJournal({ state: state, role: 'readerUrl', as: 'saf' }, (pool) =>
        listExposures(pool, limit),
      )
      say(json, rows, () =>
        rows.length === 0
          ? "nothing is at risk: every approval in an issuer's place is acknowledged\n"
          : rows
              .map(
                (one) =>
                  `${one.at.toISOString()}  RRN ${one.rrn}  ${one.cardMask}  ${money(one.amountMinor, one.currency)}  rule ${one.rule}  advice ${one.advice}\n`,
              )
              .join(''),
      )
    })
}

const acts: readonly (readonly [string, Act, string])[] = [
  ['resend', 'resend', 'ask to send it again, as a repeat under its number'],
  ['resend-as-original', 'resendAsOriginal', 'ask to send it as if for the first time, under a new number'],
  ['close', 'close', 'ask to close it without the network: settled in another way'],
]

const refusals = {
  samePerson: 'who has asked for it cannot approve it: it needs another person',
  movedOn: 'it is not as it was when this was asked: ask again',
  unknown: 'nobody has asked for an operation of this number: mafraq saf list has those that wait',
} as const

interface Common {
  readonly state?: string
  readonly json?: boolean
}

interface ListOptions extends Common {
  readonly late?: boolean
  readonly due?: boolean
  readonly limit: number
}

interface ActOptions extends Common {
  readonly why: string
  readonly by: string
}

function common(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON value')
}

async function found1(pool: DatabasePool, id: string): Promise<Waiting> {
  return (
    (await findWaiting(pool, id)) ??
    fail(
      `not one thing, or more than one, has the id ${id}: mafraq saf list, with --due what is on its way, has the ids`,
    )
  )
}

function fail(what: string): never {
  throw new Refused(what)
}

function operationNumber(text: string): string {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('An operation is a number.')
  return text
}

function count(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('a number of at most five digits')
  return Number(text)
}

function say(json: boolean | undefined, value: unknown, text: () => string): void {
  const asJson = (): string =>
    `${JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one))}\n`
  process.stdout.write(json === true ? asJson() : text())
}

function asText(one: Waiting): string {
  const amount = one.amountMinor === null || one.currency === null ? '' : money(one.amountMinor, one.currency)
  const said = one.responseCode ?? one.lastCause
  return [
    `${one.id}  ${one.kind} to ${one.destination}  ${one.state}  RRN ${one.rrn ?? ''}  ${one.cardMask ?? ''}  ${amount}\n`,
    `  since ${one.dueAt.toISOString()}  because of ${one.cause}  attempts ${one.attempts}${said === null ? '' : `  the network said ${said}`}\n`,
    ...one.asked.map(
      ({ operation, act, who, why }) =>
        `  operation ${operation} waits for approval: ${act}, asked by ${who}, "${why}"\n`,
    ),
  ].join('')
}

function money(amountMinor: bigint, currency: string): string {
  return formatMoney({ amountMinor, currency: currency as CurrencyCode })
}
