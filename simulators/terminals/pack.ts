import { cardNamed, testCards } from '../cards.ts'
import { Place } from '../documents.ts'
import { type Asked, type PurchaseOrder, responseCodeOf, type Terminal } from './terminal.ts'
import { processingCodes } from './messages.ts'
import type { Reply } from './channel.ts'

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
  | { readonly kind: 'echo' }

interface Expected {
  /** Any of these is right; `none` is no answer. */
  readonly responseCode: readonly string[]
  readonly present: readonly number[]
  readonly absent: readonly number[]
}

export interface PackResult {
  readonly scenario: string
  readonly tookMs: number
  /** What was wrong, with its line; undefined: nothing. */
  readonly failure?: string
}

/** Throws a `SimulatorError` with file, line and reason. */
export function readPack(text: string, file: string): PackScenario[] {
  const whole = Place.read(text, file)
  const { scenarios } = whole.fields(['about', 'scenarios'])
  if (scenarios === undefined) return whole.refuse('scenarios are needed')
  return scenarios.items().map((place) => {
    const { name, steps } = place.fields(['name', 'steps'])
    if (name === undefined || steps === undefined) return place.refuse('a scenario has a name and steps')
    return { name: name.text(), steps: steps.items().map(readStep) }
  })
}

const kinds = Object.keys(processingCodes) as (keyof typeof processingCodes)[]

function readStep(place: Place): Step {
  const said = place.fields(['ask', 'reverse', 'reverseAgain', 'repeat', 'echo', 'expect'])
  const { ask, reverse, expect, ...plain } = said
  const simple = (['reverseAgain', 'repeat', 'echo'] as const).filter((name) => plain[name] !== undefined)
  const many = simple.length + Number(ask !== undefined) + Number(reverse !== undefined)
  if (many !== 1) return place.refuse('a step does one thing: ask, reverse, reverseAgain, repeat or echo')
  const does: Doing =
    ask !== undefined ? readAsk(ask) : reverse !== undefined ? readReverse(reverse) : { kind: simple[0]! }
  return { line: place.line, does, expect: readExpected(expect) }
}

function readAsk(place: Place): Doing {
  const said = place.fields(['kind', 'card', 'amountMinor', 'pin', 'entry', 'seal', 'fields'])
  const card = said.card?.text() ?? 'knet'
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
  const said = place?.fields(['responseCode', 'present', 'absent'])
  const elements = (each: Place | undefined): number[] =>
    each?.oneOrMore().map((one) => one.number({ min: 2, max: 128 })) ?? []
  const code = /^([0-9A-Z]{2}|none)$/
  return {
    responseCode: said?.responseCode?.oneOrMore().map((one) => one.text(code, 'a code of two, or none')) ?? [
      '00',
    ],
    present: elements(said?.present),
    absent: elements(said?.absent),
  }
}

/** One after the other on one terminal; the first step that is answered otherwise ends its scenario. */
export async function runPack(pack: readonly PackScenario[], terminal: Terminal): Promise<PackResult[]> {
  const results: PackResult[] = []
  for (const { name, steps } of pack) {
    const startedMs = performance.now()
    const failure = await runSteps(steps, terminal)
    const tookMs = performance.now() - startedMs
    results.push({ scenario: name, tookMs, ...(failure === undefined ? {} : { failure }) })
  }
  return results
}

async function runSteps(steps: readonly Step[], terminal: Terminal): Promise<string | undefined> {
  let asked: Asked | undefined
  let reversal: ReturnType<Terminal['reverse']>['message'] | undefined
  for (const { line, does, expect } of steps) {
    let reply: Reply
    if (does.kind === 'echo') reply = await terminal.echo()
    else if (does.kind === 'ask') {
      const { order } = does
      asked = terminal.begin(order.pin === 'none' ? { ...order, pin: null } : order)
      reply = await asked.reply
    } else if (asked === undefined) return `line ${line}: nothing was asked before`
    else if (does.kind === 'repeat') reply = await terminal.repeat(asked)
    else {
      const again = does.kind === 'reverseAgain' && reversal !== undefined ? { again: reversal } : {}
      const reversing = terminal.reverse(asked, does.kind === 'reverse' ? does : again)
      reversal = reversing.message
      reply = await reversing.reply
    }
    const wrong = wrongIn(reply, expect)
    if (wrong !== undefined) return `line ${line}: ${wrong}`
  }
  return undefined
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
