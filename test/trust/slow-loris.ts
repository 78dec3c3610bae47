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
import { inCalm } from './calm.ts'
import { processorMs, startCrowd } from './crowd.ts'
import type { Goal } from './goal.ts'
import { costOf, costsMore, type Pair, saidOf } from './paired.ts'

const slowOnes = 1_000
/** So much more of p99 the others may pay. */
const costMax = 0.1
const rate = 40
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
export const slowLoris: Goal = (room) => drill(room, { pairs: 2, windowMs: 4_000 })
export const slowLorisFull: Goal = (room) => drill(room, { pairs: pairsOf(room.args), windowMs: 12_000 })

/** `--pairs 8`: half as long. */
function pairsOf(args: readonly string[]): number {
  const at = args.indexOf('--pairs')
  const pairs = at === -1 ? 16 : Number(args[at + 1])
  if (!Number.isInteger(pairs) || pairs < 1) throw new Error('--pairs takes a whole number')
  return pairs
}

async function drill(
  { stateFolder, say }: Parameters<Goal>[0],
  { pairs, windowMs }: { readonly pairs: number; readonly windowMs: number },
): ReturnType<Goal> {
  const system = await startSystem({ stateFolder, connectionsMax: slowOnes * 3 })
  const elsewhere = await openElsewhere()
  const crowd = await startCrowd({ to: system.endpoints.switch.iso8583, stateFolder, name: 'crowd' })
  try {
    const ours = system.endpoints.switch.iso8583.port
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await sleep(4_000)
    const processor = { without: noWork(), among: noWork() }
    const pid = (await system.pid('switch'))!
    const at = async (port: number) => {
      const work = processor[port === ours ? 'among' : 'without']
      await crowd.ask(`/slow?count=${slowOnes}&port=${port}`)
      await sleep(arrivingMs)
      const seen = await windowOf(system, { pid, work, windowMs })
      await crowd.ask('/slow?count=0')
      await sleep(goneMs)
      return seen
    }
    const pairAt = async (turn: number): Promise<Pair> => {
      if (turn % 2 === 0) return { without: await at(elsewhere.port), among: await at(ours) }
      const among = await at(ours)
      return { without: await at(elsewhere.port), among }
    }
    const { disturbed, pairs: taken } = await inCalm(pairs, pairAt, (soFar, left) => {
      if (soFar.length % 4 === 0)
        say(`${soFar.length} of ${pairs} pairs, ${left} disturbed: ${saidOf(costOf(soFar), costMax)}`)
    })
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
        `${slowOnes} slow connections at the switch against as many elsewhere (${pairs} pairs of ${windowMs} ms, ${disturbed} more disturbed by the host, load ${loadavg()[0]!.toFixed(1)}): ${saidOf(cost, costMax)}`,
        `the switch’s own processor time: ${workOf(processor.without)} elsewhere, ${workOf(processor.among)} among them`,
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

/** What a switch did in windows of one kind. */
interface Work {
  processorMs: number
  purchases: number
  wallMs: number
}

function noWork(): Work {
  return { processorMs: 0, purchases: 0, wallMs: 0 }
}

/** Unlike times of answers, these are the same however busy the machine is with others. */
function workOf({ processorMs: spentMs, purchases, wallMs }: Work): string {
  const each = (spentMs / Math.max(1, purchases)).toFixed(2)
  return `${each} ms a purchase (${((100 * spentMs) / wallMs).toFixed(1)} % of a core)`
}

async function windowOf(
  { endpoints }: System,
  { pid, work, windowMs }: { readonly pid: number; readonly work: Work; readonly windowMs: number },
): Promise<readonly LatencyMarks[]> {
  const take = () => ask<LatencyWindow>(endpoints.terminals.control, 'POST', '/window', 60_000)
  await take()
  const [startedMs, before] = [performance.now(), processorMs(pid)]
  await sleep(windowMs)
  work.processorMs += processorMs(pid) - before
  work.wallMs += performance.now() - startedMs
  const { count, networks } = await take()
  work.purchases += count
  return Object.values(networks)
}
