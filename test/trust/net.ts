import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import type { Direction } from '../../simulators/chaosproxy/faults.ts'
import type { ProxyStatus } from '../../simulators/chaosproxy/proxy.ts'
import { Latency } from '../../simulators/terminals/latency.ts'
import { defaultMix } from '../../simulators/terminals/scenarios.ts'
import type { LatencyWindow } from '../../simulators/terminals/tally.ts'
import type { Goal } from './goal.ts'
import { type FaultCounts, fewLineFaults, type LineFault, lineFaults } from './net-faults.ts'

/** Purchases a second for each network. */
const ratePerNetwork = 15
/** Before a fault: how the healthy ones fare without it. */
const quietMs = 800
const faultMs = 1_600
const healedMs = 500
/** A machine that does something else for a while is no finding. */
const patienceMs = 120_000
/** Longer than an unfinished frame is waited for, and what is owed is tried again a few times. */
const restMs = 30_000
/** Shorter than in production, in the same order, so that what a fault leaves open is settled within seconds. */
const timeouts = {
  ...{ networkMs: 1_200, sourceMs: 2_300, terminalMs: 3_000, terminalReversesAgainMs: 1_500 },
  breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
  retryAfterMs: [400, 800, 1_600],
}
/**
 * What networks do wrong by themselves is left out: here it is the proxy that does wrong. An approval and a decline for one
 * request above all: the first stands, people are told of the second, and which of them is first is the proxy's to say.
 */
const mix = {
  ...defaultMix,
  ...{ silent: 0, lateApproval: 0, lateDecline: 0, requestLost: 0, differingAnswer: 0 },
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

const harmed = ['knet', 'visa', 'mastercard'] as const
const directions: readonly Direction[] = ['toServer', 'toClient']

/** Each fault in each direction of the line to each of three networks. */
const allOnNetworks = lineFaults.flatMap((fault) =>
  directions.flatMap((direction) => harmed.map((line): Trial => ({ line, direction, fault }))),
)

/**
 * `npm run trust:smoke -- net`: a line is harmed while purchases run, and healed; then everything comes to rest and the
 * three books must agree. Each fault begins where the one before it left off: nothing is started anew.
 */
export const net: Goal = (room) => drill(room, ['knet'], fewOnNetwork)

/** `npm run trust:smoke -- net-terminals`: the same between the terminals and the switch. */
export const netTerminals: Goal = (room) => drill(room, ['knet'], fewOnTerminals)

/**
 * `npm run trust:full -- net`: twelve faults, both directions, three networks in turn, and a fourth that nobody harms; and
 * what the others pay in p99 while one of them is harmed.
 */
export const netFull: Goal = (room) => drill(room, [...harmed, 'issuer-host'], allOnNetworks)

async function drill(
  { stateFolder, say }: Parameters<Goal>[0],
  networks: readonly string[],
  trials: readonly Trial[],
): ReturnType<Goal> {
  const system = await startSystem({ stateFolder, networks, proxied: true, timeouts })
  const lines: string[] = []
  const price = new Price()
  let wrong: string | undefined
  let done = 0
  try {
    await system.startTerminals({ rate: ratePerNetwork * Math.max(2, networks.length), mix })
    for (const trial of trials) {
      const tried = await under(trial, system, stateFolder, price)
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
    if (networks.length > 1) {
      const judged = price.judged()
      lines.push(judged.line)
      wrong ??= judged.wrong
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
  price: Price,
): Promise<{ line: string; wrong?: string }> {
  const proxy = system.endpoints.proxies![line]!.control
  const tell = (path: string, what: object): Promise<ProxyStatus> =>
    ask(proxy, 'POST', path, patienceMs, what)
  const startedAt = performance.now()
  const before = await system.terminals()
  const window = (): Promise<LatencyWindow> =>
    ask(system.endpoints.terminals.control, 'POST', '/window', patienceMs)
  await ask(system.endpoints.terminals.control, 'POST', '/start', patienceMs)
  await sleep(300)
  await window()
  await sleep(quietMs)
  const quiet = await window()
  const counted = { ...(await ask<ProxyStatus>(proxy, 'GET', '/status', patienceMs))[direction] }
  await tell('/faults', {
    ...(fault.door === undefined ? {} : { door: fault.door }),
    [direction]: fault.faults ?? {},
  })
  if (fault.act !== undefined) await tell('/act', { act: fault.act, direction })
  await sleep(faultMs)
  price.note(line, quiet, await window())
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
  if (stopped.surprises > (before?.surprises ?? 0)) {
    return { line: text, wrong: `${fault.name}: ${stopped.latestSurprises.at(-1)?.what ?? 'a surprise'}` }
  }
  return ok ? { line: text } : { line: text, wrong: `${fault.name}: ${result}` }
}

/** What a fault on one line costs those who are not behind it: their p99 without it and with it, in turn, in one run. */
class Price {
  /** In parts of the run, so that it shows how much p99 comes and goes by itself. */
  readonly #quiet = [new Latency(), new Latency(), new Latency()] as const
  readonly #among = [new Latency(), new Latency(), new Latency()] as const
  #trials = 0

  note(harmed: string, quiet: LatencyWindow, among: LatencyWindow): void {
    const part = this.#trials++ % this.#quiet.length
    for (const [name, marks] of Object.entries(quiet.networks))
      if (name !== harmed) this.#quiet[part]!.addMarks(marks)
    for (const [name, marks] of Object.entries(among.networks))
      if (name !== harmed) this.#among[part]!.addMarks(marks)
  }

  judged(): { readonly line: string; readonly wrong: string | undefined } {
    const [quiet, among] = [this.#quiet, this.#among].map((parts) =>
      parts.map((part) => part.percentileMs(0.99)),
    )
    const spread = Math.max(...quiet!) / Math.min(...quiet!) - 1
    const cost = middle(among!) / middle(quiet!) - 1
    const shown = (parts: readonly number[]): string => parts.map((ms) => ms.toFixed(0)).join(', ')
    const count = (parts: readonly Latency[]): number => parts.reduce((sum, part) => sum + part.count, 0)
    return {
      line:
        `p99 of the other networks without a fault ${shown(quiet!)} ms (of ${count(this.#quiet)}), with one ` +
        `${shown(among!)} ms (of ${count(this.#among)}): ${percent(cost)} (without it varies by ${percent(spread)})  ` +
        `load ${loadavg()[0]!.toFixed(1)}`,
      // What comes and goes by itself on this machine is nobody's cost.
      wrong:
        cost <= Math.max(0.1, spread)
          ? undefined
          : `a fault costs the other networks ${percent(cost)} of p99`,
    }
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(share * 100).toFixed(0)} %`
}

function differenceOf(before: object, after: object): FaultCounts {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [
      name,
      (count as number) - ((before as FaultCounts)[name] ?? 0),
    ]),
  )
}
