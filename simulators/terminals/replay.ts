import { setTimeout as sleep } from 'node:timers/promises'
import { readBook } from '../book.ts'
import { cardOfMask } from '../cards.ts'
import { SimulatorError } from '../fault.ts'
import type { TerminalLine } from './book-lines.ts'
import { outageCodes, pinFor, type Scenario, scenarios } from './scenarios.ts'
import type { Reply } from './channel.ts'
import { repeatOf } from './messages.ts'
import { type Asked, type PurchaseOrder, responseCodeOf, type Terminal } from './terminal.ts'

/**
 * Recorded traffic: what terminals did once, by their book, with the moments at which they did it. A book has no card
 * number, PIN or seal in it, so a trace can be kept and passed on; card and PIN come from the table of test cards when it
 * is replayed, numbers, times and seals are new ones.
 */
export interface Trace {
  readonly steps: readonly TraceStep[]
  /** How the request under each reference was answered, where that is to be the same again. */
  readonly answers: ReadonlyMap<string, string>
}

interface StepOf {
  readonly atMs: number
  readonly terminal: string
  readonly rrn: string
  /** The terminal had heard what became of the request. */
  readonly isAfterAnswer: boolean
}

export type TraceStep = StepOf &
  (
    | { readonly does: 'ask'; readonly order: PurchaseOrder }
    | { readonly does: 'repeat' }
    | { readonly does: 'reverse'; readonly mti: '0400' | '0420' }
    | { readonly does: 'complete'; readonly amountMinor: bigint }
  )

export interface ReplayOptions {
  readonly open: (terminalId: string) => Promise<Terminal>
  /** 2 is twice as fast as it was. */
  readonly speed?: number
}

export interface Replayed {
  readonly asked: number
  readonly same: number
  /** Not answered when they were recorded, or by chance. */
  readonly uncompared: number
  readonly differing: readonly { readonly rrn: string; readonly was: string; readonly is: string }[]
}

/** Of a book of terminals. Throws a `SimulatorError` where it holds a card that is not in the table. */
export async function readTrace(book: string): Promise<Trace> {
  const steps: TraceStep[] = []
  const answers = new Map<string, string>()
  const unsent = new Set<string>()
  const asked = new Map<string, Scenario | undefined>()
  const held = new Map<string, TraceStep>()
  let beganAt: number | undefined
  for await (const read of readBook(book)) {
    const line = read as unknown as TerminalLine
    beganAt ??= line.at
    if (line.event === 'request') asked.set(line.rrn, known[line.scenario])
    if (line.event === 'answer' && !answers.has(line.rrn)) answers.set(line.rrn, line.responseCode)
    if (line.event === 'unsent') unsent.add(line.rrn)
    const does = doingOf(line)
    const atMs = line.at - beganAt
    // Booked, and not sent before its reversal had been acknowledged.
    const ahead = line.event === 'reversalAnswer' ? held.get(line.rrn) : undefined
    if (ahead !== undefined) steps.push({ ...ahead, atMs })
    if (does === undefined) continue
    const step = {
      atMs,
      terminal: line.terminal,
      rrn: line.rrn,
      isAfterAnswer: answers.has(line.rrn),
      ...does,
    }
    if (asked.get(line.rrn)?.then === 'reverseFirst' && does.does === 'ask') held.set(line.rrn, step)
    else steps.push(step)
  }
  for (const [rrn, responseCode] of answers) {
    const scenario = asked.get(rrn)
    if (scenario === undefined || isByChance(scenario, responseCode)) answers.delete(rrn)
  }
  return { steps: steps.filter(({ rrn }) => !unsent.has(rrn)), answers }
}

/** What a scenario's name says; a book may be older than the names of today. */
const known: Readonly<Partial<Record<string, Scenario>>> = scenarios

/** Where chance had a part in the answer: its reversal left while it was in flight, or something was out of order then. */
function isByChance({ expects, then }: Scenario, responseCode: string): boolean {
  return (
    then === 'reverseInFlight' ||
    (outageCodes.includes(responseCode) && expects?.includes(responseCode) !== true)
  )
}

type Does<Step> = Step extends unknown ? Omit<Step, keyof StepOf> : never

function doingOf(line: TerminalLine): Does<TraceStep> | undefined {
  if (line.event === 'request') return { does: 'ask', order: orderOf(line) }
  if (line.event === 'repeat') return { does: 'repeat' }
  if (line.event === 'completion') return { does: 'complete', amountMinor: BigInt(line.amountMinor) }
  return line.event === 'reversal' && line.attempt === 1 ? { does: 'reverse', mti: line.mti } : undefined
}

