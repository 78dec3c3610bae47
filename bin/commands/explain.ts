import { Command } from 'commander'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { type CurrencyCode, formatMoney } from '../../kernel/money.ts'
import { type Life, postingReferences, transactionLife } from '../../switch/switch.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

/** `mafraq explain RRN`: the whole life of a transaction, in order, with nothing of the card but its mask. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('the whole life of a transaction')
    .argument('<rrn>', 'its retrieval reference number (DE37), or its id')
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
    .action(async (name: string, { state, json }: { state?: string; json?: boolean }) => {
      const { database } = readEndpoints(stateFolderOf(state))
      const pool = openPool({
        databaseUrl: database.readerUrl,
        applicationName: 'mafraq-explain',
        connectionsMax: 2,
      })
      try {
        const lives = await transactionLife(pool, name)
        const told = await Promise.all(
          lives.map(async (life) => ({ ...life, entries: await entriesOf(pool, life) })),
        )
        process.stdout.write(json === true ? `${asJson(told)}\n` : told.map(asText).join('\n'))
        if (lives.length > 0) return
        process.stderr.write(`no transaction has the RRN or id ${name}\n`)
        process.exitCode = 1
      } finally {
        await pool.end()
      }
    })
}

interface EntryLine {
  readonly recordedAt: Date
  readonly reference: string
  readonly kind: string
  readonly account: string
  readonly currency: string
  readonly amount: bigint
}

type Told = Life & { readonly entries: readonly EntryLine[] }

async function entriesOf(pool: DatabasePool, { id, events }: Life): Promise<EntryLine[]> {
  const { rows } = await pool.query<EntryLine>(
    `SELECT p.recorded_at AS "recordedAt", p.reference, p.kind, a.path AS account, e.currency, e.amount
       FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
      WHERE p.reference = ANY($1)
         -- The books' sweep names the end of what was set aside after the posting that set it aside.
         OR (p.kind = 'expire' AND p.hold_id = (SELECT id FROM ledger.posting WHERE reference = $2))
      ORDER BY p.id, e.seq`,
    [postingReferences(id, events.length), `${id}:hold`],
  )
  return rows
}

function asJson(told: readonly Told[]): string {
  return JSON.stringify({ transactions: told }, (_name, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
}

function asText(life: Told): string {
  const startedAt = life.receivedAt.getTime()
  const after = (at: Date): string => `+${String(at.getTime() - startedAt)} ms`.padStart(11)
  const amount = money(life.amountMinor, life.currency)
  const part =
    life.approvedMinor === null ? '' : `, of which ${money(life.approvedMinor, life.currency)} was approved`
  const left =
    life.actualMinor === null ? '' : `, partly reversed to ${money(life.actualMinor, life.currency)}`
  const answer =
    life.responseCode === null
      ? 'no answer'
      : `answer ${life.responseCode}${life.authId === null ? '' : ` authorization ${life.authId}`}`
  const lines = [
    `RRN ${life.rrn}  terminal ${life.terminal.trim()}  card ${life.card}  ${amount}  ${life.kind ?? ''}${part}${left}`,
    `id ${life.id}  from ${life.source}  business date ${life.businessDate}${life.rules === null ? '' : `  rules ${life.rules}`}`,
    ...(life.standIn === null ? [] : [`approved in the issuer's place, by the rule for ${life.standIn}`]),
    `${life.state.toUpperCase()}  ${answer}  ${deliveryOf(life)}reversal ${life.reversal}`,
    ...completionOf(life),
    `received ${life.receivedAt.toISOString()}, approvable until ${after(life.approvableUntil).trim()}`,
    '',
    ...life.legs.map(
      (leg) =>
        `leg to ${leg['destination'] ?? ''}  STAN ${leg['stan'] ?? ''}  DE7 ${leg['transmitted_at'] ?? ''}  ${leg['state'] ?? ''}` +
        (leg['response_code'] === null ? '' : `  answered ${leg['response_code'] ?? ''}`),
    ),
    ...life.events.flatMap((event) => {
      const { state, sent, message, ...rest } = event.detail
      const figures = Object.entries(rest).map(([name, value]) => `${name} ${value}`)
      return [
        `${after(event.at)}  ${event.kind.padEnd(16)} -> ${String(state).padEnd(10)} ${[event.cause, ...figures].filter(Boolean).join('  ')}`,
        ...(sent === undefined ? [] : [`${' '.repeat(13)}out ${String(sent)}`]),
        ...(message === undefined ? [] : [`${' '.repeat(13)}in  ${String(message)}`]),
      ]
    }),
    ...life.obligations.map((owed) => {
      const { kind, destination, cause, state, attempts, stan, response_code } = owed as Record<
        string,
        string | null
      >
      const { actual_minor: left, advice } = owed as {
        readonly actual_minor: bigint | null
        readonly advice: { readonly amountMinor: string } | null
      }
      const down = left === null ? '' : ` down to ${money(left, life.currency)}`
      const of = advice === null ? '' : ` of ${money(BigInt(advice.amountMinor), life.currency)}`
      const what = `${kind ?? ''}${down}${of}`
      return `owed to ${destination ?? ''}: ${what} (${cause ?? ''})  ${state ?? ''}  attempts ${String(attempts)}${stan === null ? '' : `  STAN ${stan ?? ''}`}${response_code === null ? '' : `  answered ${response_code ?? ''}`}`
    }),
    ...life.entries.map((entry) => {
      const side = entry.amount > 0n ? 'debit ' : 'credit'
      const size = entry.amount > 0n ? entry.amount : -entry.amount
      return `${after(entry.recordedAt)}  ${entry.kind.padEnd(8)} ${side} ${entry.account.padEnd(36)} ${money(size, entry.currency)}`
    }),
    '',
  ]
  return lines.join('\n')
}

/** What was taken of what was set aside, and why somebody should look at it. */
function completionOf({ completedMinor, currency, flag, advice }: Life): string[] {
  const taken =
    completedMinor === null
      ? []
      : [`completed with ${money(completedMinor, currency)}  advice to the issuer ${advice}`]
  return flag === null ? taken : [...taken, `FLAGGED ${flags[flag] ?? flag}`]
}

const flags: Readonly<Record<string, string>> = {
  overTolerance: 'the completion took more than was set aside and its trade may take: a forced post',
  afterExpiry: 'the completion came after the authorization had expired: a forced post',
  unknownAuthorization: 'a completion of no authorization that we know: a forced post',
  voidAfterCutover: 'cancelled by the customer after the cutover of its day',
}

/** Evidence is kept for approvals alone: whether a decline arrived changes nothing. */
function deliveryOf({ delivery }: Life): string {
  return delivery === 'none' ? '' : `${delivery}  `
}

function money(amountMinor: bigint, currency: string): string {
  return currency === '' ? '' : formatMoney({ amountMinor, currency: currency as CurrencyCode })
}
