import { strict as assert } from 'node:assert'
import type { Clock } from '../kernel/clock.ts'
import { sleep } from '../kernel/clock.ts'
import { DatabaseError } from '../kernel/database.ts'
import type { DatabaseFault } from '../kernel/database.ts'
import { commitAtOnce, commitLoaded, prepare } from './batch.ts'
import type { BatchOptions, Prepared, Task } from './batch.ts'
import { fingerprintOf } from './canonical.ts'
import type { AccountSpec, Ledger, Unit, UnitOutcome } from './contract.ts'
import { inputFault } from './form.ts'
import { KnownBooks } from './known.ts'
import type { OnItsWay } from './known.ts'
import { openAccountsBatch } from './opening.ts'
import { CommitQueue } from './queue.ts'
import type { Waiting } from './queue.ts'
import { claimsOf, rowsFault } from './rowkinds.ts'
import type { RowKinds } from './rowkinds.ts'
import { Session } from './session.ts'

/** Facts and a sentence, as pino takes them. */
export interface LedgerLog {
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

export interface WriterOptions {
  readonly databaseUrl: string
  readonly kinds: RowKinds
  readonly log: LedgerLog
  readonly clock: Clock
  /** How long one statement may take before its connection is given up. */
  readonly statementDeadlineMs: number
  /** How long a unit may be tried, from its arrival to its answer. */
  readonly outcomeDeadlineMs: number
  readonly waitingMax: number
  readonly batchMax: number
}

interface WaitingUnit extends Task, Waiting {
  readonly giveUpAt: number
  readonly settle: (outcome: UnitOutcome) => void
  /** A COMMIT that covers it has gone out, so silence no longer means that nothing happened. */
  committing: boolean
}

interface Opening {
  readonly accounts: readonly AccountSpec[]
  readonly giveUpAt: number
  readonly done: () => void
  readonly failed: (error: Error) => void
}

/** All the books of a shard are written by one of these, a batch at a time. */
const shard = 0
const openingMax = 5_000
const reconnectMs = 200
const triesMax = 8
/** A smaller part of a batch than this waits for company: what is decided early, those who come later must wait for. */
const aheadShare = 4

export class Writer implements Ledger {
  readonly #options: WriterOptions
  readonly #queue: CommitQueue<WaitingUnit>
  readonly #openings: Opening[] = []
  #known: KnownBooks
  /** Taken and decided while the batch before it is on its way. */
  #ahead: { readonly batch: readonly WaitingUnit[]; readonly prepared: Prepared | undefined } | undefined
  /** Whom to tell of a batch that is committed; it waits until the next one is on its way. */
  #untold: (() => void) | undefined
  #session: Session | undefined
  #writing = 0
  #down = false
  #closing = false
  #wake: (() => void) | undefined
  readonly #ended: Promise<void>

  private constructor(options: WriterOptions, session: Session) {
    this.#options = options
    this.#queue = new CommitQueue(options.waitingMax)
    this.#known = new KnownBooks(options.clock)
    this.#session = session
    session.onLost = () => this.#wake?.()
    this.#ended = this.#run()
  }

  /** Throws `DatabaseError` when there is no database, or none that is durable and migrated. */
  static async open(options: WriterOptions): Promise<Writer> {
    return new Writer(options, await Session.open(options))
  }

  commit(unit: Unit): Promise<UnitOutcome> {
    const { kinds, clock, log, outcomeDeadlineMs } = this.#options
    const wrongRows = rowsFault(kinds, unit)
    if (wrongRows !== undefined) log.error({ rows: wrongRows }, 'a unit has rows that no kind fits')
    const fault = wrongRows === undefined ? inputFault(unit) : 'malformed'
    if (fault !== undefined) return Promise.resolve({ kind: 'refused', reason: fault })
    if (this.#closing) return Promise.resolve({ kind: 'refused', reason: 'unavailable' })
    return new Promise((resolve) => {
      const accepted = this.#queue.push({
        unit,
        fingerprint: fingerprintOf(unit),
        urgent: unit.urgent === true,
        claims: claimsOf(kinds, unit),
        giveUpAt: clock.monotonicMs() + outcomeDeadlineMs,
        settle: resolve,
        committing: false,
      })
      if (!accepted) resolve({ kind: 'refused', reason: 'overloaded' })
      this.#wake?.()
    })
  }

