import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { type Part, startSystem, type System } from '../../bin/environment/system.ts'
import { failpointNames } from '../../switch/switch.ts'
import type { Goal } from './goal.ts'

/**
 * kill -9 under load, and what the three books say afterwards: of each process that matters whenever it comes, and of
 * the switch at each place in a transaction's life.
 */
export const crash: Goal = async ({ stateFolder, say }) => {
  const rate = 100
  const system = await startSystem({ stateFolder })
  try {
    await system.startTerminals({ rate })
    let kills = 0
    for (const part of ['switch', 'hsm', 'postgres'] as const satisfies readonly Part[]) {
      await sleep(4_000)
      const before = await system.pid(part)
      say(`${part} (pid ${before ?? '?'}) is killed under ${rate} purchases a second`)
      await system.kill(part)
      kills++
      await sleep(1_000)
      const startedAt = performance.now()
      if (part === 'hsm') await untilReplaced(() => system.pid('hsm'), before)
      else await system.start(part)
      say(`${part} is back after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s more`)
    }
    await sleep(2_000)
    await system.kill('switch')
    for (const name of failpointNames) {
      // Reversals are few: those of the payments that were under way when the process died come first.
      const failpoint = `${name}:kill@${/^P1[12]/.test(name) ? 3 : 30}`
      await startWith(system, failpoint)
      await untilGone(system, name)
      say(`the switch died at ${failpoint}`)
      kills++
    }
    await system.start('switch')
    await sleep(4_000)
    await system.stopTerminals(60_000)
    await system.settle(90_000)
    const terminals = await system.terminals()
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const sent = terminals?.sent ?? 0
    return {
      ok,
      figures: `kills ${kills}  purchases ${sent}  approved ${terminals?.approved ?? 0}  unanswered ${terminals?.unanswered ?? 0}`,
      lines,
    }
  } finally {
    await system.close()
  }
}

/** The process inherits what we say to it alone. */
async function startWith(system: System, failpoint: string): Promise<void> {
  process.env['FAILPOINT'] = failpoint
  try {
    await system.start('switch')
  } catch (error) {
    // Recovery passes such places too, before the process is ready.
    if (!(error instanceof Error && error.message.includes('SIGKILL'))) throw error
  } finally {
    delete process.env['FAILPOINT']
  }
}

async function untilGone(system: System, name: string): Promise<void> {
  for (let tries = 0; (await system.pid('switch')) !== undefined; tries++) {
    if (tries > 600) throw new Error(`nothing came to ${name}`)
    await sleep(50)
  }
}

async function untilReplaced(
  pid: () => Promise<number | undefined>,
  before: number | undefined,
): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const now = await pid().catch(() => undefined)
    if (now !== undefined && now !== before) return
    await sleep(100)
  }
  throw new Error('the HSM process was not replaced')
}
