import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '../../bin/environment/control.ts'
import type { System } from '../../bin/environment/system.ts'
import type { LatencyWindow } from '../../simulators/terminals/tally.ts'
import { inCalm } from './calm.ts'
import { harm, heal, patienceMs, type Trial } from './net-trial.ts'
import { costOf, costsMore, type Pair, saidOf } from './paired.ts'

/** The healthy ones may pay so much of their p99 while another is harmed. */
const costMax = 0.1
const windowMs = 4_000
/** Purchases a second in all: little, so that the machine's own queues do not drown what is asked about. */
const rate = 32
/** Between two windows: a session that was harmed is up again, and nothing of before is answered any more. */
const betweenMs = 800

export interface Price {
  readonly line: string
  readonly wrong?: string
}

/**
 * What a fault on one line costs those who are not behind it: short windows without a fault and with one, in turn, each
 * time another of `trials`, and every other time in the other order.
 */
export async function priceOf(
  trials: readonly Trial[],
  pairs: number,
  system: System,
  say: (what: string) => void,
): Promise<Price> {
  const { control } = system.endpoints.terminals
  await ask(control, 'POST', '/rate', patienceMs, { rate })
  await ask(control, 'POST', '/start', patienceMs)
  await sleep(2_000)
  const others = (trial: Trial, window: LatencyWindow) =>
    Object.entries(window.networks).flatMap(([name, marks]) => (name === trial.line ? [] : [marks]))
  const amongOf = async (trial: Trial) => {
    await harm(system, trial)
    await sleep(betweenMs)
    const seen = others(trial, await windowOf(system))
    await heal(system, trial.line)
    await sleep(betweenMs)
    return seen
  }
  const pairAt = async (turn: number): Promise<Pair> => {
    const trial = trials[turn % trials.length]!
    if (turn % 2 === 0) return { without: others(trial, await windowOf(system)), among: await amongOf(trial) }
    const among = await amongOf(trial)
    return { without: others(trial, await windowOf(system)), among }
  }
  const { disturbed, pairs: taken } = await inCalm(pairs, pairAt, (soFar, left) => {
    if (soFar.length % 10 === 0)
      say(`${soFar.length} of ${pairs} pairs, ${left} disturbed: ${saidOf(costOf(soFar), costMax)}`)
  })
  const cost = costOf(taken)
  return {
    line: `the other networks among a fault (${pairs} pairs of ${windowMs} ms, ${disturbed} more disturbed by the host, load ${loadavg()[0]!.toFixed(1)}): ${saidOf(cost, costMax)}`,
    ...(costsMore(cost, costMax) && { wrong: 'a fault costs the other networks more than that of p99' }),
  }
}

async function windowOf({ endpoints }: System): Promise<LatencyWindow> {
  const take = () => ask<LatencyWindow>(endpoints.terminals.control, 'POST', '/window', patienceMs)
  await take()
  await sleep(windowMs)
  return take()
}
