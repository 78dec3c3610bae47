import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startPostgres } from '../../bin/environment/postgres.ts'
import { enterableFolder } from '../support/server.ts'
import { killDrill } from './drill.ts'

const given = process.env['DATABASE_URL'] !== undefined

test.skipIf(given)(
  'of what was acknowledged before PostgreSQL or a writer was killed, 20 times, nothing is lost or doubled',
  async () => {
    const folder = enterableFolder()
    const postgres = await startPostgres({
      folder: join(folder, 'pg'),
      logFile: join(folder, 'postgres.log'),
    })
    const result = await killDrill({ postgres, folder, kills: 20, seed: 1 })
    await postgres.stop()
    expect(result).toMatchObject({ lost: 0, doubled: 0, otherAnswer: 0, books: 'ok' })
    expect(Object.values(result.kills)).toEqual([5, 5, 5, 5])
    expect(result.acknowledged).toBeGreaterThan(20 * 40)
    rmSync(folder, { recursive: true, force: true })
  },
  600_000,
)
