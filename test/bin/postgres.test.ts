import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { startPostgres } from '../../bin/environment/postgres.ts'
import { openTestDatabase } from '../support/postgres.ts'
import { enterableFolder } from '../support/server.ts'

const folder = enterableFolder()
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('each test database is empty, its own, and gone after close', async () => {
  const [one, other] = await Promise.all([openTestDatabase(), openTestDatabase()])
  await query(one.url, 'CREATE TABLE kept (id int)')
  await expect(query(other.url, 'SELECT * FROM kept')).rejects.toThrow('does not exist')
  await Promise.all([one.close(), other.close()])
  await expect(query(one.url, 'SELECT 1')).rejects.toThrow('does not exist')
})

test('what was committed survives a kill -9 of the server, on the same port', async () => {
  const server = await startPostgres({ folder: join(folder, 'pg'), logFile: join(folder, 'postgres.log') })
  try {
    await query(server.url, 'CREATE TABLE kept (id int)')
    await query(server.url, 'INSERT INTO kept VALUES (7)')
    const before = server.pid()
    await server.kill()
    await expect(query(server.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
    await server.start()
    expect(server.pid()).not.toBe(before)
    expect(await query(server.url, 'SELECT id FROM kept')).toEqual([{ id: 7 }])
  } finally {
    await server.stop()
  }
})

test('a server lost without our doing is told to whoever listens', async () => {
  const server = await startPostgres({ folder: join(folder, 'lost'), logFile: join(folder, 'lost.log') })
  const lost = new Promise((resolve) => server.onLost(resolve))
  process.kill(server.pid()!, 'SIGKILL')
  await lost
  expect(server.pid()).toBeUndefined()
})

test('the server writes durably, listens on loopback only, and wants a password', async () => {
  const server = await startPostgres({ folder: join(folder, 'set'), logFile: join(folder, 'set.log') })
  try {
    const settings = await query(
      server.url,
      `SELECT name, setting FROM pg_settings WHERE name IN
         ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums', 'listen_addresses', 'max_connections')
       ORDER BY name`,
    )
    expect(Object.fromEntries(settings.map((row) => [row['name'], row['setting']]))).toEqual({
      data_checksums: 'on',
      fsync: 'on',
      full_page_writes: 'on',
      listen_addresses: '127.0.0.1',
      max_connections: '100',
      synchronous_commit: 'on',
    })
    const wrong = new URL(server.url)
    wrong.password = 'guess'
    await expect(query(wrong.toString(), 'SELECT 1')).rejects.toThrow('password authentication failed')
    expect(statSync(join(folder, 'set', 'password')).mode & 0o077).toBe(0)
  } finally {
    await server.stop()
  }
})

test('root hands the server to another account', async (context) => {
  if (process.getuid?.() !== 0) context.skip('not root here')
  const server = await startPostgres({ folder: join(folder, 'owner'), logFile: join(folder, 'owner.log') })
  try {
    const [, uid] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid()}/status`, 'utf8')) ?? []
    expect(Number(uid)).toBeGreaterThan(0)
  } finally {
    await server.stop()
  }
})

test('a state folder that the server cannot enter still leads to its data', async (context) => {
  if (process.getuid?.() !== 0) context.skip('not root here')
  const closed = mkdtempSync(join(folder, 'closed-'))
  const server = await startPostgres({ folder: join(closed, 'pg'), logFile: join(closed, 'postgres.log') })
  try {
    expect(server.dataFolder!.startsWith(closed)).toBe(false)
    expect(readdirSync(join(closed, 'pg', 'data'))).toContain('pg_wal')
  } finally {
    await server.stop()
    rmSync(join(server.dataFolder!, '..'), { recursive: true, force: true })
  }
})

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}
