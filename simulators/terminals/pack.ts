import { setTimeout as sleep } from 'node:timers/promises'
import { cardNamed, loadCardsOf, type TestCard, testCards } from '../cards.ts'
import { Place } from '../documents.ts'
import { type Asked, type PurchaseOrder, responseCodeOf, type Terminal } from './terminal.ts'
import { processingCodes } from './messages.ts'
import type { Reply } from './channel.ts'

/** A file of scenarios. */
export interface Pack {
  /** The network that they are about: it has to be there, and its cards are asked for. */
  readonly network?: string
  readonly scenarios: readonly PackScenario[]
}

/** A terminal's doings, one after the other, and what must be answered to each. */
export interface PackScenario {
  readonly name: string
  readonly steps: readonly Step[]
}

interface Step {
  readonly line: number
  readonly does: Doing
  readonly expect: Expected
}

type Doing =
  | { readonly kind: 'ask'; readonly order: PurchaseOrder }
  | { readonly kind: 'reverse'; readonly mti: '0400' | '0420'; readonly actualMinor?: bigint }
  /** The latest reversal once more, as a repeat. */
  | { readonly kind: 'reverseAgain' }
  /** The latest request once more, as 0201. */
  | { readonly kind: 'repeat' }
  /** So much of the latest authorization was used. */
  | { readonly kind: 'complete'; readonly amountMinor: bigint }
  | { readonly kind: 'echo' }
  /** Something of the simulated network's, not of the terminal's. */
  | { readonly kind: 'network'; readonly act: NetworkAct }

const networkActs = [
  ...(['reconnect', 'cutover', 'newMacKey', 'newPinKey'] as const),
  ...(['issuersAway', 'silent', 'back', 'watch'] as const),
] as const
/**
 * The line is cut and made anew; the business date turns; the network sends a key; it answers that no issuer can be asked;
 * it does and does not answer; it is as it should be; it is only looked at.
 */
export type NetworkAct = (typeof networkActs)[number]

/** Those in which the network asks us something. */
const asking: readonly NetworkAct[] = ['cutover', 'newMacKey', 'newPinKey']
const lasting: readonly NetworkAct[] = ['issuersAway', 'silent']

/** The simulated network that a pack is about, as far as a pack has use for it. */
export interface NetworkHand {
  /** Resolves to DE39 of the switch's answer, where it is asked something. */
  act(act: NetworkAct): Promise<string | undefined>
  /** What it has counted, by name, in groups. */
  counts(): Promise<object>
}

interface Expected {
  /** Any of these is right; `none` is no answer. */
  readonly responseCode: readonly string[]
  readonly present: readonly number[]
  readonly absent: readonly number[]
  /**
   * So many more of each, at least, on the network's side since the scenario began: `signOns`, or `totals.inBalance` where
   * it counts in groups.
   */
  readonly counted: Readonly<Record<string, number>>
}

export interface PackResult {
  readonly scenario: string
  readonly tookMs: number
  /** What was wrong, with its line; undefined: nothing. */
  readonly failure?: string
}

/** Throws a `SimulatorError` with file, line and reason. */
export function readPack(text: string, file: string): Pack {
  const whole = Place.read(text, file)
  const { network, scenarios } = whole.fields(['about', 'network', 'scenarios'])
  if (scenarios === undefined) return whole.refuse('scenarios are needed')
  const cards = network === undefined ? [] : loadCardsOf(network.text())
  if (network !== undefined && cards.length === 0)
    return network.refuse('no network has test cards under this name')
  const card = cards[0] ?? cardNamed('knet')
  const read = scenarios.items().map((place) => {
    const { name, steps } = place.fields(['name', 'steps'])
    if (name === undefined || steps === undefined) return place.refuse('a scenario has a name and steps')
    return { name: name.text(), steps: steps.items().map((step) => readStep(step, card)) }
  })
  return { ...(network && { network: network.text() }), scenarios: read }
}

const kinds = Object.keys(processingCodes) as (keyof typeof processingCodes)[]

const doings = ['ask', 'reverse', 'reverseAgain', 'repeat', 'complete', 'echo', 'network'] as const

function readStep(place: Place, card: TestCard): Step {
  const { expect, ...said } = place.fields([...doings, 'expect'])
  const named = doings.filter((name) => said[name] !== undefined)
  if (named.length !== 1) return place.refuse(`a step does one thing: ${doings.join(', ')}`)
  return {
    line: place.line,
    does: readDoing(named[0]!, said[named[0]!]!, card),
    expect: readExpected(expect),
  }
}

