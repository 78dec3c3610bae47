import { setTimeout as sleep } from 'node:timers/promises'
import { tryAsk } from '../../bin/environment/control.ts'
import type { System } from '../../bin/environment/system.ts'
import { type DatabasePool, openClient } from '../../kernel/database.ts'

type Node = 'switch' | 'switch-2'
const nodes: readonly Node[] = ['switch', 'switch-2']

/** What came of harming two nodes in turn, while purchases ran. */
export interface Followed {
  /** By node, before any harm. */
  readonly served: ReadonlyMap<string, number>
  /** Until the other had the line, in ms. */
  readonly afterStopMs: number
  readonly afterKillMs: number
  /** What the other committed while one stood still. */
  readonly approvedBesideStopped: number
  /** What the stopped node wrote once another had its place. */
  readonly writtenByFollowed: number
  /** Trace numbers that two legs to one network have on one day. */
  readonly numbersDoubled: number
}

/** What a node says of its destinations. */
interface NodeStatus {
  readonly destinations: readonly { readonly name: string; readonly session: string }[]
}

/** So long a node that goes on is kept from learning that it was followed. */
const unawareMs = 1_500

/** So many purchases of each node before any harm. */
const servedMin = 5

/** Whatever does not come to pass within this is not waited for any longer. */
const waitMs = 60_000

/**
 * The node that has the line of the network that allows one session is stopped until the other has followed it, and goes
 * on; when it has ended by that it is started again, and the node that has the line now is killed. `singleSession` is
 * that network.
 */
export async function harmTwoNodes(
  system: System,
  pool: DatabasePool,
  { singleSession, say }: { singleSession: string; say: (what: string) => void },
): Promise<Followed> {
  const line = new SharedLine(system, singleSession)
  const served = await untilBothServe(pool)

  const stopped = await line.owner()
  const pid = (await system.pid(stopped))!
  process.kill(pid, 'SIGSTOP')
  let followedAt: Date
  let afterStopMs: number
  let approvedBesideStopped: number
  try {
    afterStopMs = await line.untilOther(stopped)
    say(`${stopped} was stopped: the other has its line after ${seconds(afterStopMs)} s`)
    followedAt = await untilFollowed(pool, stopped)
    approvedBesideStopped = await approvedBefore(pool, followedAt, afterStopMs)
    await unaware(system, () => process.kill(pid, 'SIGCONT'))
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  const endedMs = await untilEnded(system, stopped)
  const writtenByFollowed = await writtenAfter(pool, nodeOf(stopped), followedAt)
  say(
    `${stopped} went on, wrote ${writtenByFollowed} times, and ended ${seconds(endedMs)} s after it could know`,
  )
  await system.start(stopped)
  say(`${stopped} is back`)

  const killed = await line.owner()
  await system.kill(killed)
  const afterKillMs = await line.untilOther(killed)
  say(`${killed} was killed: the other has its line after ${seconds(afterKillMs)} s`)
  await untilApproved(system)
  say('the other approves')
  return {
    ...{ served, afterStopMs, afterKillMs, approvedBesideStopped, writtenByFollowed },
    numbersDoubled: await numbersDoubled(pool),
  }
}

function nodeOf(part: Node): string {
  return part === 'switch' ? 'node-1' : 'node-2'
}

/** The line of a network that allows one session, as the nodes speak of it. */
class SharedLine {
  readonly #system: System
  readonly #network: string

  constructor(system: System, network: string) {
    this.#system = system
    this.#network = network
  }

  async owner(): Promise<Node> {
    for (const startedAt = performance.now(); performance.now() - startedAt < waitMs; await sleep(100))
      for (const part of nodes) if ((await this.#stateAt(part)) === 'online') return part
    throw new Error('no node has the line')
  }

  /** How long until the other node has the line, in ms. */
  async untilOther(gone: Node): Promise<number> {
    const other = gone === 'switch' ? 'switch-2' : 'switch'
    const startedAt = performance.now()
    while ((await this.#stateAt(other)) !== 'online') {
      if (performance.now() - startedAt > waitMs) throw new Error(`${other} does not follow`)
      await sleep(100)
    }
    return performance.now() - startedAt
  }

  async #stateAt(part: Node): Promise<string | undefined> {
    const { switch: first, nodes: others } = this.#system.endpoints
    const { http } = part === 'switch' ? first : others!['node-2']!
    const status = await tryAsk<NodeStatus>(http, '/status')
    return status?.destinations.find(({ name }) => name === this.#network)?.session
  }
}

/** Until each has served some. */
async function untilBothServe(pool: DatabasePool): Promise<ReadonlyMap<string, number>> {
  for (const startedAt = performance.now(); performance.now() - startedAt < waitMs; await sleep(100)) {
    const served = await servedBy(pool)
    if ([...served.values()].filter((many) => many >= servedMin).length === nodes.length) return served
  }
  throw new Error('one node serves everything')
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

/**
 * Lets a node go on that cannot know yet that it was followed: leases can be read for a while, not renewed. What it has
 * in hand and what terminals have sent it meanwhile it tries to write, and the fence alone is against that.
 */
async function unaware(system: System, goOn: () => void): Promise<void> {
  const client = await openClient({ databaseUrl: system.endpoints.database.url, applicationName: 'test' })
  try {
    await client.query('BEGIN')
    await client.query('LOCK TABLE switch.lease IN EXCLUSIVE MODE')
    goOn()
    await sleep(unawareMs)
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
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

/** Approvals committed in the time up to `at`. */
async function approvedBefore(pool: DatabasePool, at: Date, withinMs: number): Promise<number> {
  const { rows } = await pool.query<{ many: number }>(
    `SELECT count(*)::int AS many FROM switch.transaction WHERE state = 'approved' AND received_at BETWEEN $1 AND $2`,
    [new Date(at.getTime() - withinMs), at],
  )
  return rows[0]!.many
}

/** Until a terminal is answered again; the terminals of a dead node find the other by themselves. */
async function untilApproved(system: System): Promise<void> {
  const before = (await system.terminals())?.approved ?? 0
  for (const startedAt = performance.now(); performance.now() - startedAt < waitMs; await sleep(100))
    if (((await system.terminals())?.approved ?? 0) > before) return
  throw new Error('nobody approves any more')
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
