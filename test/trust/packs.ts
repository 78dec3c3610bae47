import { runReconcile } from '../../bin/commands/reconcile.ts'
import { simulatedNetworks } from '../../bin/environment/simulated-networks.ts'
import { startSystem } from '../../bin/environment/system.ts'
import { openPackTerminal, packFiles, packRules, tryPack } from '../support/packs.ts'
import type { Goal } from './goal.ts'

const timeouts = {
  ...{ networkMs: 1_500, sourceMs: 4_000, terminalMs: 6_000 },
  breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
}

/**
 * `npm run trust:smoke -- packs`: every pack on the real processes, all networks at once; each then with a network that
 * answers wrongly, which it must find.
 */
export const packs: Goal = async ({ stateFolder, say }) => {
  const networks = Object.keys(simulatedNetworks)
  // No pack is of how fast an HSM must be, and a busy machine is slower than that.
  const special = { hsmDeadlineMs: 2_000, rules: packRules(networks), timeouts }
  const system = await startSystem({ stateFolder, networks, ...special })
  const terminal = await openPackTerminal(system)
  try {
    const lines: string[] = []
    let [all, failed, unfound, spoilt, changed] = [0, 0, 0, 0, 0]
    for (const file of packFiles()) {
      const { scenarios, failures, missed, spoiled, altered } = await tryPack(file, terminal, system)
      all += scenarios
      failed += failures.length
      spoilt += spoiled
      changed += altered
      unfound += missed.length
      lines.push(...failures.map((failure) => `${file}: ${failure}`))
      lines.push(...missed.map((scenario) => `${file}: a wrong answer was not found: ${scenario}`))
      say(
        `${file}: scenarios ${scenarios}  failed ${failures.length}  altered ${altered}  answered wrongly ${spoiled}  found ${altered + spoiled - missed.length}`,
      )
    }
    await system.settle(30_000)
    const { ok, lines: books } = await runReconcile({ stateFolder, final: true, settleMs: 20_000 })
    const wrong = [
      failed === 0 ? '' : `${failed} scenarios failed`,
      unfound === 0 ? '' : `${unfound} wrong answers were not found`,
      ok ? '' : books.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `scenarios ${all}  failed ${failed}  altered ${changed}  answered wrongly ${spoilt}  not found ${unfound}`,
      lines: [...lines, ...books.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    terminal.close()
    await system.close()
  }
}
