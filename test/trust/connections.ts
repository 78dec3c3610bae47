import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { Child } from '../../bin/environment/child.ts'
import { ask } from '../../bin/environment/control.ts'
import type { Address } from '../../bin/environment/endpoints.ts'
import { freePort } from '../../bin/environment/ports.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import type { CrowdStatus } from '../../simulators/terminals/crowd.ts'
import type { LatencySummary } from '../../simulators/terminals/latency.ts'
import type { Goal } from './goal.ts'

const wanted = 18_000
const slowOnes = 1_000
const rate = 100
/** Files that a process needs beside its connections. */
const otherFiles = 400
const kilobytesMax = 12
/** Each time is measured once without the slow ones and once with them, so often. */
const rounds = 3
const roundMs = 5_000

/**
 * `npm run trust:smoke -- connections`: terminals that stand idle by the thousand on one switch process, an echo from
 * each, purchases beside them; then a thousand that begin a message and never end it, and what those cost the others.
 */
export const connections: Goal = async ({ stateFolder, say }) => {
  const fileLimit =
    Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn']).toString()) || Number.POSITIVE_INFINITY
  const possible = Math.min(wanted, fileLimit - otherFiles - slowOnes)
  const system = await startSystem({ stateFolder, connectionsMax: wanted * 2 })
  const crowd = await startCrowd(system.endpoints.switch.iso8583, stateFolder, 'crowd')
  try {
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await sleep(4_000)
    const pid = (await system.pid('switch'))!
    const beforeKb = residentKb(pid)
    const opened = await crowd.ask<CrowdStatus>(`/open?count=${possible}`)
    say(`held ${opened.held} of ${wanted}, file limit ${fileLimit}`)
    const { echoes } = opened
    say(`echoes: ${echoes.answered} of ${echoes.asked} answered, the slowest after ${echoes.maxMs} ms`)
    await sleep(2_000)
    const perConnection = (residentKb(pid) - beforeKb) / opened.held
    say(`${perConnection.toFixed(1)} KB of resident memory a connection`)
    const { alone, among, slow } = await measure(system, crowd, say)
    const stopped = await system.stopTerminals(30_000)
    await system.settle(30_000)
    const held = await crowd.ask<CrowdStatus>('/slow?count=0')
    const { ok: agreed, lines } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
    const spread = Math.max(...alone) / Math.min(...alone) - 1
    const cost = median(among) / median(alone) - 1
    const wrong = [
      opened.held === possible && held.held === possible ? '' : `connections were lost: ${held.lost}`,
      echoes.answered === possible ? '' : `echoes unanswered: ${possible - echoes.answered}`,
      perConnection <= kilobytesMax ? '' : `${perConnection.toFixed(1)} KB a connection`,
      slow.closed > 0 ? '' : 'no slow connection was closed',
      // What comes and goes by itself on this machine is nobody's cost.
      cost <= Math.max(0.1, spread) ? '' : `the slow ones cost ${percent(cost)} of p99`,
      agreed ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures:
        `held ${held.held} of ${wanted} (file limit ${fileLimit})  echoes ${echoes.answered}` +
        `  KB a connection ${perConnection.toFixed(1)}  purchases ${stopped.sent}  approved ${stopped.approved}`,
      lines: [
        `p99 without slow connections ${shown(alone)} ms, with ${slowOnes} of them ${shown(among)} ms: ` +
          `${percent(cost)} (p99 without them varies by ${percent(spread)})`,
        `slow connections: opened ${slow.opened}  closed by the switch ${slow.closed}`,
        ...lines.slice(0, -1),
        `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`,
      ],
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
  const fileLimit =
    Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn']).toString()) || Number.POSITIVE_INFINITY
  const possible = Math.min(wantedOfNode, fileLimit - otherFiles)
  const system = await startSystem({ stateFolder, nodes: nodesWanted, connectionsMax: wantedOfNode * 2 })
  const { switch: first, nodes = {} } = system.endpoints
  const crowds: CrowdProcess[] = []
  try {
    for (const [index, { iso8583 }] of [first, ...Object.values(nodes)].entries())
      crowds.push(await startCrowd(iso8583, stateFolder, `crowd-${index + 1}`))
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
        `held ${held} of ${wantedOfNode * nodesWanted} on ${nodesWanted} processes (file limit ${fileLimit})  echoes ${answered}` +
        `  purchases ${stopped.sent}  approved ${stopped.approved}  p99 beside them ${p99.toFixed(0)} ms`,
      lines: [...lines.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    for (const crowd of crowds) await crowd.stop()
    await system.close()
  }
}

/** In turn without and with the slow ones, in one run: p99 of every round. */
async function measure(
  system: System,
  crowd: CrowdProcess,
  say: (what: string) => void,
): Promise<{ alone: number[]; among: number[]; slow: CrowdStatus['slow'] }> {
  const [alone, among]: [number[], number[]] = [[], []]
  let { slow } = await crowd.ask<CrowdStatus>('/slow?count=0')
  // The first seconds behind so many connections are nobody's p99.
  await p99During(system)
  for (let round = 0; round < rounds; round++) {
    alone.push(await p99During(system))
    slow = (await crowd.ask<CrowdStatus>(`/slow?count=${slowOnes}`)).slow
    // Until they are all there, and the first of them are closed again.
    await sleep(round === 0 ? 7_000 : 4_500)
    among.push(await p99During(system))
    slow = (await crowd.ask<CrowdStatus>('/slow?count=0')).slow
    await sleep(1_000)
    say(`p99 ${alone.at(-1)!} ms without slow connections, ${among.at(-1)!} ms among ${slowOnes}`)
  }
  return { alone, among, slow }
}

async function p99During({ endpoints }: System): Promise<number> {
  await ask(endpoints.terminals.control, 'POST', '/window')
  await sleep(roundMs)
  return (await ask<LatencySummary>(endpoints.terminals.control, 'POST', '/window')).p99Ms
}

interface CrowdProcess {
  ask<Answer>(path: string): Promise<Answer>
  stop(): Promise<unknown>
}

/** In a process of its own: its connections are files too. */
async function startCrowd(to: Address, stateFolder: string, name: string): Promise<CrowdProcess> {
  const control: Address = { host: '127.0.0.1', port: await freePort() }
  const config = { ...to, control }
  const child = new Child({ name, program: 'simulator-crowd.ts', stateFolder, config })
  await child.start()
  return { ask: (path) => ask(control, 'POST', path, 120_000), stop: () => child.stop() }
}

/** What the process has in memory, as the kernel counts it. */
function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function shown(values: readonly number[]): string {
  return values.map((value) => value.toFixed(0)).join(', ')
}

function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(share * 100).toFixed(0)} %`
}
