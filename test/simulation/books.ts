import { fingerprintOf } from '../../ledger/canonical.ts'
import { type Books, emptyBooks, newAccount } from '../../ledger/books.ts'
import { apply, decide } from '../../ledger/decide.ts'
import type { AccountSpec, Command } from '../../ledger/ledger.ts'
import { isOfClosedDate } from '../../ledger/periods.ts'
import type { HoldNow } from '../../switch/journal.ts'

interface NetworkEntry {
  readonly reference: string
  readonly date: string
  readonly isAdjustment: boolean
}

/** The ledger's own decisions over books in memory. */
export class SimulatedBooks {
  readonly #books: Books = emptyBooks()
  readonly #networkAccounts = new Map<bigint, string>()
  /** The entries of each transaction on accounts of a network, by their posting. */
  readonly entries = new Map<string, NetworkEntry[]>()
  readonly #balanceOf = new Map<string, bigint>()
  readonly #exposed = new Map<string, bigint>()

  open(accounts: readonly AccountSpec[]): void {
    for (const { path, currency, normalSide, limit } of accounts) {
      if (this.#books.accounts.has(path) || isOfClosedDate(this.#books.periods, path)) continue
      const id = BigInt(this.#books.accounts.size + 1)
      if (/^(net|adjustment|authorized|standin|holder:[^:]+:from)/.test(path))
        this.#networkAccounts.set(id, path)
      this.#books.accounts.set(path, newAccount({ id, path, currency, normalSide, limit }))
    }
  }

  /** Whether the books took the commands, now or before; `closed`: they are for a date that takes none. */
  post(key: string, commands: readonly Command[]): 'taken' | 'closed' | 'refused' {
    return this.#decide(key, commands, fingerprintOf({ key, commands, rows: [] }))
  }

  /** Under a name that was never given before and never will be: what it says needs no fingerprint. */
  postOnce(key: string, commands: readonly Command[]): 'taken' | 'closed' | 'refused' {
    return this.#decide(key, commands, '')
  }

  #decide(key: string, commands: readonly Command[], fingerprint: string): 'taken' | 'closed' | 'refused' {
    const unit = { key, commands, rows: [] }
    const decision = decide(this.#books, unit, fingerprint)
    apply(this.#books, unit, fingerprint, decision)
    if (decision.kind === 'replay') return decision.refusal === undefined ? 'taken' : 'refused'
    if (decision.kind === 'refused' && /^closed/.test(decision.reason)) return 'closed'
    if (decision.kind !== 'accepted') return 'refused'
    for (const posting of decision.postings) {
      const transaction = posting.reference.replace('expire:', '').split(':')[0]!
      for (const entry of posting.entries) {
        const path = this.#networkAccounts.get(entry.accountId)
        if (path === undefined) continue
        this.#note(transaction, posting.reference, path)
        this.#balanceOf.set(transaction, (this.#balanceOf.get(transaction) ?? 0n) + entry.amount)
        if (path.startsWith('standin:'))
          this.#exposed.set(transaction, (this.#exposed.get(transaction) ?? 0n) + entry.amount)
      }
    }
    return 'taken'
  }

  #note(transaction: string, reference: string, path: string): void {
    const [kind, , date] = path.split(':')
    if (date === undefined || !/^(net|adjustment)$/.test(kind!)) return
    const entries = this.entries.get(transaction) ?? []
    entries.push({ reference, date, isAdjustment: kind === 'adjustment' })
    this.entries.set(transaction, entries)
  }

  /** Moves what the accounts of a date hold to where it is settled, closes them, and with them the date. */
  closeDate(destination: string, date: string, effectiveAt: number): boolean {
    const ofDestination = `net:${destination}:`
    const open = [...this.#books.accounts.values()].filter(
      ({ path, closed }) => !closed && path.startsWith(ofDestination) && path.split(':')[2]! <= date,
    )
    for (const { path, currency, debits, credits } of open) {
      const into = `settlement:${destination}:${currency}`
      this.open([{ path: into, currency, normalSide: 'debit', limit: 'none' }])
      const [debited, credited] = debits > credits ? [into, path] : [path, into]
      const amountMinor = debits > credits ? debits - credits : credits - debits
      const legs = [
        { account: debited, side: 'debit', amountMinor, currency },
        { account: credited, side: 'credit', amountMinor, currency },
      ] as const
      const key = `closing:${path}`
      const move: Command = { kind: 'post', id: `${key}:move`, legs, effectiveAt }
      const close: Command = { kind: 'close', id: `${key}:close`, account: path, effectiveAt }
      if (this.post(key, amountMinor === 0n ? [close] : [move, close]) !== 'taken') return false
    }
    if (date <= (this.#books.periods.get(destination) ?? '')) return true
    const id = `period:${destination}:${date}`
    const period: Command = { kind: 'closePeriod', id, scope: destination, through: date, effectiveAt }
    return this.post(id, [period]) === 'taken'
  }

  isClosed(destination: string, date: string): boolean {
    return date <= (this.#books.periods.get(destination) ?? '')
  }

  holdOf(reference: string): HoldNow | undefined {
    const hold = this.#books.holds.get(reference)
    if (hold === undefined) return undefined
    const openMinor = hold.legs.reduce((sum, leg) => (leg.side === 'debit' ? sum + leg.openMinor : sum), 0n)
    return { state: hold.state, openMinor }
  }

  /** What the network owes us for a transaction by the books: its amount, less than nothing, or nothing. */
  net(transactionId: string): bigint {
    return this.#balanceOf.get(transactionId) ?? 0n
  }

  /** What of a transaction is on our own account: approved in its issuer's place, and not acknowledged. */
  exposed(transactionId: string): bigint {
    return this.#exposed.get(transactionId) ?? 0n
  }

  /** Debits less credits over all accounts: zero, or the books are wrong. */
  get imbalance(): bigint {
    let sum = 0n
    for (const account of this.#books.accounts.values()) sum += account.debits - account.credits
    return sum
  }
}
