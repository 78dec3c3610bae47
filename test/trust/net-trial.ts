import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask, type TerminalsStatus } from '../../bin/environment/control.ts'
import type { System } from '../../bin/environment/system.ts'
import type { Direction } from '../../simulators/chaosproxy/faults.ts'
import type { ProxyStatus } from '../../simulators/chaosproxy/proxy.ts'
import type { FaultCounts, LineFault } from './net-faults.ts'

/** A fault on one direction of one line. */
export interface Trial {
  /** A network by its name, or the terminals' lines to the switch. */
  readonly line: string
  readonly direction: Direction
  readonly fault: LineFault
}

export interface Tried {
  readonly trial: Trial
  readonly seconds: number
  /** What came of it, in one line. */
  readonly line: string
  /** undefined: the books agree and nothing is left open. */
  readonly wrong?: string
}

/** Traffic before a fault, with it, and behind it. */
const [beforeMs, faultMs, healedMs] = [200, 1_600, 400]
/** A fault of chance that has met nobody yet is left on for so much longer. */
const seenWithinMs = 6_000
/** A machine that does something else for a while is no finding. */
export const patienceMs = 120_000
/** Longer than an unfinished frame is waited for, and what is owed is tried again a few times. */
const restMs = 45_000

/** One fault, from good order to good order: harmed, healed, come to rest, compared. */
export async function tryFault(trial: Trial, system: System): Promise<Tried> {
  const { line, direction, fault } = trial
  const { control } = system.endpoints.terminals
  const startedAt = performance.now()
  const before = await ask<TerminalsStatus>(control, 'POST', '/start', patienceMs)
  await sleep(beforeMs)
  const counted = (await proxyOf(system, line))[direction]
  await harm(system, trial)
  await sleep(faultMs)
  const cameSoFar = async () => differenceOf({ ...counted }, { ...(await proxyOf(system, line))[direction] })
  for (const startedAt = performance.now(); performance.now() - startedAt < seenWithinMs; await sleep(200))
    if (fault.seen?.(await cameSoFar()) !== false) break
  const healed = await heal(system, line)
  await sleep(healedMs)
  const stoppingAt = performance.now()
  const stopped = await system.stopTerminals(restMs)
  const settled = await system.settle(restMs)
  const restedAt = performance.now()
  const { stateFolder } = system
  const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: restMs, booksOnly: true })
  const endedAt = performance.now()
  const came = differenceOf({ ...counted }, { ...healed[direction] })
  const surprise = surprisingIn(stopped, stopped.surprises - before.surprises, fault.answers)
  const wrong =
    fault.seen?.(came) === false
      ? `${fault.name} never came to pass`
      : !settled || stopped.result !== 'settled'
        ? `${fault.name} left something open`
        : surprise !== undefined
          ? `${fault.name}: ${surprise}`
          : ok
            ? undefined
            : `${fault.name}: ${lines.at(-1)!.replace('RESULT ', '')}`
  const seconds = (endedAt - startedAt) / 1_000
  const text = [
    `${named(trial)}:`,
    `purchases ${stopped.sent - before.sent}  approved ${stopped.approved - before.approved}  ${deedsOf(came)}`,
    `seconds ${seconds.toFixed(1)} (to rest ${((restedAt - stoppingAt) / 1_000).toFixed(1)}, books ${((endedAt - restedAt) / 1_000).toFixed(1)})`,
    `RESULT ${wrong ?? 'ok'}`,
  ].join('  ')
  return { trial, seconds, line: text, ...(wrong !== undefined && { wrong }) }
}

/** What a terminal was told that nothing explains. */
function surprisingIn(
  { latestSurprises }: TerminalsStatus,
  many: number,
  explained: readonly string[] = [],
): string | undefined {
  const latest = many === 0 ? [] : latestSurprises.slice(-many)
  return latest.find(({ what }) => !explained.some((code) => what.endsWith(`answered ${code}`)))?.what
}

export function named({ line, direction, fault }: Trial): string {
  return `${line} ${arrowOf(direction)} ${fault.name}`
}

/** From the proxy's side: to who connected, or to who was connected to. */
export function arrowOf(direction: Direction): string {
  return direction === 'toClient' ? '->' : '<-'
}

export async function harm(system: System, { line, direction, fault }: Trial): Promise<void> {
  await tell(system, line, '/faults', {
    ...(fault.door === undefined ? {} : { door: fault.door }),
    [direction]: fault.faults ?? {},
  })
  if (fault.act !== undefined) await tell(system, line, '/act', { act: fault.act, direction })
}

export function heal(system: System, line: string): Promise<ProxyStatus> {
  return tell(system, line, '/faults', {})
}

function tell({ endpoints }: System, line: string, path: string, what: object): Promise<ProxyStatus> {
  return ask(endpoints.proxies![line]!.control, 'POST', path, patienceMs, what)
}

function proxyOf({ endpoints }: System, line: string): Promise<ProxyStatus> {
  return ask(endpoints.proxies![line]!.control, 'GET', '/status', patienceMs)
}

const deeds = ['cuts', 'dropped', 'duplicated', 'reordered', 'delayed', 'garbage', 'flipped', 'swallowed']

function deedsOf(came: FaultCounts): string {
  const done = deeds.filter((name) => came[name] !== 0).map((name) => `${name} ${came[name] ?? 0}`)
  return done.length === 0 ? 'done' : done.join(' ')
}

function differenceOf(before: FaultCounts, after: FaultCounts): FaultCounts {
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]))
}
