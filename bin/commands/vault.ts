import { Command } from 'commander'
import { readKeyFile } from '../../hsm/keys.ts'
import { objectsOf } from '../../hsm/objects.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { cardsUnderOldKeys, rewrapVault, vaultRows } from '../../hsm/rewrap.ts'
import type { VaultRows } from '../../hsm/rewrap.ts'
import type { Token } from '../../hsm/token.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { openClient } from '../../kernel/database.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import type { Endpoints } from '../environment/endpoints.ts'
import { byWhom } from './people.ts'

/** `mafraq vault`: how many cards are under which key, and new keys for them while the switch runs. */
export function vaultCommand(): Command {
  const vault = new Command('vault').description('the vault of card numbers')
  vault
    .command('status')
    .description('cards by data key')
    .option('--state <folder>', 'the state folder of the system')
    .option('--json', 'one JSON object')
    .action(async ({ state, json }: { state?: string; json?: true }) => {
      const { database } = readEndpoints(stateFolderOf(state))
      const client = await openClient({ databaseUrl: database.url, applicationName: 'mafraq-vault' })
      try {
        const rows = (await vaultRows(client)).map((row) => ({ ...row, cards: Number(row.cards) }))
        const old = [...(await cardsUnderOldKeys(client))].map(([label, cards]) => ({ label, cards }))
        if (json === true) console.log(JSON.stringify({ dataKeys: rows, underOldKeys: old }))
        else showRows(rows, old)
      } finally {
        await client.end()
      }
    })
  byWhom(vault.command('rewrap'))
    .description('seal every card again under a new data key')
    .option('--state <folder>', 'the state folder of the system')
    .option('--resume', 'finish one that was stopped')
    .option('--batch <n>', 'cards in one transaction', '200')
    .action(async ({ state, ...options }: { state?: string } & RewrapOptions) => {
      process.exitCode = await rewrap(readEndpoints(stateFolderOf(state)), options)
    })
  vault
    .command('access')
    .description('who looked up the number behind a token')
    .argument('<token>', 'tok_...')
    .option('--state <folder>', 'the state folder of the system')
    .option('--json', 'one JSON object')
    .action(async (token: string, { state, json }: { state?: string; json?: true }) => {
      await access(readEndpoints(stateFolderOf(state)), { token, json: json === true })
    })
  return vault
}

interface RewrapOptions {
  readonly by: string
  readonly batch: string
  readonly resume?: true
}

function showRows(
  rows: readonly (Omit<VaultRows, 'cards'> & { readonly cards: number })[],
  old: readonly { readonly label: string; readonly cards: number }[],
): void {
  for (const row of rows) console.log(`data key ${row.dataKey}  ${row.state}  ${row.kek}  ${row.cards} cards`)
  for (const { label, cards } of old) console.log(`under ${label}, which is not active: ${cards} cards`)
  if (old.length === 0) console.log('under keys that are not active: 0 cards')
}

async function access(
  { database }: Endpoints,
  { token, json }: { readonly token: string; readonly json: boolean },
): Promise<void> {
  const client = await openClient({ databaseUrl: database.url, applicationName: 'mafraq-vault' })
  try {
    const { rows } = await client.query<{ actor: string; found: boolean; at: Date }>(
      'SELECT actor, found, at FROM vault.access WHERE token = $1 ORDER BY at, id',
      [token],
    )
    if (json) console.log(JSON.stringify({ token, access: rows }))
    else
      for (const row of rows)
        console.log(`${row.at.toISOString()}  ${row.actor}${row.found ? '' : '  no such token'}`)
    if (!json) console.log(`${rows.length} look-ups`)
  } finally {
    await client.end()
  }
}

/** 0 when no card is left under another key, 2 for a batch that is none. */
async function rewrap(endpoints: Endpoints, options: RewrapOptions): Promise<number> {
  const batch = Number(options.batch)
  if (!Number.isInteger(batch) || batch < 1 || batch > 10_000) return 2
  const token = await openToken(endpoints)
  const database = await openClient({ databaseUrl: endpoints.database.url, applicationName: 'mafraq-vault' })
  try {
    const done = await rewrapVault({
      ...{ token, database, batch, actor: options.by, resume: options.resume === true },
      progress: (progress) => console.error(`${progress.done} done, ${progress.left} left`),
    })
    const old = await cardsUnderOldKeys(database)
    for (const [label, cards] of old) console.log(`under ${label}, which is not active: ${cards} cards`)
    console.log(`${done} cards are under the new key, 0 under others`)
    console.log(old.size === 0 ? 'RESULT ok' : 'RESULT cards are left under old keys')
    return old.size === 0 ? 0 : 1
  } finally {
    await database.end()
    token.close()
  }
}

async function openToken({ hsm, keyFile }: Endpoints): Promise<Token> {
  if (hsm.driver === 'twin') return openTwin(readKeyFile(keyFile).flatMap(objectsOf))
  if (hsm.softhsmConf !== undefined) process.env['SOFTHSM2_CONF'] = hsm.softhsmConf
  return openPkcs11Token(hsm)
}
