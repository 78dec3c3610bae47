import { cardNamed, loadCardsOf, type TestCard, testCards } from '../cards.ts'
import { Place } from '../documents.ts'
import { processingCodes } from './messages.ts'
import type { PurchaseOrder } from './terminal.ts'

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

export interface Step {
  readonly line: number
  readonly does: Doing
  readonly expect: Expected
}

export type Doing =
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
export const asking: readonly NetworkAct[] = ['cutover', 'newMacKey', 'newPinKey']

export interface Expected {
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
  const does = readDoing(named[0]!, said[named[0]!]!, card)
  return { line: place.line, does, expect: readExpected(expect, does) }
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

function readExpected(place: Place | undefined, does: Doing): Expected {
  const said = place?.fields(['responseCode', 'present', 'absent', 'counted'])
  // What nobody would look at must not stand there as if it were checked.
  if (does.kind === 'network') {
    if (!asking.includes(does.act)) said?.responseCode?.refuse('the network asks nothing there')
    const unseen = said?.present ?? said?.absent
    unseen?.refuse('of an answer to the network only the responseCode is seen')
  }
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
