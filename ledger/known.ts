import type { Clock } from '../kernel/clock.ts'
import type { Unit } from './contract.ts'
import { emptyBooks } from './books.ts'
import type { Account, Books } from './books.ts'

/**
 * What the writer knows of the books without asking: the head of the chain, and accounts as they were at that head.
 * Every change of an account moves the head, so as long as the head is where we left it, all of it is still true, and a
 * batch may be decided and written in one trip that begins by locking the head *at that place*. If somebody else has
 * written, that trip fails as a whole and nothing of what is known is believed any more.
 */
export class KnownBooks {
  readonly #clock: Clock
  readonly #accounts = new Map<string, Account>()
  #head: KnownHead | undefined
  #periods: ReadonlyMap<string, string> = new Map()
  /** The server's clock less our monotonic one, in ms. */
  #serverAhead = Number.NEGATIVE_INFINITY
  #askedAt = 0
  /** Batches that must find the head in its place before it is counted on again: another writer may be at work. */
  #wary = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * All that the units need in order to be decided; undefined when something would have to be asked for. `ahead` is what
   * is on its way: then it is as the books will be once that is committed.
   */
  loadedFor(units: readonly Unit[], ahead?: OnItsWay): BooksAtHead | undefined {
    const head = ahead?.head ?? this.#head
    if (head === undefined || this.#head === undefined || this.#wary > 0) return undefined
    const books = emptyBooks()
    books.lastPosting = head.lastPosting
    for (const [scope, through] of this.#periods) books.periods.set(scope, through)
    for (const { commands } of units) {
      for (const command of commands) {
        // The others need postings or holds of the past.
        if (command.kind !== 'post' && command.kind !== 'authorize') return undefined
        for (const { account } of [...command.legs, ...(command.conditions ?? [])]) {
          const known = ahead?.accounts.get(account) ?? this.#accounts.get(account)
          if (known === undefined) return undefined
          books.accounts.set(account, known)
        }
      }
    }
    return {
      head,
      books,
      versions: new Map([...books.accounts].map(([path, { version }]) => [path, version])),
      holdVersions: new Map(),
    }
  }

  /** Whether the books are where this head is, as far as we know. */
  isAt({ seq, hash }: Head): boolean {
    return this.#wary === 0 && this.#head?.seq === seq && Buffer.compare(this.#head.hash, hash) === 0
  }

  /** When a block after this head is recorded that goes out now: by the server's clock, and never before the head. */
  recordedAfter({ recordedAt }: Head): number {
    return Math.max(recordedAt, Math.floor(this.#clock.monotonicMs() + this.#serverAhead))
  }

  /** The books at a head that has just been written: what is known of other accounts holds there as well. */
  moved(
    from: Head,
    to: KnownHead,
    {
      accounts,
      periods,
    }: { readonly accounts: Iterable<Account>; readonly periods: ReadonlyMap<string, string> },
  ): void {
    if (this.#head !== undefined && this.#head.seq !== from.seq) this.distrust()
    else if (this.#wary > 0) this.#wary--
    this.#head = to
    this.#periods = periods
    for (const account of accounts) {
      this.#accounts.delete(account.path)
      this.#accounts.set(account.path, account)
    }
    for (const path of this.#accounts.keys()) {
      if (this.#accounts.size <= accountsMax) break
      this.#accounts.delete(path)
    }
  }

  /** Called when a trip goes out on which the server is asked what time it is. */
  asked(): void {
    this.#askedAt = this.#clock.monotonicMs()
  }

  /**
   * What the server said. So much at least had passed by then, so the least of what such words say is the nearest: it
   * creeps up, to follow a clock that runs otherwise than ours, and a clock that was set is believed at once.
   */
  told(serverMs: bigint): void {
    const ahead = Number(serverMs) - this.#askedAt
    const crept = this.#serverAhead + 0.02
    const prompt = this.#clock.monotonicMs() - this.#askedAt < 50
    const wasSet = ahead > crept + 100 && prompt
    this.#serverAhead = wasSet || crept === Number.NEGATIVE_INFINITY ? ahead : Math.min(ahead, crept)
  }

  /** Somebody else has written, or nobody can say. */
  distrust(): void {
    this.#head = undefined
    this.#accounts.clear()
    this.#wary = waryBatches
  }
}

/** The head of a shard's chain. */
export interface Head {
  readonly seq: bigint
  readonly hash: Uint8Array
  readonly lastAccount: bigint
  /** Never before that of the block before. */
  readonly recordedAt: number
}

export interface KnownHead extends Head {
  readonly lastPosting: bigint
}

/** What a batch that has been sent makes of the books, if it is committed: the new head, and the accounts it touches. */
export interface OnItsWay {
  readonly head: KnownHead
  readonly accounts: ReadonlyMap<string, Account>
}

/** The part of the books that a batch touches, as it is at the head. */
export interface BooksAtHead {
  readonly head: Head
  readonly books: Books
  readonly versions: ReadonlyMap<string, bigint>
  readonly holdVersions: ReadonlyMap<string, bigint>
}

/** About 300 bytes each. */
const accountsMax = 50_000
const waryBatches = 4
