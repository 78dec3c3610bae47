import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))
const pack = fileURLToPath(new URL('../../scenarios/iso87-ascii-hex.yaml', import.meta.url))

interface Ran {
  readonly code: unknown
  readonly told: string
}

function mafraq(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, _out, told) =>
      resolve({ code: error?.code ?? 0, told }),
    )
  })
}

test('who asks a system that is stopped hears so at once, and which folder nothing was started in', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-stopped-'))
  try {
    // Nobody listens on port 1 of this machine.
    const nobody = { host: '127.0.0.1', port: 1 }
    const url = 'postgres://nobody@127.0.0.1:1/mafraq'
    const endpoints = {
      version: 1,
      database: { url, readerUrl: url, writerUrl: url, vaultUrl: url },
      switch: { iso8583: nobody, http: nobody },
      terminals: { control: nobody },
      networks: {},
    }
    const commands = [
      ['explain', '123456789012'],
      ['simulate', 'run', pack],
      ['status'],
      ['traffic', 'status'],
    ]
    const ask = (...more: string[]): Promise<Ran[]> =>
      Promise.all(commands.map((command) => mafraq(...command, ...more)))
    const nothing = await ask('--state', folder)
    for (const one of nothing) expect(one).toEqual({ code: 3, told: expect.stringContaining(folder) })
    writeFileSync(join(folder, 'endpoints.json'), JSON.stringify(endpoints))
    const silent = 'mafraq: nothing answers at 127.0.0.1:1: the system is stopped, or not up yet\n'
    expect(await ask('--state', folder)).toEqual([
      { code: 3, told: silent },
      { code: 3, told: silent },
      { code: 3, told: 'mafraq: the switch does not answer on its HTTP port\n' },
      { code: 3, told: 'mafraq: the terminals do not answer on their control port\n' },
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 120_000)
