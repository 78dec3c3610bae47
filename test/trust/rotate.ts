import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem } from '../../bin/environment/system.ts'
import type { Goal } from './goal.ts'

const rate = 100
const mafraq = join(import.meta.dirname, '../../bin/mafraq.ts')
const people = ['--by', 'first keeper', '--witness', 'second keeper']

/**
 * `npm run trust:smoke -- rotate`: the vault's keys are rotated and every card is sealed anew while purchases run. The
 * keys of zones are exchanged in the drill `keys`.
 */
export const rotate: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder })
  const run = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [mafraq, ...args, '--state', stateFolder])
    say(stdout.trim().split('\n').at(-1) ?? '')
    return stdout
  }
  try {
    // Approvals and plain declines only, so that whatever else is answered is a failure.
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await sleep(3_000)
    await run('keys', 'adopt', ...people)
    for (const [ref, algorithm] of [
      ['kek.vault.both', 'AES-256'],
      ['fpk.vault.both', 'HMAC'],
    ] as const) {
      await run('keys', 'generate', '--ref', ref, '--algorithm', algorithm, ...people)
      await run('keys', 'rotate', '--ref', ref, '--grace', '60', ...people)
    }
    await sleep(2_000)
    const rewrapped = await run('vault', 'rewrap', '--by', 'first keeper', '--batch', '50')
    await run('keys', 'retire', '--ref', 'kek.vault.both', '--key-version', '1', '--destroy', ...people)
    await run('keys', 'check')
    await sleep(3_000)
    const stopped = await system.stopTerminals(60_000)
    await system.settle(60_000)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const { approved, declined, sent, unanswered } = stopped
    const failed = sent - approved
    const said = Object.entries(declined).map(([code, count]) => `${code}: ${count}`)
    return {
      ok: ok && failed === 0 && rewrapped.includes('RESULT ok'),
      figures: `purchases ${sent}  approved ${approved}  declined (${said.join(', ')})  unanswered ${unanswered}  failed ${failed}`,
      lines: failed === 0 ? lines : [...lines, `RESULT ${failed} purchases failed`],
    }
  } finally {
    await system.close()
  }
}
