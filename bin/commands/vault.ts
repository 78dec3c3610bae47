import { Command } from 'commander'
import { readKeyFile } from '../../hsm/keys.ts'
import { objectsOf } from '../../hsm/objects.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { rewrapVault, vaultRows } from '../../hsm/rewrap.ts'
import type { Token } from '../../hsm/token.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { openClient } from '../../kernel/database.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import type { Endpoints } from '../environment/endpoints.ts'

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
        if (json === true) console.log(JSON.stringify({ dataKeys: rows }))
        else
          for (const row of rows)
            console.log(`data key ${row.dataKey}  ${row.state}  ${row.kek}  ${row.cards} cards`)
      } finally {
        await client.end()
      }
    })
  vault
    .command('rewrap')
    .description('seal every card again under a new data key')
    .option('--state <folder>', 'the state folder of the system')
    .option('--resume', 'finish one that was stopped')
    .action(async ({ state, resume }: { state?: string; resume?: true }) => {
      await rewrap(readEndpoints(stateFolderOf(state)), resume === true)
    })
  return vault
}

async function rewrap(endpoints: Endpoints, resume: boolean): Promise<void> {
  const token = await openToken(endpoints)
  const database = await openClient({ databaseUrl: endpoints.database.url, applicationName: 'mafraq-vault' })
  try {
    const done = await rewrapVault({
      ...{ token, database, resume },
      progress: (progress) => console.error(`${progress.done} done, ${progress.left} left`),
    })
    console.log(`${done} cards are under the new key, 0 under others`)
    console.log('RESULT ok')
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
