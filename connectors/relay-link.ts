import type { Link, LinkHandlers } from '../iso8583/iso8583.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { readWord, type RelayedOutcome, type RelayedRequest, wordOf } from './relay-words.ts'

/** What was said longer ago than this does not count any more: that node may be gone, or stand still. */
const trustMs = 3_000
const askedMax = 1_000

export interface RelayEvents {
  /** Another node has other lines than before. */
  changed(): void
  heardLate(destination: string, message: Buffer): void
}

interface Asked {
  readonly destination: string
  readonly resolve: (outcome: RelayedOutcome) => void
  readonly timer: Timer
}

/** Our link to one other node, which may have lines that we have not. */
export class RelayLink {
  readonly name: string
  readonly #clock: Clock
  readonly #events: RelayEvents
  readonly #asked = new Map<number, Asked>()
  /** What nobody waits for any more, with its destination; the oldest goes first. */
  readonly #expired = new Map<number, string>()
  #link: Link | undefined
  #holds: readonly string[] = []
  #saidAtMs = Number.NEGATIVE_INFINITY
  #ids = 0

  constructor(name: string, clock: Clock, events: RelayEvents) {
    this.name = name
    this.#clock = clock
    this.#events = events
  }

  holds(destination: string): boolean {
    return this.#isTrusted() && this.#holds.includes(destination)
  }

  opened(link: Link, onClose: () => void): LinkHandlers {
    this.#link = link
    return {
      onMessage: (body) => this.#hear(link, body),
      onClose: () => {
        this.#link = undefined
        this.#say([])
        for (const id of [...this.#asked.keys()]) this.#settle(id, { kind: 'maybeSent', reason: 'linkLost' })
        onClose()
      },
    }
  }

  async ask(
    destination: string,
    request: RelayedRequest,
    deadlineMonotonicMs: number,
  ): Promise<RelayedOutcome> {
    const link = this.#link
    if (link === undefined) return { kind: 'notSent', reason: 'closed' }
    if (this.#asked.size >= askedMax) return { kind: 'notSent', reason: 'congested' }
    const withinMs = deadlineMonotonicMs - this.#clock.monotonicMs()
    if (withinMs <= 0) return { kind: 'notSent', reason: 'noTime' }
    const id = ++this.#ids
    const outcome = new Promise<RelayedOutcome>((resolve) => {
      const timer = this.#clock.after(withinMs, () => this.#expire(id))
      this.#asked.set(id, { destination, resolve, timer })
    })
    const sent = await link.send(wordOf({ kind: 'ask', id, destination, withinMs, ...request }))
    if (sent === 'notSent') this.#settle(id, { kind: 'notSent', reason: 'congested' })
    else if (sent === 'failed') this.#settle(id, { kind: 'maybeSent', reason: 'linkLost' })
    return outcome
  }

  /** What it said may have become too old by now. */
  check(): void {
    if (this.#holds.length > 0 && !this.#isTrusted()) this.#say([])
  }

  close(): void {
    this.#link?.close('ending')
  }

  #hear(link: Link, body: Buffer): void {
    const word = readWord(body)
    if (word === undefined || word.kind === 'ask') return link.close('not a word between nodes')
    if (word.kind === 'outcome') return this.#hearOutcome(word.id, word.outcome)
    if (word.kind === 'late') return this.#events.heardLate(word.destination, word.message)
    this.#saidAtMs = this.#clock.monotonicMs()
    // So that the other end hears us too, and does not take the link for a dead one.
    void link.send(wordOf({ kind: 'holds', holds: [] }))
    this.#say(word.holds)
  }

  #say(holds: readonly string[]): void {
    const isNew = holds.join() !== this.#holds.join()
    this.#holds = holds
    if (isNew) this.#events.changed()
  }

  /** The other node's deadline is later than ours by the way there: an answer in between is late, and told as such. */
  #hearOutcome(id: number, outcome: RelayedOutcome): void {
    const destination = this.#expired.get(id)
    if (destination === undefined) return this.#settle(id, outcome)
    this.#expired.delete(id)
    if (outcome.kind === 'answered') this.#events.heardLate(destination, outcome.message)
  }

  #expire(id: number): void {
    const [oldest] = this.#expired.keys()
    if (oldest !== undefined && this.#expired.size >= askedMax) this.#expired.delete(oldest)
    this.#expired.set(id, this.#asked.get(id)!.destination)
    this.#settle(id, { kind: 'maybeSent', reason: 'deadline' })
  }

  #settle(id: number, outcome: RelayedOutcome): void {
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    asked.timer.cancel()
    asked.resolve(outcome)
  }

  #isTrusted(): boolean {
    return this.#clock.monotonicMs() - this.#saidAtMs < trustMs
  }
}