function orderOf(line: TerminalLine & { event: 'request' }): PurchaseOrder {
  const card = cardOfMask(line.card)
  const scenario = known[line.scenario]
  if (card === undefined || scenario === undefined)
    throw new SimulatorError({
      kind: 'book',
      why: `${line.rrn} has a card or a scenario that is not known here`,
    })
  return {
    ...{ card, amountMinor: BigInt(line.amountMinor), currency: line.currency, kind: line.kind },
    ...{ entry: line.entry, pin: pinFor(scenario, card) },
    ...(scenario.spoiled === 'seal' && { seal: 'wrong' }),
    ...(scenario.spoiled === 'format' && { fields: { 22: '0A1' } }),
  }
}

/** A switch lets no more in from one address than this by far; beyond it, terminals of the trace share one here. */
const connectionsMax = 50

/** Each step at its moment, whatever became of those before it; a step about a request follows that request. */
export async function replay(trace: Trace, { open, speed = 1 }: ReplayOptions): Promise<Replayed> {
  const { steps } = trace
  const names = [...new Set(steps.map(({ terminal }) => terminal))]
  const terminals: Terminal[] = []
  for (const [index] of names.slice(0, connectionsMax).entries())
    terminals.push(await open(`R${String(index + 1).padStart(7, '0')}`))
  const places = new Map(names.map((name, index) => [name, terminals[index % connectionsMax]!]))
  const run = new Run(trace)
  const startedMs = performance.now()
  const waits: Promise<void>[] = []
  for (const step of steps) {
    const waitMs = startedMs + step.atMs / speed - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    waits.push(run.step(step, places.get(step.terminal)!))
  }
  await Promise.all(waits)
  for (const terminal of terminals) terminal.close()
  return run.result
}

/** What has been asked so far, by the references of the trace. */
class Run {
  readonly #trace: Trace
  readonly #drafts = new Map<string, Omit<Asked, 'reply'>>()
  readonly #replies = new Map<string, Promise<Reply>>()
  readonly #reversals = new Map<string, Promise<Reply>>()
  readonly #differing: { rrn: string; was: string; is: string }[] = []
  #same = 0
  #uncompared = 0

  constructor(trace: Trace) {
    this.#trace = trace
  }

  get result(): Replayed {
    return {
      ...{ asked: this.#replies.size, same: this.#same },
      ...{ uncompared: this.#uncompared, differing: this.#differing },
    }
  }

  async step(step: TraceStep, terminal: Terminal): Promise<void> {
    const { rrn } = step
    const draft = this.#drafts.get(rrn) ?? this.#draft(rrn, terminal)
    if (draft === undefined) return
    if (step.isAfterAnswer) await this.#replies.get(rrn)
    switch (step.does) {
      case 'ask': {
        // One that was reversed ahead of it came when that had been acknowledged.
        await this.#reversals.get(rrn)
        const reply = terminal.ask(draft.message, step.order)
        this.#replies.set(rrn, reply)
        return this.#compare(rrn, responseCodeOf(await reply))
      }
      case 'repeat':
        await terminal.ask(repeatOf(draft.message))
        return
      case 'reverse': {
        const { reply } = terminal.reverse(draft, { mti: step.mti })
        this.#reversals.set(rrn, reply)
        await reply
        return
      }
      case 'complete': {
        const reply = await this.#replies.get(rrn)
        const authId = reply?.kind === 'answer' ? reply.message.fields[38] : undefined
        const named = authId === undefined ? {} : { authId }
        await terminal.complete(draft, { amountMinor: step.amountMinor, ...named }).reply
      }
    }
  }

  /** A reversal may have been sent before what it reverses. */
  #draft(rrn: string, terminal: Terminal): Omit<Asked, 'reply'> | undefined {
    const asked = this.#trace.steps.find((step) => step.rrn === rrn && step.does === 'ask')
    if (asked?.does !== 'ask') return undefined
    const draft = terminal.draft(asked.order)
    this.#drafts.set(rrn, draft)
    return draft
  }

  #compare(rrn: string, responseCode = 'none'): void {
    const was = this.#trace.answers.get(rrn)
    if (was === undefined) this.#uncompared++
    else if (was === responseCode) this.#same++
    else this.#differing.push({ rrn, was, is: responseCode })
  }
}
