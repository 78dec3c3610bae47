import type { AccountOpened } from './chain.ts'

/**
 * What the entries make of every account, in flat arrays: an account is 50 bytes here and not an object with six
 * numbers of its own, so a million of them fit and are quick. Ids of accounts have no gaps, so they are the index.
 */
export class Counters {
  #terms: AccountOpened[] = []
  #currencies = new Int32Array(1_024)
  #closed = new Uint8Array(1_024)
  #seen = new Uint8Array(1_024)
  /** Debits, credits, pending debits, pending credits and version of one account after another. */
  #counts = new BigInt64Array(1_024 * 5)

  /** Accounts are opened in the order of their ids, from 1. */
  open(terms: AccountOpened): void {
    this.#terms.push(terms)
    const id = this.#terms.length
    if (id === this.#closed.length) this.#grow()
    this.#currencies[id] = currencyCode(terms.currency)
  }

  terms(id: number): AccountOpened | undefined {
    return this.#terms[id - 1]
  }

  close(id: number): void {
    this.#closed[id] = 1
  }

  isClosed(id: number): boolean {
    return this.#closed[id] === 1
  }

  /** True the first time for each account. */
  see(id: number): boolean {
    const first = this.#seen[id] === 0
    this.#seen[id] = 1
    return first
  }

  unseen(): number | undefined {
    for (let id = 1; id <= this.#terms.length; id++) if (this.#seen[id] === 0) return id
    return undefined
  }

  /** What is wrong with an entry that stands at `at` as `entryLayout` says, given all before it. */
  enter(view: DataView, at: number, id: number, takesBack: boolean): string | undefined {
    if (!(id >= 1 && id <= this.#terms.length)) return 'is on an account that was never opened'
    if (this.#closed[id] === 1) return 'is on an account that was closed'
    if (this.#currencies[id] !== currencyAt(view, at + entryLayout.currency)) {
      return 'is in another currency than its account'
    }
    const counts = this.#counts
    const first = 5 * id
    const amount = view.getBigInt64(at + entryLayout.amount)
    const isDebit = view.getInt32(at + entryLayout.amount) >= 0
    const layer = view.getInt16(at + entryLayout.layer)
    if (layer !== 0 && layer !== 1) return 'is in no layer'
    if (layer === 0) {
      if (isDebit) counts[first]! += amount
      else counts[first + 1]! -= amount
    } else if (takesBack) {
      if (isDebit) counts[first + 3]! -= amount
      else counts[first + 2]! += amount
    } else if (isDebit) {
      counts[first + 2]! += amount
    } else {
      counts[first + 3]! -= amount
    }
    counts[first + 4]! += 1n
    return this.#differs(view, at, first)
  }

  #differs(view: DataView, at: number, first: number): string | undefined {
    const counts = this.#counts
    const debits = counts[first]!
    const credits = counts[first + 1]!
    // One step past what 64 bits hold has the wrong sign.
    if (debits < 0n || credits < 0n) return 'makes more of its account than a counter holds'
    if (view.getBigInt64(at + entryLayout.version) !== counts[first + 4]!) {
      return `is number ${view.getBigInt64(at + entryLayout.version)} of its account, not ${counts[first + 4]!}`
    }
    if (view.getBigInt64(at + entryLayout.balance) !== debits - credits)
      return 'has a balance that does not follow'
    const [pendingDebits, pendingCredits] = [counts[first + 2]!, counts[first + 3]!]
    if (
      view.getBigInt64(at + entryLayout.pendingDebits) !== pendingDebits ||
      view.getBigInt64(at + entryLayout.pendingCredits) !== pendingCredits ||
      pendingDebits < 0n ||
      pendingCredits < 0n
    ) {
      return 'has a pending amount that does not follow'
    }
    return undefined
  }

  /** The first counter that differs from the five 64-bit numbers at these places. */
  differs(id: number, view: DataView, places: readonly number[]): string | undefined {
    return counterNames.find((_, index) => view.getBigInt64(places[index]!) !== this.#counts[5 * id + index])
  }

  #grow(): void {
    const accounts = 2 * this.#closed.length
    this.#currencies = larger(this.#currencies, new Int32Array(accounts))
    this.#closed = larger(this.#closed, new Uint8Array(accounts))
    this.#seen = larger(this.#seen, new Uint8Array(accounts))
    const counts = new BigInt64Array(5 * accounts)
    counts.set(this.#counts)
    this.#counts = counts
  }
}

const counterNames = ['debits', 'credits', 'debitsPending', 'creditsPending', 'version'] as const

/** Where the fields of an entry are, from where its row begins, as `BookPages` asks for them. */
export const entryLayout = {
  posting: 6,
  seq: 18,
  layer: 24,
  account: 30,
  amount: 42,
  version: 54,
  balance: 66,
  pendingDebits: 78,
  pendingCredits: 90,
  /** Its length, with the text behind. */
  currency: 98,
} as const

/** Three letters as a number; nothing that is not three letters has the same one. */
export function currencyAt(view: DataView, at: number): number {
  if (view.getInt32(at) !== 3) return notACurrency
  return (view.getUint8(at + 4) << 16) | view.getUint16(at + 5)
}

const notACurrency = -2

export function currencyOf(code: number): string {
  return code < 0 ? 'no currency' : String.fromCharCode(code >> 16, (code >> 8) & 0xff, code & 0xff)
}

function currencyCode(currency: string): number {
  const bytes = Buffer.from(currency)
  return bytes.length === 3 ? bytes.readUIntBE(0, 3) : -1
}

function larger<T extends { set(values: T): void }>(values: T, into: T): T {
  into.set(values)
  return into
}