function readDoing(kind: (typeof doings)[number], place: Place, card: TestCard): Doing {
  switch (kind) {
    case 'ask':
      return readAsk(place, card)
    case 'reverse':
      return readReverse(place)
    case 'complete': {
      const { amountMinor } = place.fields(['amountMinor'])
      if (amountMinor === undefined) return place.refuse('amountMinor is needed')
      return { kind, amountMinor: BigInt(amountMinor.text(/^[0-9]+$/, 'minor units in digits')) }
    }
    case 'network':
      return { kind, act: place.oneOf(networkActs) }
    case 'reverseAgain':
    case 'repeat':
    case 'echo':
      return { kind }
  }
}

function readAsk(place: Place, usual: TestCard): Doing {
  const said = place.fields(['kind', 'card', 'amountMinor', 'pin', 'entry', 'seal', 'fields'])
  const card = said.card?.text() ?? usual.name
  if (!testCards.some(({ name }) => name === card)) said.card!.refuse(`no test card is called ${card}`)
  const fields = said.fields?.entries().map(([de, value]) => [Number(de), value.text()] as const)
  return {
    kind: 'ask',
    order: {
      card: cardNamed(card),
      amountMinor: BigInt(said.amountMinor?.text(/^[0-9]+$/, 'minor units in digits') ?? '0'),
      kind: said.kind?.oneOf(kinds) ?? 'purchase',
      ...(said.pin === undefined ? {} : { pin: said.pin.text(/^([0-9]{4,12}|none)$/, 'a PIN, or none') }),
      ...(said.entry === undefined ? {} : { entry: said.entry.oneOf(['pan', 'track2']) }),
      ...(said.seal === undefined ? {} : { seal: said.seal.oneOf(['good', 'wrong', 'none']) }),
      ...(fields === undefined ? {} : { fields: Object.fromEntries(fields) }),
    },
  }
}

function readReverse(place: Place): Doing {
  const said = place.fields(['mti', 'remainingMinor'])
  const part = said.remainingMinor && BigInt(said.remainingMinor.text(/^[0-9]+$/, 'minor units in digits'))
  const mti = said.mti?.oneOf(['0400', '0420']) ?? '0420'
  return { kind: 'reverse', mti, ...(part === undefined ? {} : { actualMinor: part }) }
}

function readExpected(place: Place | undefined): Expected {
  const said = place?.fields(['responseCode', 'present', 'absent', 'counted'])
  const elements = (each: Place | undefined): number[] =>
    each?.oneOrMore().map((one) => one.number({ min: 2, max: 128 })) ?? []
  const code = /^([0-9A-Z]{2,3}|none)$/
  return {
    responseCode: said?.responseCode
      ?.oneOrMore()
      .map((one) => one.text(code, 'a code of two or three, or none')) ?? ['00'],
    present: elements(said?.present),
    absent: elements(said?.absent),
    counted: Object.fromEntries(
      said?.counted?.entries().map(([name, each]) => [name, each.number({ min: 1, max: 1_000 })]) ?? [],
    ),
  }
}

export interface PackRun {
  readonly terminal: Terminal
  readonly network?: NetworkHand | undefined
  /** How long what the network is to count may take: what is stored and forwarded has its own time. */
  readonly countedWithinMs?: number
}

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
      if (wrong !== undefined) return `line ${line}: ${wrong}`
    }
    return undefined
  } finally {
    if (left !== undefined) await run.network?.act('back')
  }
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
  return `answered ${code}, expected ${expect.responseCode.join(' or ')}`
}

/** What a scenario has asked so far, and what came of it: later steps are about it. */
class Course {
  readonly #terminal: Terminal
  #asked: Asked | undefined
  #authId: string | undefined
  #reversal: ReturnType<Terminal['reverse']>['message'] | undefined

  constructor(terminal: Terminal) {
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
  if (!responseCode.includes(code)) return `answered ${code}, expected ${responseCode.join(' or ')}`
  if (reply.kind !== 'answer') return undefined
  const missing = present.find((de) => reply.message.fields[de] === undefined)
  if (missing !== undefined) return `DE${missing} is missing`
  const surplus = absent.find((de) => reply.message.fields[de] !== undefined)
  return surplus === undefined ? undefined : `DE${surplus} is there`
}
