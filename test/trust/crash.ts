import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { type Part, startSystem } from '../../bin/environment/system.ts'
import type { Goal } from './goal.ts'

/** kill -9 of each process that matters, under load, and what the three books say afterwards. */
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
