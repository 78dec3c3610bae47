import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { brokerVariable, lazyServer } from './server.ts'

/** A database of the test's own on the run's real PostgreSQL server; its account may do everything there. */
export interface TestDatabase {
  readonly url: string
  /** Ends whatever is still connected, and drops it. */
  readonly close: () => Promise<void>
}

/** A fresh, empty database. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await administer(`CREATE DATABASE ${name} TEMPLATE template0`)
  const url = new URL(await serverUrl())
  url.pathname = `/${name}`
  return {
    url: url.toString(),
    close: () => administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: await serverUrl() })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

let known: Promise<string> | undefined
let own: ReturnType<typeof lazyServer> | undefined

/** Outside a vitest run, which stops its server by itself: a process lives for as long as a server that it started does. */
export async function stopOwnServer(): Promise<void> {
  await own?.stop()
}

function serverUrl(): Promise<string> {
  known ??= askBroker(process.env[brokerVariable])
  return known
}

/** Outside a vitest run there is no broker: then the server is this process's own, and it stops it. */
async function askBroker(broker: string | undefined): Promise<string> {
  if (broker === undefined) return (own ??= lazyServer()).url()
  const answer = await fetch(broker)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}
