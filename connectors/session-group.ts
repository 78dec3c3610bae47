import type { ExchangeOutcome, Link, Message } from '../iso8583/iso8583.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { Door } from './doors.ts'
import type { Dialogue } from './dialogue.ts'
import type { Line, Written } from './line.ts'
import { type SessionState, sessionStates } from './session-state.ts'
import { Session, type SessionOptions } from './session.ts'

export interface SessionGroupOptions extends Omit<SessionOptions, 'door'> {
  readonly door: Door
  /** Connections held at once. */
  readonly sessions: number
}

/** Several sessions with one destination; each request goes over the one that has least in flight. */
export class SessionGroup implements Line {
  readonly #members: readonly Session[]
  readonly #door: Door
  #turn = 0

  constructor({ sessions, ...options }: SessionGroupOptions) {
    this.#door = options.door
    this.#members = Array.from({ length: sessions }, () => new Session(options))
  }

  get state(): SessionState {
    return sessionStates.find((state) => this.#members.some((session) => session.state === state)) ?? 'down'
  }

  get sessions(): readonly SessionStatus[] {
    return this.#members.map(({ status }) => status)
  }

  /** Whether a new connection of the peer's may take this one's place: it is not answering, or nobody's. */
  isSuspect(link: Link): boolean {
    const session = this.#members.find((member) => member.link === link)
    return session === undefined || session.state === 'suspect'
  }

  start(): void {
    for (const session of this.#members) session.start()
  }

  dialogue(as?: Dialogue): Dialogue | undefined {
    // Of the session whose turn comes next, without taking it.
    const online = this.#byLoad(this.#turn)
    return online.some(({ dialogue }) => dialogue === as) ? as : online[0]?.dialogue
  }

  /** What one session could not take, the next may: nothing of it has left. */
  async exchange({ bytes, dialogue }: Written, deadlineMs: number): Promise<ExchangeOutcome> {
    let outcome: ExchangeOutcome = { kind: 'notSent', reason: 'closed' }
    for (const session of this.#byLoad()) {
      if (session.dialogue !== dialogue) continue
      outcome = await session.exchange(bytes, deadlineMs)
      const isTaken = outcome.kind !== 'notSent' || !retried.includes(outcome.reason)
      if (isTaken) return outcome
    }
    return outcome
  }

  /** Any session that answers proves the peer. */
  async echo(): Promise<boolean> {
    for (const session of this.#byLoad()) if (await session.echo()) return true
    return false
  }

  ask(question: NetworkQuestion): Promise<Message | undefined> {
    const connected = this.#byLoad()[0] ?? this.#members.find(({ link }) => link !== undefined)
    return connected === undefined ? Promise.resolve(undefined) : connected.ask(question)
  }

  async end(how?: 'cut'): Promise<void> {
    await Promise.all(this.#members.map((session) => session.end(how)))
    await this.#door.close()
  }

  /** Those online, the least loaded first; among equals each has its turn. */
  #byLoad(turn = this.#turn++): readonly Session[] {
    const online = this.#members.filter(({ state }) => state === 'online')
    if (online.length < 2) return online
    const from = turn % online.length
    const inTurn = [...online.slice(from), ...online.slice(0, from)]
    return inTurn.sort((one, other) => one.inFlight - other.inFlight)
  }
}

const retried: readonly string[] = ['closed', 'congested']
