import { createPool, type Pool } from 'generic-pool'
import type { Clock } from '../kernel/clock.ts'

/**
 * Who asks for a credit. A reversal goes before everything, an advice behind it; both may use the reserve, which live
 * traffic can't touch.
 */
export type CreditNeed = 'reversal' | 'live' | 'advice'

/** The right to have one request in flight. */
export interface Credit {
  /** Gives it back; only the first call does anything. */
  release(): void
}

export interface CreditsOptions {
  /** The most requests at once, those of the reserve among them. */
  readonly window: number
  /** Of these, for reversals and advices only. */
  readonly reserve: number
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export interface CreditsStatus {
  readonly window: number
  readonly borrowed: number
  readonly waiting: number
}

/** Longer than this nobody waits, whatever the caller says. */
const waitMsMax = 1_000
const priorities = { reversal: 0, live: 1, advice: 2 } as const
const neverCalled = (): Promise<void> => Promise.resolve()

/**
 * The credits of one destination. Behind this door is generic-pool 3.9.0, and what it gets wrong is mended here: nobody
 * waits without an end, a caller who has gone gets nothing, giving back twice takes from nobody, and a drain ends.
 */
export class Credits {
  readonly #options: CreditsOptions
  readonly #open: Pool<object>
  readonly #kept: Pool<object> | undefined

  constructor(options: CreditsOptions) {
    this.#options = options
    const { window, reserve } = options
    if (reserve < 0 || reserve >= window) throw new RangeError('the reserve is a part of the window')
    this.#open = this.#tokens(window - reserve)
    this.#kept = reserve === 0 ? undefined : this.#tokens(reserve)
  }

  get status(): CreditsStatus {
    const pools = [this.#open, ...(this.#kept === undefined ? [] : [this.#kept])]
    return {
      window: this.#options.window,
      borrowed: pools.reduce((sum, { borrowed }) => sum + borrowed, 0),
      waiting: pools.reduce((sum, pool) => sum + Math.max(0, -free(pool)), 0),
    }
  }

  /** Whether live traffic would be turned away at once: all is lent, and as many wait already. */
  get full(): boolean {
    return free(this.#open) <= -this.#open.max
  }

  /** A credit within `waitMs`, or undefined. Never rejects. */
  acquire(need: CreditNeed, waitMs: number): Promise<Credit | undefined> {
    if (need === 'live' && this.full) return Promise.resolve(undefined)
    const isKept = need !== 'live' && free(this.#open) <= 0
    const pool = isKept && this.#kept !== undefined && free(this.#kept) > 0 ? this.#kept : this.#open
    return this.#borrow(pool, priorities[need], Math.min(waitMs, waitMsMax))
  }

  /** No more is lent. False: not all had been given back when the time was over. */
  async drain(waitMs: number): Promise<boolean> {
    const pools = [this.#open, ...(this.#kept === undefined ? [] : [this.#kept])]
    const drained = Promise.all(pools.map((pool) => pool.drain())).then(() => true)
    const isDrained = await new Promise<boolean>((resolve) => {
      const timer = this.#options.clock.after(waitMs, () => resolve(false))
      void drained.then(() => {
        timer.cancel()
        resolve(true)
      })
    })
    for (const pool of pools) await pool.clear()
    return isDrained
  }

  #borrow(pool: Pool<object>, priority: number, waitMs: number): Promise<Credit | undefined> {
    const isFree = free(pool) > 0
    if (!isFree && waitMs <= 0) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      let gone = false
      const timer = isFree
        ? undefined
        : this.#options.clock.after(waitMs, () => {
            gone = true
            resolve(undefined)
          })
      pool.acquire(priority).then(
        (token) => {
          timer?.cancel()
          if (gone) this.#giveBack(pool, token)
          else resolve(this.#credit(pool, token))
        },
        () => {
          // Full, draining, or the pool's own patience was over: the same to whoever asked.
          timer?.cancel()
          resolve(undefined)
        },
      )
    })
  }

  #credit(pool: Pool<object>, token: object): Credit {
    let lent = true
    return {
      release: () => {
        // A second release of the same token would take it from its next borrower.
        if (!lent) return
        lent = false
        this.#giveBack(pool, token)
      },
    }
  }

  #giveBack(pool: Pool<object>, token: object): void {
    pool.release(token).catch((error: unknown) => this.#options.onFault(error))
  }

  #tokens(max: number): Pool<object> {
    // What can't fail is not tried again without a wait, which is what the pool does with a factory that fails.
    const pool = createPool(
      { create: () => Promise.resolve({}), destroy: neverCalled },
      {
        max,
        min: 0,
        // `full` turns live traffic away before this does, so that there is always room for a reversal to wait.
        maxWaitingClients: 3 * this.#options.window,
        acquireTimeoutMillis: waitMsMax,
        priorityRange: 3,
        testOnBorrow: false,
        evictionRunIntervalMillis: 0,
      },
    )
    pool.on('factoryCreateError', (error: unknown) => this.#options.onFault(error))
    return pool
  }
}

/** Credits that nobody has or waits for. */
function free({ max, borrowed, pending }: Pool<object>): number {
  return max - borrowed - pending
}
