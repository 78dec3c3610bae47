import { asking, type PackScenario, type Step } from '../../simulators/terminals/pack.ts'
import {
  type NetworkHand,
  type PackRun,
  type PackTerminal,
  runPack,
} from '../../simulators/terminals/pack-run.ts'
import type { Reply } from '../../simulators/terminals/channel.ts'
import type { Asked } from '../../simulators/terminals/terminal.ts'

/** What one scenario was answered, step by step, so that it can be played again from memory. */
export interface Heard {
  readonly steps: HeardStep[]
  /** What the network had counted when the scenario began. */
  before?: object
}

interface HeardStep {
  readonly reply?: Reply
  readonly asked?: Asked
  readonly code?: string | undefined
  /** What the network had counted when that was looked at for this step. */
  counts?: object
}

/** Plays a scenario for real, and keeps what it was answered. Resolves to what was wrong, if anything was. */
export async function hear(
  scenario: PackScenario,
  { terminal, network, ...run }: PackRun,
): Promise<{ readonly heard: Heard; readonly failure: string | undefined }> {
  const heard: Heard = { steps: [] }
  const kept = async (reply: Promise<Reply>): Promise<Reply> => {
    heard.steps.push({ reply: await reply })
    return reply
  }
  const recorder: PackTerminal = {
    begin(order) {
      const asked = terminal.begin(order)
      const reply = asked.reply.then((answer) => {
        heard.steps.push({ reply: answer, asked })
        return answer
      })
      return { ...asked, reply }
    },
    echo: () => kept(terminal.echo()),
    repeat: (asked) => kept(terminal.repeat(asked)),
    complete(asked, order) {
      const { message, reply } = terminal.complete(asked, order)
      return { message, reply: kept(reply) }
    },
    reverse(asked, order) {
      const { message, reply } = terminal.reverse(asked, order)
      return { message, reply: kept(reply) }
    },
  }
  const hand: NetworkHand | undefined = network && {
    async act(act) {
      const code = await network.act(act)
      heard.steps.push({ code })
      return code
    },
    async counts() {
      const counts = await network.counts()
      const step = heard.steps.at(-1)
      if (step === undefined) heard.before = counts
      else step.counts = counts
      return counts
    },
  }
  const [result] = await runPack({ scenarios: [scenario] }, { ...run, terminal: recorder, network: hand })
  return { heard, failure: result!.failure }
}

/** One step's answer with one thing that was expected of it otherwise. */
interface Alteration {
  readonly at: number
  /** As the failure has to name it. */
  readonly field: string
  readonly alter: (step: HeardStep) => HeardStep
}

/**
 * Each step's answer with one expected thing altered, one at a time. Resolves to how many there were, and to those that were
 * not found, or were found without a word of which step and what in it.
 */
export async function tryAlterations(
  scenario: PackScenario,
  heard: Heard,
): Promise<{ readonly altered: number; readonly missed: readonly string[] }> {
  const all = scenario.steps.flatMap((step, at) => alterationsOf(step, at, heard))
  const missed: string[] = []
  for (const { at, field, alter } of all) {
    const steps = heard.steps.map((step, index) => (index === at ? alter(step) : step))
    const failure = await playAgain(scenario, { ...heard, steps })
    const { line } = scenario.steps[at]!
    if (failure?.startsWith(`line ${line}, `) !== true || !failure.includes(field))
      missed.push(`${scenario.name}: ${field} of line ${line}: ${failure ?? 'passed'}`)
  }
  return { altered: all.length, missed }
}

function alterationsOf({ does, expect }: Step, at: number, { before }: Heard): Alteration[] {
  const counted = Object.entries(expect.counted).map(([name, more]) => ({
    ...{ at, field: name },
    alter: (step: HeardStep) => ({
      ...step,
      counts: withCount(step.counts!, name, countOf(before, name) + more - 1),
    }),
  }))
  if (does.kind === 'network') {
    if (!asking.includes(does.act)) return counted
    return [otherCode(expect), undefined]
      .map<Alteration>((code) => ({ at, field: 'DE39', alter: (step) => ({ ...step, code }) }))
      .concat(counted)
  }
  const fields = [
    ...(expect.responseCode.includes('none') ? [] : [{ 39: undefined }]),
    { 39: otherCode(expect) },
    ...expect.present.map((de) => ({ [de]: undefined })),
    ...expect.absent.map((de) => ({ [de]: '000000' })),
  ]
  const silence: Alteration = {
    at,
    field: 'DE39',
    alter: (step) => ({ ...step, reply: { kind: 'noAnswer', why: 'timeout' } }),
  }
  return [
    ...fields.map((changed) => ({ at, field: `DE${Object.keys(changed)[0]!}`, alter: withFields(changed) })),
    ...(expect.responseCode.includes('none') ? [] : [silence]),
    ...counted,
  ]
}

function otherCode({ responseCode }: Step['expect']): string {
  return ['06', '00'].find((code) => !responseCode.includes(code))!
}

function withFields(changed: Readonly<Record<number, string | undefined>>): (step: HeardStep) => HeardStep {
  return ({ reply, ...step }) => {
    if (reply?.kind !== 'answer') return { ...step, ...(reply && { reply }) }
    const fields: Record<number, string> = { ...reply.message.fields }
    for (const [de, value] of Object.entries(changed)) {
      if (value === undefined) Reflect.deleteProperty(fields, de)
      else fields[Number(de)] = value
    }
    return { ...step, reply: { ...reply, message: { ...reply.message, fields } } }
  }
}

/** The scenario against what was heard: no switch, no network. */
async function playAgain(scenario: PackScenario, { steps, before }: Heard): Promise<string | undefined> {
  let next = 0
  const reply = (): Promise<Reply> => Promise.resolve(steps[next++]!.reply!)
  const message = { mti: '', fields: {} }
  const terminal: PackTerminal = {
    begin() {
      const step = steps[next++]!
      return { ...step.asked!, reply: Promise.resolve(step.reply!) }
    },
    echo: reply,
    repeat: reply,
    complete: () => ({ message, reply: reply() }),
    reverse: () => ({ message, reply: reply() }),
  }
  const network: NetworkHand = {
    // What is done after the last step is to put the network right again.
    act: () => Promise.resolve(steps[next++]?.code),
    counts: () => Promise.resolve((next === 0 ? before : steps[next - 1]!.counts) ?? {}),
  }
  const [result] = await runPack({ scenarios: [scenario] }, { terminal, network, countedWithinMs: 0 })
  return result!.failure
}

type Counts = Readonly<Record<string, unknown>>

function countOf(counts: unknown, path: string): number {
  const value = path.split('.').reduce((of: unknown, name) => (of as Counts | undefined)?.[name], counts)
  return typeof value === 'number' ? value : 0
}

function withCount(counts: object, path: string, value: number): object {
  const [name, ...rest] = path.split('.')
  const inner = (counts as Counts)[name!]
  return { ...counts, [name!]: rest.length === 0 ? value : withCount(inner as object, rest.join('.'), value) }
}
