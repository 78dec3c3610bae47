import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../bin/environment/postgres.ts'
import type { Postgres } from '../../bin/environment/postgres.ts'

/** Where a test worker asks for the URL of the run's server. */
export const brokerVariable = 'MAFRAQ_TEST_POSTGRES'

/**
 * vitest runs this once, around all test files. One PostgreSQL server serves the whole run, and is started when the
 * first test asks for it: a run of the codec's tests alone pays nothing.
 */
export default async function aroundTheRun(): Promise<() => Promise<void>> {
  const server = lazyServer()
  const secret = randomBytes(16).toString('hex')
  const broker = createServer((request, response) => {
    if (request.url !== `/${secret}`) {
      response.writeHead(404).end()
      return
    }
    server.url().then(
      (url) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => broker.listen({ host: '127.0.0.1', port: 0 }, resolve))
  process.env[brokerVariable] = `http://127.0.0.1:${(broker.address() as AddressInfo).port}/${secret}`
  return async () => {
    broker.close()
    await server.stop()
  }
}

/** A server in a throw-away folder, started by the first `url()`. */
export function lazyServer(): { url(): Promise<string>; stop(): Promise<void> } {
  let starting: Promise<Postgres> | undefined
  let folder: string | undefined
  return {
    async url() {
      folder ??= enterableFolder()
      starting ??= startPostgres({
        folder: join(folder, 'pg'),
        logFile: join(folder, 'postgres.log'),
        databaseUrl: process.env['DATABASE_URL'],
      })
      return (await starting).url
    },
    async stop() {
      await (await starting)?.stop()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A temporary folder that the server's own account may walk through; without that its data would go elsewhere. */
export function enterableFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-test-'))
  chmodSync(folder, 0o711)
  return folder
}
