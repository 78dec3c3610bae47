import { fingerprintOf } from '../../ledger/canonical.ts'
import { apply, type Books, decide, emptyBooks, newAccount } from '../../ledger/decide.ts'
import type { AccountSpec, Command } from '../../ledger/ledger.ts'

/** The ledger's own decisions over books in memory. */
export class SimulatedBooks {
  readonly #books: Books = emptyBooks()
  readonly #networkAccounts = new Set<bigint>()
  readonly #balanceOf = new Map<string, bigint>()

  open(accounts: readonly AccountSpec[]): void {
    for (const { path, currency, normalSide, limit } of accounts) {
      if (this.#books.accounts.has(path)) continue
      const id = BigInt(this.#books.accounts.size + 1)
      if (/^(net|authorized|holder:[^:]+:from)/.test(path)) this.#networkAccounts.add(id)
      this.#books.accounts.set(path, newAccount({ id, path, currency, normalSide, limit }))
    }
  }

  /** True when the books took the commands, now or before. */
  post(key: string, commands: readonly Command[]): boolean {
    const unit = { key, commands, rows: [] }
    const fingerprint = fingerprintOf(unit)
    const decision = decide(this.#books, unit, fingerprint)
    apply(this.#books, unit, fingerprint, decision)
    if (decision.kind === 'replay') return decision.refusal === undefined
    if (decision.kind !== 'accepted') return false
    for (const posting of decision.postings) {
      const transaction = posting.reference.split(':')[0]!
      for (const entry of posting.entries) {
        if (!this.#networkAccounts.has(entry.accountId)) continue
        this.#balanceOf.set(transaction, (this.#balanceOf.get(transaction) ?? 0n) + entry.amount)
      }
    }
    return true
  }

  /** What the network owes us for a transaction by the books: its amount, less than nothing, or nothing. */
  net(transactionId: string): bigint {
    return this.#balanceOf.get(transactionId) ?? 0n
  }

  /** Debits less credits over all accounts: zero, or the books are wrong. */
  get imbalance(): bigint {
    let sum = 0n
    for (const account of this.#books.accounts.values()) sum += account.debits - account.credits
    return sum
  }
}
