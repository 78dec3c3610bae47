import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import type { CrowdStatus } from '../../simulators/terminals/crowd.ts'
import type { LatencyMarks } from '../../simulators/terminals/latency.ts'
import type { LatencyWindow } from '../../simulators/terminals/tally.ts'
import { startCrowd } from './crowd.ts'
import type { Goal } from './goal.ts'
import { costOf, costsMore, type Pair, saidOf } from './paired.ts'

const slowOnes = 1_000
/** So much more of p99 the others may pay. */
const costMax = 0.1
const rate = 40
const windowMs = 4_000
/** Until all of them are there, and the first are closed again and come back: as it then goes on. */
const arrivingMs = 5_500
const goneMs = 1_000
/** How long the switch waits for the end of a frame. */
const partialFrameMs = 5_000

/**
 * `npm run trust:smoke -- slow-loris`: a thousand connections begin a message and never end it, and come again when they
 * are closed for it; what the others' purchases pay for that, against the same done to somebody else on the same machine.
 * `trust:full` takes more windows, and so can say more.
 */
export const slowLoris: Goal = (room) => drill(room, 2)
export const slowLorisFull: Goal = (room) => drill(room, 16)

async function drill({ stateFolder, say }: Parameters<Goal>[0], pairs: number): ReturnType<Goal> {
  const system = await startSystem({ stateFolder, connectionsMax: slowOnes * 3 })
  const elsewhere = await openElsewhere()
  const crowd = await startCrowd({ to: system.endpoints.switch.iso8583, stateFolder, name: 'crowd' })
  try {
    const ours = system.endpoints.switch.iso8583.port
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await sleep(4_000)
    const taken: Pair[] = []
    for (let turn = 0; turn < pairs; turn++) {
      const at = async (port: number) => {
        await crowd.ask(`/slow?count=${slowOnes}&port=${port}`)
        await sleep(arrivingMs)
        const seen = await windowOf(system)
        await crowd.ask('/slow?count=0')
        await sleep(goneMs)
        return seen
      }
      const order = turn % 2 === 0 ? [elsewhere.port, ours] : [ours, elsewhere.port]
      const [first, second] = [await at(order[0]!), await at(order[1]!)]
      taken.push(turn % 2 === 0 ? { without: first, among: second } : { without: second, among: first })
      if (turn % 4 === 3) say(`${turn + 1} of ${pairs} pairs: ${saidOf(costOf(taken), costMax)}`)
    }
    const { slow } = await crowd.ask<CrowdStatus>('/slow?count=0')
    const stopped = await system.stopTerminals(30_000)
    await system.settle(30_000)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
    const cost = costOf(taken)
    const wrong = [
      slow.closed > 0 ? '' : 'no slow connection was closed',
      !costsMore(cost, costMax) ? '' : 'they cost the others more than that of p99',
      ok ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `opened ${slow.opened}  closed by the switch ${slow.closed}  purchases ${stopped.sent}  approved ${stopped.approved}`,
      lines: [
        `${slowOnes} slow connections at the switch against as many elsewhere (${pairs} pairs of ${windowMs} ms, load ${loadavg()[0]!.toFixed(1)}): ${saidOf(cost, costMax)}`,
        ...lines.slice(0, -1),
        `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`,
      ],
    }
  } finally {
    await crowd.stop()
    elsewhere.close()
    await system.close()
  }
}

/**
 * Somebody else, who closes a slow one as soon as the switch does. On one machine the attack itself takes processor time
 * from everybody; what is asked is what it costs to be its aim.
 */
async function openElsewhere(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((socket) => {
    const timer = setTimeout(() => socket.destroy(), partialFrameMs)
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    socket.once('close', () => clearTimeout(timer))
  })
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 })
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

async function windowOf({ endpoints }: System): Promise<readonly LatencyMarks[]> {
  const take = () => ask<LatencyWindow>(endpoints.terminals.control, 'POST', '/window', 60_000)
  await take()
  await sleep(windowMs)
  return Object.values((await take()).networks)
}
