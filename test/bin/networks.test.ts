import { rmSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem } from '../../bin/environment/system.ts'
import { enterableFolder } from '../support/server.ts'

const stateFolder = enterableFolder()
afterAll(() => rmSync(stateFolder, { recursive: true, force: true }))

interface NetworkStatus {
  readonly dialect: string
  readonly approved: number
  readonly badSeals: number
  readonly pinBlockErrors: number
}

test('four networks at once, each in its dialect and under TLS, one of which connects to us: each gets its own cards, and the books agree', async () => {
  const networks = ['knet', 'visa', 'mastercard', 'issuer-host']
  const system = await startSystem({ stateFolder, networks, tls: true, serves: ['visa'] })
  try {
    await system.startTerminals({ rate: 40, seconds: 4 })
    await new Promise((resolve) => setTimeout(resolve, 4_500))
    const stopped = await system.stopTerminals(30_000)
    expect(stopped.result).toBe('settled')
    expect(await system.settle(30_000)).toBe(true)
    const { lines } = await runReconcile({ stateFolder, final: true, settleMs: 10_000 })
    expect(lines.at(-1), lines.join('\n')).toBe('RESULT ok')
    for (const name of networks) {
      const { control } = system.endpoints.networks[name]!
      const status = await ask<NetworkStatus>(control, 'GET', '/status')
      expect(status, name).toMatchObject({ badSeals: 0, pinBlockErrors: 0 })
      expect(status.approved, name).toBeGreaterThan(5)
    }
  } finally {
    await system.close()
  }
}, 120_000)
