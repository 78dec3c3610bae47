import type { Clock } from '../../kernel/clock.ts'
import { type Random, seededRandom } from '../../kernel/random.ts'

/**
 * Time and chance of a history: one heap of events, and a stream of chance for each component, so that a draw more in
 * one does not shift the others. What one instant starts is done before the next begins.
 */
export class World implements Clock {
  readonly #seed: number
  readonly #heap: Event[] = []
  #sequence = 0
  #nowMs = 0
  /** Running hash of what happened, for comparing two runs. */
  #trace = 0x811c9dc5
  readonly story: string[] = []
  #telling: boolean

  constructor(seed: number, options: { readonly tell: boolean }) {
    this.#seed = seed
    this.#telling = options.tell
  }

  wallMs(): number {
    return epochMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): { cancel(): void } {
    const event: Event = { at: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run }
    push(this.#heap, event)
    return {
      cancel() {
        event.run = undefined
      },
    }
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
    for (let index = 0; index < line.length; index++) {
      this.#trace = Math.imul(this.#trace ^ line.charCodeAt(index), 0x01000193) >>> 0
    }
    if (this.#telling) this.story.push(line)
  }

  get traceHash(): number {
    return this.#trace
  }

  /** Runs what is due until `untilMs`; between two events everything that can go on does. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > untilMs) break
      pop(this.#heap)
      if (next.run === undefined) continue
      this.#nowMs = next.at
      next.run()
      await settled()
    }
    this.#nowMs = untilMs
  }
}

/** 2026-11-22T09:00:00Z: a day of no special kind. */
const epochMs = Date.UTC(2026, 10, 22, 9)

interface Event {
  readonly at: number
  readonly sequence: number
  run: (() => void) | undefined
}

/** Promises that can settle have settled when the event loop comes round. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
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