  async openAccounts(accounts: readonly AccountSpec[]): Promise<void> {
    assert.ok(!this.#closing, 'the ledger is closed')
    const giveUpAt = this.#options.clock.monotonicMs() + this.#options.outcomeDeadlineMs
    const parts: Promise<void>[] = []
    for (let from = 0; from < accounts.length; from += openingMax) {
      parts.push(
        new Promise((done, failed) => {
          this.#openings.push({ accounts: accounts.slice(from, from + openingMax), giveUpAt, done, failed })
        }),
      )
    }
    this.#wake?.()
    await Promise.all(parts)
  }

  status(): { readonly waiting: number; readonly writing: number; readonly state: 'up' | 'down' } {
    const ahead = this.#ahead?.batch.length ?? 0
    return {
      waiting: this.#queue.length + ahead,
      writing: this.#writing,
      state: this.#isDown() ? 'down' : 'up',
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#wake?.()
    await this.#ended
  }

  async #run(): Promise<void> {
    for (;;) {
      const opening = this.#ahead === undefined ? this.#openings.shift() : undefined
      if (opening !== undefined) {
        await this.#open(opening)
        continue
      }
      const { batch, prepared } = this.#ahead ?? { batch: this.#queue.take(this.#options.batchMax) }
      this.#ahead = undefined
      if (batch.length > 0) {
        this.#writing = batch.length
        await this.#commit(batch, prepared)
        this.#tellIfLast()
        this.#writing = 0
        continue
      }
      if (this.#closing) break
      // Whoever asks how we are, and brings nothing while we are down, must see it when we are back.
      if (this.#isDown()) {
        await this.#reconnect()
        continue
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
    await this.#session?.close()
  }

  /** Settles every unit of the batch, whatever it takes. */
  async #commit(batch: readonly WaitingUnit[], prepared?: Prepared): Promise<void> {
    let pending = batch
    for (let tries = 1; ; tries++) {
      pending = this.#giveUp(pending)
      if (pending.length === 0) return
      const fault = await this.#try(pending, pending === batch && tries === 1 ? prepared : undefined)
      if (fault === undefined) return
      if (needsAnotherTry(fault, tries, pending.length)) {
        await sleep(this.#options.clock, Math.min(2 ** tries, 100))
        continue
      }
      if (pending.length === 1) {
        const [unit] = pending
        unit!.settle(unit!.committing ? { kind: 'unknown' } : { kind: 'refused', reason: 'rejected' })
        return
      }
      // One of them is poison. In halves it comes to be alone, and refuses nobody else.
      const middle = pending.length >> 1
      await this.#commit(pending.slice(0, middle))
      await this.#commit(pending.slice(middle))
      return
    }
  }

  /** One try; the fault, or undefined when everything is answered. */
  async #try(units: readonly WaitingUnit[], prepared?: Prepared): Promise<DatabaseFault | undefined> {
    const committingBefore = units.map(({ committing }) => committing)
    const notCommitted = (): void => {
      for (const [place, unit] of units.entries()) unit.committing = committingBefore[place]!
    }
    try {
      const session = await this.#connected()
      const outcomes = await this.#write(session, units, prepared, {
        ...this.#books(),
        committing: () => {
          for (const unit of units) unit.committing = true
        },
        notCommitted,
      })
      this.#untold = () => {
        for (const [place, unit] of units.entries()) unit.settle(outcomes[place]!)
      }
      this.#tellIfLast()
      return undefined
    } catch (thrown) {
      this.#tell()
      const error = this.#failure(thrown, units.length)
      // The server said no to the COMMIT itself: that is an answer.
      if (isAnswer(error.fault)) notCommitted()
      await this.#afterFailure(error)
      return error.fault
    }
  }

