import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrate, openClient } from '../../kernel/database.ts'
import type { DatabaseClient } from '../../kernel/database.ts'
import type { Endpoints } from './endpoints.ts'
import type { Postgres } from './postgres.ts'

const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** The rooms with tables, in the order in which they are migrated: the others grant theirs to the books' writer. */
const rooms = [
  { schema: 'ledger', folder: 'ledger/migrations' },
  { schema: 'switch', folder: 'switch/migrations' },
  { schema: 'vault', folder: 'hsm/migrations' },
] as const

/** Who signs in, and which of the rooms' roles it may take: a user for each process. */
const users = {
  writer: { name: 'mafraq_switch', role: 'ledger_writer' },
  reader: { name: 'mafraq_reader', role: 'ledger_reader' },
  vault: { name: 'mafraq_hsm', role: 'mafraq_vault' },
} as const

/** Runs every room's migrations on a database. Returns how many had not run there before. */
async function migrateRooms(databaseUrl: string): Promise<number> {
  let done = 0
  for (const { schema, folder } of rooms) {
    const path = join(projectFolder, folder)
    done += (await migrate({ databaseUrl, schema, folder: path })).length
  }
  return done
}

/**
 * The database `mafraq` on a server of our own, with a user for each process. On a server that was given, the
 * database of its URL is used as it is, and every process signs in as its user.
 */
export async function prepareDatabase(
  postgres: Postgres,
  stateFolder: string,
): Promise<{ readonly urls: Endpoints['database']; readonly migrations: number }> {
  if (postgres.origin === 'given') {
    const { url } = postgres
    const migrations = await migrateRooms(url)
    // Whoever may create a role may give it to himself, but has to (PostgreSQL manual, "Role Attributes").
    await withClient(url, async (client) => {
      for (const { role } of Object.values(users)) await client.query(`GRANT ${role} TO CURRENT_USER`)
    })
    return { urls: { url, vaultUrl: url, writerUrl: url, readerUrl: url }, migrations }
  }
  await withClient(postgres.url, async (client) => {
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = 'mafraq'")
    if (rowCount === 0) await client.query('CREATE DATABASE mafraq')
  })
  const url = withDatabase(postgres.url, 'mafraq')
  const migrations = await migrateRooms(url)
  const passwords = userPasswords(join(stateFolder, 'database-users.json'))
  await withClient(url, (client) => makeUsers(client, passwords))
  const urlOf = (user: keyof typeof users): string => withUser(url, users[user].name, passwords[user])
  return {
    urls: {
      url,
      vaultUrl: urlOf('vault'),
      writerUrl: urlOf('writer'),
      readerUrl: urlOf('reader'),
      ...(postgres.dataFolder === undefined ? {} : { folder: postgres.dataFolder }),
    },
    migrations,
  }
}

/** How many transactions are between their beginning and their end, and how many messages are owed to a network. */
export async function openWork(databaseUrl: string): Promise<number> {
  let open = 0
  await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ open: bigint }>(
      `SELECT (SELECT count(*) FROM switch.transaction WHERE state IN ('intent', 'reversing'))
            + (SELECT count(*) FROM switch.obligation WHERE state = 'due') AS open`,
    )
    open = Number(rows[0]?.open ?? 0n)
  })
  return open
}

type Passwords = Readonly<Record<keyof typeof users, string>>

function userPasswords(file: string): Passwords {
  if (!existsSync(file)) {
    const passwords = Object.fromEntries(
      Object.keys(users).map((user) => [user, randomBytes(24).toString('base64url')]),
    )
    writeFileSync(file, `${JSON.stringify(passwords)}\n`, { mode: 0o600 })
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Passwords
}

async function makeUsers(client: DatabaseClient, passwords: Passwords): Promise<void> {
  for (const [user, { name, role }] of Object.entries(users)) {
    const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name])
    if (rowCount === 0) await client.query(`CREATE ROLE ${name} LOGIN`)
    // Letters, digits, `-` and `_` alone: a password of ours ends no string.
    await client.query(`ALTER ROLE ${name} PASSWORD '${passwords[user as keyof typeof users]}'`)
    await client.query(`GRANT ${role} TO ${name}`)
  }
}

async function withClient(
  databaseUrl: string,
  use: (client: DatabaseClient) => Promise<void>,
): Promise<void> {
  const client = await openClient({ databaseUrl, applicationName: 'mafraq-environment' })
  try {
    await use(client)
  } finally {
    await client.end()
  }
}

function withDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl)
  url.pathname = `/${name}`
  return url.toString()
}

function withUser(databaseUrl: string, user: string, password: string): string {
  const url = new URL(databaseUrl)
  url.username = user
  url.password = password
  return url.toString()
}
