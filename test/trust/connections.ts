import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import type { CrowdStatus } from '../../simulators/terminals/crowd.ts'
import type { LatencySummary } from '../../simulators/terminals/latency.ts'
import { type CrowdProcess, fileLimit, residentKb, startCrowd } from './crowd.ts'
import type { Goal } from './goal.ts'

const rate = 100
/** Files that a process needs beside its connections. */
const otherFiles = 400
const p99Ms = 5_000

interface Idle {
  readonly wanted: number
  /** What is wanted, and what is still let pass. */
  readonly kilobytesGoal: number
  readonly kilobytesMax: number
  readonly perSecond: number
  readonly rate: number
  readonly tls: boolean
}

/**
 * `npm run trust:smoke -- connections`: terminals that stand idle by the thousand on one switch process, an echo from
 * each when it opens and once more beside purchases.
 */
export const connections: Goal = (room) =>
  drill(room, { wanted: 18_000, kilobytesGoal: 12, kilobytesMax: 12, perSecond: 1_500, rate, tls: false })

/**
 * `npm run trust:smoke -- connections-tls`: fewer of them, each with a mutual TLS 1.3 of its own, as is every line. A
 * server of Node's alone needs 54 to 60 KB for each (Node 24.21), so that the goal leaves little; it is told where it is
 * missed. Of these, 39 KB are OpenSSL's blocks (two record layers of 4.4 KB, the connection 6.1 and 5.6 KB, the peer's
 * certificate 9 KB), 4 KB are JavaScript's, and Node's buffer for what comes in is 64 KB large, of which the handshake has
 * touched a part. A link of ours adds 3 KB of JavaScript to that. Nothing of it can be given back through Node: buffers of
 * records are released already, and sessions are not kept.
 */
export const connectionsTls: Goal = (room) =>
  drill(room, { wanted: 2_000, kilobytesGoal: 60, kilobytesMax: 100, perSecond: 100, rate: 20, tls: true })

async function drill({ stateFolder, say }: Parameters<Goal>[0], idle: Idle): ReturnType<Goal> {
  const { wanted, tls } = idle
  const limit = fileLimit()
  const possible = Math.min(wanted, limit - otherFiles)
  const system = await startSystem({ stateFolder, connectionsMax: wanted * 2, tls })
  const to = system.endpoints.switch.iso8583
  const crowd = await startCrowd({ to, stateFolder, name: 'crowd', tls, perSecond: idle.perSecond })
  try {
    await system.startTerminals({ rate: idle.rate, mix: { approve: 1 } })
    await sleep(4_000)
    const pid = (await system.pid('switch'))!
    const startedAt = performance.now()
    // The first of them, and the purchases, make the process as large as it is anyway; the rest are what a connection costs.
    const first = await crowd.ask<CrowdStatus>(`/open?count=${Math.floor(possible / 4)}`)
    await sleep(2_000)
    const beforeKb = residentKb(pid)
    const opened = await crowd.ask<CrowdStatus>(`/open?count=${possible - Math.floor(possible / 4)}`)
    const openedIn = ((performance.now() - startedAt) / 1_000).toFixed(0)
    say(`held ${opened.held} of ${wanted} after ${openedIn} s, file limit ${limit}`)
    await sleep(2_000)
    const perConnection = (residentKb(pid) - beforeKb) / (opened.held - first.held)
    say(`${perConnection.toFixed(1)} KB of resident memory a connection`)
    const p99 = await p99During(system)
    const { echoes, held, lost } = await crowd.ask<CrowdStatus>('/echo')
    say(`echoes: ${echoes.answered} of ${echoes.asked} answered, the slowest after ${echoes.maxMs} ms`)
    const stopped = await system.stopTerminals(30_000)
    await system.settle(30_000)
    const { ok: agreed, lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
    const wrong = [
      held === possible ? '' : `connections were lost: ${lost}`,
      echoes.answered === 2 * possible ? '' : `echoes unanswered: ${2 * possible - echoes.answered}`,
      perConnection <= idle.kilobytesMax ? '' : `${perConnection.toFixed(1)} KB a connection`,
      agreed ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures:
        `held ${held} of ${wanted}${tls ? ' with TLS' : ''} (file limit ${limit})  echoes ${echoes.answered}` +
        `  KB a connection ${perConnection.toFixed(1)} (goal ${idle.kilobytesGoal})  purchases ${stopped.sent}  approved ${stopped.approved}` +
        `  p99 beside them ${p99.toFixed(0)} ms`,
      lines: [...lines.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    await crowd.stop()
    await system.close()
  }
}

const nodesWanted = 3
const wantedOfNode = 17_000

/**
 * `npm run trust:full -- connections`: 51,000 idle connections over three switch processes on one database, an echo from each
 * when it opens and once more later, and purchases beside them on all three.
 */
export const manyConnections: Goal = async ({ stateFolder, say }) => {
  const possible = Math.min(wantedOfNode, fileLimit() - otherFiles)
  const system = await startSystem({ stateFolder, nodes: nodesWanted, connectionsMax: wantedOfNode * 2 })
  const { switch: first, nodes = {} } = system.endpoints
  const crowds: CrowdProcess[] = []
  try {
    for (const [index, { iso8583 }] of [first, ...Object.values(nodes)].entries())
      crowds.push(await startCrowd({ to: iso8583, stateFolder, name: `crowd-${index + 1}` }))
    await system.startTerminals({ rate, mix: { approve: 1 } })
    const all = (path: string): Promise<CrowdStatus[]> =>
      Promise.all(crowds.map((crowd) => crowd.ask<CrowdStatus>(path)))
    // One process after the other: it is the holding that is tried, not the opening.
    for (const crowd of crowds) {
      const { held } = await crowd.ask<CrowdStatus>(`/open?count=${possible}`)
      say(`one process holds ${held}`)
    }
    await p99During(system)
    const p99 = await p99During(system)
    const echoed = await all('/echo')
    const sum = (valueOf: (status: CrowdStatus) => number): number =>
      echoed.reduce((total, status) => total + valueOf(status), 0)
    const [held, answered] = [sum((one) => one.held), sum(({ echoes }) => echoes.answered)]
    const stopped = await system.stopTerminals(30_000)
    await system.settle(30_000)
    const { ok: agreed, lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
    const wanted = possible * nodesWanted
    const wrong = [
      held === wanted ? '' : `${wanted - held} connections were lost`,
      answered === 2 * wanted ? '' : `echoes unanswered: ${2 * wanted - answered}`,
      agreed ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures:
        `held ${held} of ${wantedOfNode * nodesWanted} on ${nodesWanted} processes (file limit ${fileLimit()})  echoes ${answered}` +
        `  purchases ${stopped.sent}  approved ${stopped.approved}  p99 beside them ${p99.toFixed(0)} ms`,
      lines: [...lines.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    for (const crowd of crowds) await crowd.stop()
    await system.close()
  }
}

async function p99During({ endpoints }: System): Promise<number> {
  await ask(endpoints.terminals.control, 'POST', '/window')
  await sleep(p99Ms)
  return (await ask<LatencySummary>(endpoints.terminals.control, 'POST', '/window')).p99Ms
}
