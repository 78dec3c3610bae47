import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem } from '../../bin/environment/system.ts'
import { openPool } from '../../kernel/database.ts'
import { harmTwoNodes } from '../support/two-nodes.ts'
import type { Goal } from './goal.ts'

const rate = 40
const followWithinMs = 15_000
/** Terminals whose node is gone give up sooner than usual. */
const timeouts = { networkMs: 2_000, sourceMs: 4_000, terminalMs: 5_000, terminalReversesAgainMs: 2_000 }

/**
 * `npm run trust:smoke -- nodes`: two switch processes on one database under load, with a network to which each has a
 * session and one that allows a single session. The one that has it is stopped, long enough to be followed, and goes on: it
 * may neither send nor write. It comes back, the one that has the session then is killed, and the other follows again.
 */
export const twoNodes: Goal = async ({ stateFolder, say }) => {
  const networks = ['knet', 'visa']
  const system = await startSystem({
    ...{ stateFolder, networks, nodes: 2, singleSession: ['visa'], timeouts },
  })
  const { readerUrl: databaseUrl } = system.endpoints.database
  const pool = openPool({ databaseUrl, applicationName: 'trust', connectionsMax: 1 })
  try {
    await system.startTerminals({ rate })
    say('purchases run')
    const seen = await harmTwoNodes(system, pool, { singleSession: 'visa', say })
    const { served, afterKillMs, afterStopMs, writtenByFollowed: written, numbersDoubled } = seen
    const terminals = await system.stopTerminals(60_000)
    await system.settle(60_000)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const wrong = [
      afterKillMs <= followWithinMs ? '' : `a dead node was followed after ${seconds(afterKillMs)} s`,
      afterStopMs <= followWithinMs ? '' : `a stopped node was followed after ${seconds(afterStopMs)} s`,
      seen.approvedBesideStopped > 0 ? '' : 'the other approved nothing',
      written === 0 ? '' : `a node that was followed wrote ${written} times`,
      numbersDoubled === 0 ? '' : `${numbersDoubled} trace numbers were used twice`,
      ok ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    const { sent, approved, unanswered } = terminals
    return {
      ok: wrong.length === 0,
      figures:
        `stopped: followed after ${seconds(afterStopMs)} s, killed: after ${seconds(afterKillMs)} s  written by a followed node ${written}` +
        `  purchases ${sent}  approved ${approved}  unanswered ${unanswered}`,
      lines: [
        `served by ${[...served].map(([node, many]) => `${node} ${many}`).join('  ')}`,
        ...lines.slice(0, -1),
        `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`,
      ],
    }
  } finally {
    await pool.end()
    await system.close()
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
