import { Command } from 'commander'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { type Life, postingReferences, transactionFamily } from '../../switch/switch.ts'
import { type EntryLine, storyOf, type ToldLife } from '../explain/story.ts'
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
        const told = await tellFamily(pool, name)
        const text = told.map((life) => storyOf(life, told)).join('\n')
        process.stdout.write(json === true ? `${asJson(told)}\n` : text)
        if (told.length > 0) return
        process.stderr.write(nobodysName(name))
        process.exitCode = 1
      } finally {
        await pool.end()
      }
    })
}

/** What was never on record can't be told; but why a request may not be there can. */
function nobodysName(name: string): string {
  return [
    `no transaction and no reversal has the RRN or id ${name}`,
    'A request is not on record where it was refused before it could be: unreadable (30), its seal wrong (63), too many at',
    'once or the database away (91). Nothing was sent and nothing is owed for it. What was refused is counted by source and',
    'reason in switch_refused_total; a reversal that comes for it is on record under its RRN.',
    '',
  ].join('\n')
}

/** Everything with that name, and what it is about or is about it: an authorization's raises, a payment's refunds. */
export async function tellFamily(pool: DatabasePool, name: string): Promise<ToldLife[]> {
  const lives = await transactionFamily(pool, name)
  return Promise.all(lives.map(async (life) => ({ ...life, entries: await entriesOf(pool, life) })))
}

async function entriesOf(pool: DatabasePool, { id, events }: Life): Promise<EntryLine[]> {
  const { rows } = await pool.query<EntryLine>(
    `SELECT p.recorded_at AS "recordedAt", p.reference, p.kind, a.path AS account, e.layer = 1 AS "isPending", e.currency, e.amount
       FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
      WHERE p.reference = ANY($1)
         -- The books' sweep names the end of what was set aside after the posting that set it aside.
         OR (p.kind = 'expire' AND p.hold_id = (SELECT id FROM ledger.posting WHERE reference = $2))
      ORDER BY p.id, e.seq`,
    [postingReferences(id, events.length), `${id}:hold`],
  )
  return rows
}

function asJson(told: readonly ToldLife[]): string {
  return JSON.stringify({ transactions: told }, (_name, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
}