  /** In one trip where that can be, else in two. */
  async #write(
    session: Session,
    units: readonly WaitingUnit[],
    prepared: Prepared | undefined,
    options: BatchOptions,
  ): Promise<readonly UnitOutcome[]> {
    // What came between this batch and the one it was prepared behind makes it one like any other.
    const ready =
      prepared !== undefined && this.#known.isAt(prepared.from) ? prepared : prepare(units, options)
    if (ready !== undefined) {
      let under = true
      const sent = (ahead: OnItsWay): void => {
        this.#tell()
        // Whoever has just been told may have more: they are heard first.
        setImmediate(() => {
          if (under) this.#lookAhead(ahead)
        })
      }
      const outcomes = await commitAtOnce(session, ready, { ...options, sent }).finally(() => (under = false))
      if (outcomes !== undefined) return outcomes
    }
    this.#tell()
    return commitLoaded(session, units, options)
  }

  /** While a batch is on its way, a next one that is worth it is decided as if that were committed. */
  #lookAhead(onItsWay: OnItsWay): void {
    const { batchMax } = this.#options
    if (this.#ahead !== undefined || this.#openings.length > 0) return
    if (this.#queue.length < batchMax / aheadShare) return
    const batch = this.#queue.take(batchMax)
    let prepared: Prepared | undefined
    try {
      prepared = prepare(batch, this.#books(), onItsWay)
    } catch {
      // A bug: the try that comes meets it again, where it is logged.
    }
    this.#ahead = { batch, prepared }
  }

  #books(): Pick<BatchOptions, 'shard' | 'kinds' | 'known'> {
    return { shard, kinds: this.#options.kinds, known: this.#known }
  }

  /** Where another batch is ready, it goes out first. */
  #tellIfLast(): void {
    if (this.#ahead === undefined) this.#tell()
  }

  #tell(): void {
    this.#untold?.()
    this.#untold = undefined
  }

  #failure(thrown: unknown, units: number): DatabaseError {
    const { log } = this.#options
    if (thrown instanceof DatabaseError) {
      log.warn({ fault: thrown.fault, units, error: thrown.message }, 'a batch failed')
      return thrown
    }
    log.error(
      { units, error: thrown instanceof Error ? thrown.stack : 'not an error' },
      'a bug in the writer',
    )
    return new DatabaseError('other')
  }

  async #open(opening: Opening): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const different = await openAccountsBatch(await this.#connected(), opening.accounts, {
          shard,
          known: this.#known,
          committing: () => undefined,
        })
        if (different.length === 0) opening.done()
        else opening.failed(new Error(`accounts exist with other terms: ${different.slice(0, 5).join(', ')}`))
        return
      } catch (thrown) {
        const error = this.#failure(thrown, 0)
        await this.#afterFailure(error)
        const late = this.#options.clock.monotonicMs() >= opening.giveUpAt
        if (late || !needsAnotherTry(error.fault, tries, 1)) {
          opening.failed(error)
          return
        }
        await sleep(this.#options.clock, Math.min(2 ** tries, 100))
      }
    }
  }

  async #connected(): Promise<Session> {
    if (this.#session === undefined || this.#session.lost) {
      this.#down = true
      this.#session = await Session.open(this.#options)
      this.#known = new KnownBooks(this.#options.clock)
      this.#session.onLost = () => this.#wake?.()
    }
    this.#down = false
    return this.#session
  }

  #isDown(): boolean {
    return this.#down || this.#session?.lost !== false
  }

  async #reconnect(): Promise<void> {
    try {
      await this.#connected()
    } catch {
      await sleep(this.#options.clock, reconnectMs)
    }
  }

  /** Leaves a connection without a transaction, or no connection. */
  async #afterFailure(error: DatabaseError): Promise<void> {
    const session = this.#session
    this.#giveUpWaiting()
    if (session === undefined || session.lost) return
    if (error.fault === 'lost' || error.fault === 'other') {
      session.cut()
      return
    }
    try {
      await session.trip(['ROLLBACK'])
    } catch {
      session.cut()
    }
  }

  /** Answers the units whose time is up; returns the others. */
  #giveUp(units: readonly WaitingUnit[]): readonly WaitingUnit[] {
    const now = this.#options.clock.monotonicMs()
    const late = units.filter(({ giveUpAt }) => now >= giveUpAt)
    if (late.length === 0) return units
    for (const unit of late) {
      unit.settle(unit.committing ? { kind: 'unknown' } : { kind: 'refused', reason: 'unavailable' })
    }
    return units.filter((unit) => !late.includes(unit))
  }

  #giveUpWaiting(): void {
    const now = this.#options.clock.monotonicMs()
    this.#giveUp(this.#queue.remove(({ giveUpAt }) => now >= giveUpAt))
  }
}

/** Whether the fault is the server's word that the transaction is no more, and not the lack of a word. */
function isAnswer(fault: DatabaseFault): boolean {
  return !['lost', 'unavailable', 'cancelled', 'full', 'other'].includes(fault)
}

/**
 * Whether the same batch may fare better. `lost`, `unavailable` and `full` are not of the batch's making: they are
 * tried until the units' own time is up. Others were in the way, or the batch is at fault: that ends.
 */
function needsAnotherTry(fault: DatabaseFault, tries: number, units: number): boolean {
  switch (fault) {
    case 'lost':
    case 'unavailable':
    case 'full':
    case 'notDurable':
      return true
    case 'conflict':
      return tries < triesMax
    case 'cancelled':
      // A slow statement may be one unit's doing, or a lock that will be let go.
      return units === 1
    case 'duplicate':
    case 'reference':
    case 'check':
    case 'badValue':
    case 'denied':
    case 'refused':
    case 'badStatement':
    case 'other':
      return false
  }
}
