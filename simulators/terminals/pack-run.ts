import { setTimeout as sleep } from 'node:timers/promises'
import type { Reply } from './channel.ts'
import { asking, type Doing, type Expected, type NetworkAct, type Pack, type Step } from './pack.ts'
import { type Asked, type PurchaseOrder, responseCodeOf, type Terminal } from './terminal.ts'

/** The terminal that plays a pack, as far as a pack has use for it. */
export type PackTerminal = Pick<Terminal, 'begin' | 'repeat' | 'complete' | 'reverse' | 'echo'>

/** The simulated network that a pack is about, as far as a pack has use for it. */
export interface NetworkHand {
  /** Resolves to DE39 of the switch's answer, where it is asked something. */
  act(act: NetworkAct): Promise<string | undefined>
  /** What it has counted, by name, in groups. */
  counts(): Promise<object>
}

export interface PackResult {
  readonly scenario: string
  readonly tookMs: number
  /** What was wrong, with its line; undefined: nothing. */
  readonly failure?: string
}

export interface PackRun {
  readonly terminal: PackTerminal
  readonly network?: NetworkHand | undefined
  /** How long what the network is to count may take: what is stored and forwarded has its own time. */
  readonly countedWithinMs?: number
}

const lasting: readonly NetworkAct[] = ['issuersAway', 'silent']

/** One after the other on one terminal; the first step that is answered otherwise ends its scenario. */
export async function runPack({ scenarios }: Pack, run: PackRun): Promise<PackResult[]> {
  const results: PackResult[] = []
  for (const { name, steps } of scenarios) {
    const startedMs = performance.now()
    const failure = await runSteps(steps, run)
    const tookMs = performance.now() - startedMs
    results.push({ scenario: name, tookMs, ...(failure === undefined ? {} : { failure }) })
  }
  return results
}

async function runSteps(steps: readonly Step[], run: PackRun): Promise<string | undefined> {
  const course = new Course(run.terminal)
  const before = await run.network?.counts()
  let left: NetworkAct | undefined
  try {
    for (const { line, does, expect } of steps) {
      if (does.kind === 'network') left = lasting.includes(does.act) ? does.act : undefined
      const wrong = (await wrongStep(does, expect, { course, run })) ?? (await uncounted(expect, before, run))
      if (wrong !== undefined) return `line ${line}, ${wordOf(does)}: ${wrong}`
    }
    return undefined
  } finally {
    if (left !== undefined) await run.network?.act('back')
  }
}

/** As the file has it. */
function wordOf(does: Doing): string {
  return does.kind === 'network' ? `network ${does.act}` : does.kind
}

async function wrongStep(
  does: Doing,
  expect: Expected,
  { course, run }: { readonly course: Course; readonly run: PackRun },
): Promise<string | undefined> {
  if (does.kind !== 'network') {
    const reply = await course.step(does)
    return typeof reply === 'string' ? reply : wrongIn(reply, expect)
  }
  if (run.network === undefined) return 'no network to do that'
  const code = (await run.network.act(does.act)) ?? 'none'
  if (!asking.includes(does.act) || expect.responseCode.includes(code)) return undefined
  return otherCode(code, expect)
}

/** What a scenario has asked so far, and what came of it: later steps are about it. */
class Course {
  readonly #terminal: PackTerminal
  #asked: Asked | undefined
  #authId: string | undefined
  #reversal: ReturnType<Terminal['reverse']>['message'] | undefined

  constructor(terminal: PackTerminal) {
    this.#terminal = terminal
  }

  /** The reply, or why there can be none. */
  async step(does: Exclude<Doing, { kind: 'network' }>): Promise<Reply | string> {
    if (does.kind === 'echo') return this.#terminal.echo()
    if (does.kind === 'ask') return this.#ask(does.order)
    const asked = this.#asked
    if (asked === undefined) return 'nothing was asked before'
    switch (does.kind) {
      case 'repeat':
        return this.#terminal.repeat(asked)
      case 'complete': {
        const named = this.#authId === undefined ? {} : { authId: this.#authId }
        return this.#terminal.complete(asked, { amountMinor: does.amountMinor, ...named }).reply
      }
      case 'reverse':
      case 'reverseAgain': {
        const again = this.#reversal === undefined ? {} : { again: this.#reversal }
        const reversing = this.#terminal.reverse(asked, does.kind === 'reverse' ? does : again)
        this.#reversal = reversing.message
        return reversing.reply
      }
    }
  }

  async #ask(order: PurchaseOrder): Promise<Reply> {
    this.#asked = this.#terminal.begin(order.pin === 'none' ? { ...order, pin: null } : order)
    const reply = await this.#asked.reply
    this.#authId = reply.kind === 'answer' ? reply.message.fields[38] : undefined
    return reply
  }
}

const countedWithinMsUsual = 60_000

async function uncounted(
  { counted }: Expected,
  before: object | undefined,
  { network, countedWithinMs = countedWithinMsUsual }: PackRun,
): Promise<string | undefined> {
  const wanted = Object.entries(counted)
  if (wanted.length === 0) return undefined
  if (network === undefined) return 'no network that counts'
  const untilMs = performance.now() + countedWithinMs
  for (;;) {
    const now = await network.counts()
    const missing = wanted.find(([name, more]) => countOf(now, name) - countOf(before, name) < more)
    if (missing === undefined) return undefined
    if (performance.now() > untilMs) return `the network has not counted ${missing[1]} more ${missing[0]}`
    await sleep(50)
  }
}

function countOf(counts: unknown, path: string): number {
  const value = path
    .split('.')
    .reduce((of: unknown, name) => (of as Readonly<Record<string, unknown>> | undefined)?.[name], counts)
  return typeof value === 'number' ? value : 0
}

function wrongIn(reply: Reply, { responseCode, present, absent }: Expected): string | undefined {
  const code = responseCodeOf(reply) ?? 'none'
  if (!responseCode.includes(code)) return otherCode(code, { responseCode })
  if (reply.kind !== 'answer') return undefined
  const missing = present.find((de) => reply.message.fields[de] === undefined)
  if (missing !== undefined) return `DE${missing} is missing`
  const surplus = absent.find((de) => reply.message.fields[de] !== undefined)
  return surplus === undefined ? undefined : `DE${surplus} is there`
}

function otherCode(code: string, { responseCode }: Pick<Expected, 'responseCode'>): string {
  return `DE39: answered ${code}, expected ${responseCode.join(' or ')}`
}
