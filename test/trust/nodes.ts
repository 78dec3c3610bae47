import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask, tryAsk } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import type { LatencySummary } from '../../simulators/terminals/latency.ts'
import type { Goal } from './goal.ts'

const rate = 60
const followWithinMs = 15_000
const waitMs = 40_000

type Node = 'switch' | 'switch-2'
const nodes: readonly Node[] = ['switch', 'switch-2']

/** What a node says of its destinations. */
interface NodeStatus {
  readonly destinations: readonly { readonly name: string; readonly session: string }[]
}

/**
 * `npm run trust:smoke -- nodes`: two switch processes on one database under load, with a network to which each has a
 * session and one that allows a single session. The one that has it is killed: the other follows. It comes back; the one
 * that has the session then is stopped, long enough to be followed, and goes on: it may neither send nor write.
 */
export const twoNodes: Goal = async ({ stateFolder, say }) => {
  const networks = ['knet', 'visa']
  const system = await startSystem({ stateFolder, networks, nodes: 2, singleSession: ['visa'] })
  const { readerUrl: databaseUrl } = system.endpoints.database
  const pool = openPool({ databaseUrl, applicationName: 'trust', connectionsMax: 1 })
  try {
    await system.startTerminals({ rate })
    await sleep(4_000)
    const served = await servedBy(pool)
    const killed = await ownerOfLine(system)
    await system.kill(killed)
    const afterKillMs = await untilOther(system, killed)
    say(`${killed} was killed: the other has its line after ${seconds(afterKillMs)} s`)
    const amongKilled = await approvedIn(system, 2_000)
    await system.start(killed)
    await sleep(2_000)

    const stopped = await ownerOfLine(system)
    const pid = (await system.pid(stopped))!
    process.kill(pid, 'SIGSTOP')
    const afterStopMs = await untilOther(system, stopped)
    say(`${stopped} was stopped: the other has its line after ${seconds(afterStopMs)} s`)
    const followedAt = await untilFollowed(pool, stopped)
    process.kill(pid, 'SIGCONT')
    const endedMs = await untilEnded(system, stopped)
    say(`${stopped} goes on, and ends by itself after ${seconds(endedMs)} s`)
    const written = await writtenAfter(pool, nodeOf(stopped), followedAt)
    await system.start(stopped)
    await sleep(2_000)

    const terminals = await system.stopTerminals(60_000)
    await system.settle(60_000)
    const doubled = await numbersDoubled(pool)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const wrong = [
      served.size === 2 ? '' : 'one node served everything',
      afterKillMs <= followWithinMs ? '' : `a dead node was followed after ${seconds(afterKillMs)} s`,
      afterStopMs <= followWithinMs ? '' : `a stopped node was followed after ${seconds(afterStopMs)} s`,
      amongKilled > 0 ? '' : 'the other approved nothing',
      written === 0 ? '' : `a node that was followed wrote ${written} times`,
      doubled === 0 ? '' : `${doubled} trace numbers were used twice`,
      ok ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    const { sent, approved, unanswered } = terminals
    return {
      ok: wrong.length === 0,
      figures:
        `followed after ${seconds(afterKillMs)} s and ${seconds(afterStopMs)} s  written by a followed node ${written}` +
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

function nodeOf(part: Node): string {
  return part === 'switch' ? 'node-1' : 'node-2'
}

async function lineOf(system: System, part: Node): Promise<string | undefined> {
  const { switch: first, nodes: others } = system.endpoints
  const { http } = part === 'switch' ? first : others!['node-2']!
  const status = await tryAsk<NodeStatus>(http, '/status')
  return status?.destinations.find(({ name }) => name === 'visa')?.session
}

async function ownerOfLine(system: System): Promise<Node> {
  for (const part of nodes) if ((await lineOf(system, part)) === 'online') return part
  throw new Error('no node has the line')
}

/** How long until the other node has the line, in ms. */
async function untilOther(system: System, gone: Node): Promise<number> {
  const other = gone === 'switch' ? 'switch-2' : 'switch'
  const startedAt = performance.now()
  while ((await lineOf(system, other)) !== 'online') {
    if (performance.now() - startedAt > waitMs) throw new Error(`${other} does not follow`)
    await sleep(100)
  }
  return performance.now() - startedAt
}

/** When the place of the node was taken, on the database's clock. */
async function untilFollowed(pool: DatabasePool, gone: Node): Promise<Date> {
  for (const startedAt = performance.now(); performance.now() - startedAt < waitMs; await sleep(100)) {
    const { rows } = await pool.query<{ now: Date }>(
      `SELECT clock_timestamp() AS now FROM switch.lease WHERE name = 'node:' || $1 AND holder <> $1`,
      [nodeOf(gone)],
    )
    if (rows[0] !== undefined) return rows[0].now
  }
  throw new Error(`nobody took the place of ${gone}`)
}

async function untilEnded(system: System, part: Node): Promise<number> {
  const startedAt = performance.now()
  while ((await system.pid(part)) !== undefined) {
    if (performance.now() - startedAt > waitMs) throw new Error(`${part} goes on as if nothing had happened`)
    await sleep(50)
  }
  return performance.now() - startedAt
}

async function writtenAfter(pool: DatabasePool, node: string, at: Date): Promise<number> {
  const { rows } = await pool.query<{ many: number }>(
    'SELECT count(*)::int AS many FROM switch.event WHERE node = $1 AND recorded_at > $2',
    [node, at],
  )
  return rows[0]!.many
}

async function servedBy(pool: DatabasePool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ node: string; many: number }>(
    'SELECT node, count(*)::int AS many FROM switch.transaction GROUP BY node ORDER BY node',
  )
  return new Map(rows.map(({ node, many }) => [node, many]))
}

/** Trace numbers that two legs to one network have on one day. */
async function numbersDoubled(pool: DatabasePool): Promise<number> {
  const { rows } = await pool.query<{ many: number }>(
    `SELECT count(*)::int AS many FROM (
       SELECT FROM switch.leg GROUP BY destination, stan, left(transmitted_at, 4) HAVING count(*) > 1) twice`,
  )
  return rows[0]!.many
}

async function approvedIn({ endpoints }: System, ms: number): Promise<number> {
  await ask(endpoints.terminals.control, 'POST', '/window')
  await sleep(ms)
  return (await ask<LatencySummary>(endpoints.terminals.control, 'POST', '/window')).count
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
