import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '../../bin/environment/control.ts'
import type { System } from '../../bin/environment/system.ts'
import type { LatencyWindow } from '../../simulators/terminals/tally.ts'
import { harm, heal, named, patienceMs, type Trial } from './net-trial.ts'
import { costOf, costsMore, type Pair, saidOf } from './paired.ts'

/** The healthy ones may pay so much of their p99 while another is harmed. */
const costMax = 0.1
const windowMs = 2_000
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
  const taken: Pair[] = []
  const { control } = system.endpoints.terminals
  await ask(control, 'POST', '/rate', patienceMs, { rate })
  await ask(control, 'POST', '/start', patienceMs)
  await sleep(2_000)
  for (let turn = 0; turn < pairs; turn++) {
    const trial = trials[turn % trials.length]!
    const others = (window: LatencyWindow) =>
      Object.entries(window.networks).flatMap(([name, marks]) => (name === trial.line ? [] : [marks]))
    const among = async () => {
      await harm(system, trial)
      await sleep(betweenMs)
      const seen = others(await windowOf(system))
      await heal(system, trial.line)
      await sleep(betweenMs)
      return seen
    }
    const first = turn % 2 === 0 ? others(await windowOf(system)) : await among()
    const second = turn % 2 === 0 ? await among() : others(await windowOf(system))
    taken.push(turn % 2 === 0 ? { without: first, among: second } : { without: second, among: first })
    if (turn % 10 === 9)
      say(`${turn + 1} of ${pairs} pairs, the last ${named(trial)}: ${saidOf(costOf(taken), costMax)}`)
  }
  const cost = costOf(taken)
  return {
    line: `the other networks among a fault (${pairs} pairs of ${windowMs} ms, load ${loadavg()[0]!.toFixed(1)}): ${saidOf(cost, costMax)}`,
    ...(costsMore(cost, costMax) && { wrong: 'a fault costs the other networks more than that of p99' }),
  }
}

async function windowOf({ endpoints }: System): Promise<LatencyWindow> {
  const take = () => ask<LatencyWindow>(endpoints.terminals.control, 'POST', '/window', patienceMs)
  await take()
  await sleep(windowMs)
  return take()
}
