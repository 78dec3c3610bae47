import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import type { Direction } from '../../simulators/chaosproxy/faults.ts'
import type { ProxyStatus } from '../../simulators/chaosproxy/proxy.ts'
import type { Goal } from './goal.ts'
import { type FaultCounts, fewLineFaults, type LineFault } from './net-faults.ts'

const rate = 40
const faultMs = 2_500
const healedMs = 1_000
/** Longer than an unfinished frame is waited for, and what is owed is tried again a few times. */
const restMs = 30_000
/** Shorter than in production, in the same order, so that what a fault leaves open is settled within seconds. */
const timeouts = {
  ...{ networkMs: 1_400, sourceMs: 2_500, terminalMs: 3_600 },
  breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
  retryAfterMs: [500, 1_000, 2_000],
}

interface Trial {
  /** Which line: a network by its name, or the terminals' lines to the switch. */
  readonly line: string
  readonly direction: Direction
  readonly fault: LineFault
}

/** The six of the short form on the line to a network: three in each direction. */
const fewOnNetwork = fewLineFaults.map(
  (fault, index): Trial => ({
    line: 'knet',
    direction: index % 2 === 0 ? 'toClient' : 'toServer',
    fault,
  }),
)

/** What a terminal's line suffers: in both directions of it, before the switch. */
const fewOnTerminals = fewLineFaults.slice(0, 4).flatMap((fault): Trial[] => [
  { line: 'terminals', direction: 'toServer', fault },
  { line: 'terminals', direction: 'toClient', fault },
])

/**
 * `npm run trust:smoke -- net`: a line is harmed while purchases run, and healed; then everything comes to rest and the
 * three books must agree. Each fault begins where the one before it left off: nothing is started anew.
 */
export const net: Goal = (room) => drill(room, fewOnNetwork)

/** `npm run trust:smoke -- net-terminals`: the same between the terminals and the switch. */
export const netTerminals: Goal = (room) => drill(room, fewOnTerminals)

async function drill({ stateFolder, say }: Parameters<Goal>[0], trials: readonly Trial[]): ReturnType<Goal> {
  const system = await startSystem({ stateFolder, proxied: true, timeouts })
  const lines: string[] = []
  let wrong: string | undefined
  let done = 0
  try {
    await system.startTerminals({ rate })
    for (const trial of trials) {
      const tried = await under(trial, system, stateFolder)
      lines.push(tried.line)
      done++
      say(tried.line)
      wrong = tried.wrong
      if (wrong !== undefined) break
    }
    if (wrong === undefined) {
      const { ok, lines: all } = await runReconcile({ stateFolder, final: true })
      lines.push(...all.slice(0, -1))
      if (!ok) wrong = all.at(-1)!.replace('RESULT ', '')
    }
    const terminals = await system.terminals()
    const { sent = 0, approved = 0, unanswered = 0, reversed = 0 } = terminals ?? {}
    return {
      ok: wrong === undefined,
      figures: `faults ${done} of ${trials.length}  purchases ${sent}  approved ${approved}  unanswered ${unanswered}  reversed ${reversed}`,
      lines: [...lines, `RESULT ${wrong ?? 'ok'}`],
    }
  } finally {
    await system.close()
  }
}

/** One fault, from good order to good order. */
async function under(
  { line, direction, fault }: Trial,
  system: System,
  stateFolder: string,
): Promise<{ line: string; wrong?: string }> {
  const proxy = system.endpoints.proxies![line]!.control
  const tell = (path: string, what: object): Promise<ProxyStatus> => ask(proxy, 'POST', path, 5_000, what)
  const startedAt = performance.now()
  const before = await system.terminals()
  await ask(system.endpoints.terminals.control, 'POST', '/start')
  await sleep(500)
  const counted = { ...(await ask<ProxyStatus>(proxy, 'GET', '/status'))[direction] }
  await tell('/faults', {
    ...(fault.door === undefined ? {} : { door: fault.door }),
    [direction]: fault.faults ?? {},
  })
  if (fault.act !== undefined) await tell('/act', { act: fault.act, direction })
  await sleep(faultMs)
  const healed = await tell('/faults', {})
  await sleep(healedMs)
  const stopped = await system.stopTerminals(restMs)
  const settled = await system.settle(restMs)
  const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: restMs, booksOnly: true })
  const result = lines.at(-1)!.replace('RESULT ', '')
  const came = differenceOf(counted, healed[direction])
  const happened = fault.seen === undefined || fault.seen(came)
  const deeds = ['cuts', 'dropped', 'duplicated', 'reordered', 'delayed', 'garbage', 'flipped', 'swallowed']
    .filter((name) => came[name] !== 0)
    .map((name) => `${name} ${came[name] ?? 0}`)
  const approved = stopped.approved - (before?.approved ?? 0)
  const sent = stopped.sent - (before?.sent ?? 0)
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  const text = [
    `${line} ${direction === 'toClient' ? '->' : '<-'} ${fault.name}:`,
    `purchases ${sent}  approved ${approved}  ${deeds.length === 0 ? 'done' : deeds.join(' ')}`,
    `seconds ${seconds}  RESULT ${result}`,
  ].join('  ')
  if (!happened) return { line: text, wrong: `${fault.name} never came to pass` }
  if (!settled || stopped.result !== 'settled')
    return { line: text, wrong: `${fault.name} left something open` }
  if (stopped.surprises > (before?.surprises ?? 0)) return { line: text, wrong: `${fault.name}: a surprise` }
  return ok ? { line: text } : { line: text, wrong: `${fault.name}: ${result}` }
}

function differenceOf(before: object, after: object): FaultCounts {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [
      name,
      (count as number) - ((before as FaultCounts)[name] ?? 0),
    ]),
  )
}
