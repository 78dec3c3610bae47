import type { Clock, Timer } from '../../kernel/clock.ts'
import { type Random, seededRandom } from '../../kernel/random.ts'
import { drain } from './drain.ts'

/**
 * Time and chance of a history: one heap of events, and a stream of chance for each component, so that a draw more in
 * one does not shift the others. What one instant starts is done before the next begins.
 */
export class World implements Clock {
  readonly #seed: number
  readonly #epochMs: number
  readonly #heap: Event[] = []
  #sequence = 0
  #pending = 0
  #nowMs = 0
  /** Running hash of what happened, for comparing two runs. */
  #trace = 0x811c9dc5 | 0
  readonly story: string[] = []
  /** When some node stood still, ms since the history began. */
  readonly standstills: { readonly fromMs: number; readonly toMs: number }[] = []
  #telling: boolean

  constructor(seed: number, options: { readonly tell: boolean }) {
    this.#seed = seed
    // The plain day for half of all histories.
    this.#epochMs = epochs[seed % 2 === 1 ? 0 : 1 + (Math.floor(seed / 2) % (epochs.length - 1))]!
    this.#telling = options.tell
  }

  wallMs(): number {
    return this.#epochMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    this.#pending++
    const event = this.#schedule(delayMs, run, true)
    return {
      cancel: () => {
        if (event.run === undefined) return
        event.run = undefined
        this.#pending--
      },
    }
  }

  /** Like `after`, of something that a history may end without: what the switch does on its own, over and over. */
  afterUnnoticed(delayMs: number, run: () => void): Timer {
    const event = this.#schedule(delayMs, run, false)
    return {
      cancel() {
        event.run = undefined
      },
    }
  }

  /** How much will still come from outside of the switch: messages, commits, terminals, faults. */
  get pending(): number {
    return this.#pending
  }

  random(component: string): Random {
    let hash = this.#seed
    for (let index = 0; index < component.length; index++)
      hash = Math.imul(hash ^ component.charCodeAt(index), 0x01000193)
    return seededRandom(hash >>> 0)
  }

  /** Notes what happened: into the trace, and into the story when one is wanted. */
  note(what: string): void {
    const line = `${String(Math.round(this.#nowMs)).padStart(7)} ms  ${what}`
    let trace = this.#trace
    for (let index = 0; index < line.length; index++) {
      trace = Math.imul(trace ^ line.charCodeAt(index), 0x01000193)
    }
    this.#trace = trace
    if (this.#telling) this.story.push(line)
  }

  get traceHash(): number {
    return this.#trace >>> 0
  }

  /** Runs what is due until `untilMs`, or until `atRest` says so; what one instant starts is done before the next. */
  run(untilMs: number, atRest: () => boolean = () => false): Promise<void> {
    // On a turn of the event loop of its own: promises can't be drained from within one.
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          this.#run(untilMs, atRest)
          resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error('thrown'))
        }
      })
    })
  }

  #run(untilMs: number, atRest: () => boolean): void {
    let askAgainAt = 0
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > untilMs) break
      if (next.at >= askAgainAt) {
        if (atRest()) return
        askAgainAt = next.at + 1_000
      }
      pop(this.#heap)
      if (next.run === undefined) continue
      this.#nowMs = next.at
      const { run } = next
      next.run = undefined
      if (next.noticed) this.#pending--
      run()
      drain()
    }
    this.#nowMs = untilMs
  }

  #schedule(delayMs: number, run: () => void, noticed: boolean): Event {
    const event: Event = {
      at: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      noticed,
      run,
    }
    push(this.#heap, event)
    return event
  }
}

/** A day of no special kind, and moments that calendars get wrong; a history begins half a minute before one of those. */
const epochs = [
  Date.UTC(2026, 10, 22, 9),
  // Midnight in Kuwait; the ends of a year in Kuwait and in UTC; into 29 February and out of it.
  ...[
    '2026-11-22T21:00:00Z',
    '2026-12-31T21:00:00Z',
    '2027-01-01T00:00:00Z',
    '2028-02-28T21:00:00Z',
    '2028-02-29T21:00:00Z',
  ].map((moment) => Date.parse(moment) - 30_000),
]

interface Event {
  readonly at: number
  readonly sequence: number
  readonly noticed: boolean
  run: (() => void) | undefined
}

function before(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.sequence < other.sequence)
}

function push(heap: Event[], event: Event): void {
  let index = heap.length
  heap.push(event)
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (before(heap[parent]!, event)) break
    heap[index] = heap[parent]!
    index = parent
  }
  heap[index] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let index = 0
  for (;;) {
    const left = 2 * index + 1
    if (left >= heap.length) break
    const right = left + 1
    const child = right < heap.length && before(heap[right]!, heap[left]!) ? right : left
    if (!before(heap[child]!, last)) break
    heap[index] = heap[child]!
    index = child
  }
  heap[index] = last
}
