import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem } from '../../bin/environment/system.ts'
import type { Direction } from '../../simulators/chaosproxy/faults.ts'
import { defaultMix } from '../../simulators/terminals/scenarios.ts'
import type { Goal } from './goal.ts'
import { fewLineFaults, type LineFault, lineFaults } from './net-faults.ts'
import { priceOf } from './net-price.ts'
import { tableOf } from './net-table.ts'
import { type Trial, type Tried, tryFault } from './net-trial.ts'

/** Purchases a second for each network: what two cores serve that have other work as well. */
const ratePerNetwork = 15
/** Shorter than in production, in the same order, so that what a fault leaves open is settled within seconds. */
const timeouts = {
  ...{ networkMs: 1_200, sourceMs: 2_300, terminalMs: 3_000, terminalReversesAgainMs: 1_500 },
  breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
  session: {
    ...{ answerMs: 1_000, echoAfterMs: 2_000 },
    ...{ reconnectMs: 100, reconnectMsMax: 500, refusedMs: 300, refusedMsMax: 600 },
  },
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
const all = [...harmed, 'issuer-host']
const directions: readonly Direction[] = ['toServer', 'toClient']

/** Each fault in each direction of the line to each of three networks. */
const allOnNetworks = lineFaults.flatMap((fault) =>
  directions.flatMap((direction) => harmed.map((line): Trial => ({ line, direction, fault }))),
)

/**
 * `npm run trust:smoke -- net`: a line is harmed while purchases run, and healed; then everything comes to rest and the
 * three books must agree. Each fault begins where the one before it left off: nothing is started anew.
 */
export const net: Goal = (room) => drill(room, { networks: ['knet'], trials: fewOnNetwork, pairs: 0 })

/** `npm run trust:smoke -- net-terminals`: the same between the terminals and the switch. */
export const netTerminals: Goal = (room) =>
  drill(room, { networks: ['knet'], trials: fewOnTerminals, pairs: 0 })

/**
 * `npm run trust:full -- net`: twelve faults, both directions, three networks in turn, and a fourth that nobody harms; then
 * what the others pay in p99 while one of them is harmed. A part of it: `--only fault=black connector=visa`, or
 * `--from 25`, which goes on where a run was cut short; `--pairs 0` leaves out the price.
 */
export const netFull: Goal = (room) => {
  const { trials, pairs } = partOf(room.args)
  return drill(room, { networks: all, trials, pairs })
}

/** `npm run trust:full -- net-price`: the price alone. */
export const netPrice: Goal = (room) =>
  drill(room, { networks: all, trials: [], pairs: partOf(room.args).pairs })

/** Faults that last, and of which a network's own part of the switch could be thought to take from the others. */
const dear = ['blackhole', 'slow', 'stopped reading', 'refused', 'a trickle', 'accepted']

async function drill(
  { stateFolder, say }: Parameters<Goal>[0],
  { networks, trials, pairs }: { networks: readonly string[]; trials: readonly Trial[]; pairs: number },
): ReturnType<Goal> {
  const system = await startSystem({ stateFolder, networks, proxied: true, timeouts })
  const done: Tried[] = []
  const lines: string[] = []
  let wrong: string | undefined
  try {
    await system.startTerminals({ rate: ratePerNetwork * Math.max(2, networks.length), mix })
    for (const trial of trials) {
      const tried = await tryFault(trial, system)
      done.push(tried)
      say(`${done.length} of ${trials.length}  ${tried.line}`)
      wrong = tried.wrong
      if (wrong !== undefined) break
    }
    if (wrong === undefined && pairs > 0) {
      const costly = allOnNetworks.filter(({ fault }) => dear.some((name) => fault.name.startsWith(name)))
      const price = await priceOf(costly, pairs, system, say)
      lines.push(price.line)
      wrong = price.wrong
      await system.stopTerminals(60_000)
      await system.settle(60_000)
    }
    const { ok, lines: books } = await runReconcile({ stateFolder, final: true, settleMs: 30_000 })
    lines.push(...books.slice(0, -1))
    if (!ok) wrong ??= books.at(-1)!.replace('RESULT ', '')
    const terminals = await system.terminals()
    const { sent = 0, approved = 0, unanswered = 0, reversed = 0 } = terminals ?? {}
    return {
      ok: wrong === undefined,
      figures: `faults ${done.length} of ${trials.length}  purchases ${sent}  approved ${approved}  unanswered ${unanswered}  reversed ${reversed}`,
      lines: [...tableOf(done), ...lines, `RESULT ${wrong ?? 'ok'}`],
    }
  } finally {
    await system.close()
  }
}

/** Which trials the command line asks for: words of `--only` must all fit; `--from` counts from 1. */
function partOf(args: readonly string[]): { readonly trials: readonly Trial[]; readonly pairs: number } {
  const valueOf = (name: string, otherwise: number): number => {
    const at = args.indexOf(name)
    if (at === -1) return otherwise
    const value = Number(args[at + 1])
    if (!Number.isInteger(value) || value < 0) throw new Error(`${name} takes a whole number`)
    return value
  }
  const at = args.indexOf('--only')
  const end = args.findIndex((arg, index) => index > at && arg.startsWith('--'))
  const words = at === -1 ? [] : args.slice(at + 1, end === -1 ? undefined : end)
  const fits = words.map((word) => fitOf(word))
  const trials = allOnNetworks
    .slice(Math.max(0, valueOf('--from', 1) - 1))
    .filter((trial) => fits.every((fit) => fit(trial)))
  if (trials.length === 0) throw new Error('no trial is like that')
  return { trials, pairs: valueOf('--pairs', 48) }
}

function fitOf(word: string): (trial: Trial) => boolean {
  const [name, value = ''] = word.split('=')
  const isIn = (fault: LineFault): boolean => fault.name.includes(value)
  if (name === 'fault') return ({ fault }) => isIn(fault)
  if (name === 'connector') return ({ line }) => line === value
  if (name === 'direction') return ({ direction }) => direction === value
  throw new Error('--only takes fault=..., connector=... and direction=toServer or toClient')
}
