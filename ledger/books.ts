import type { Command, Leg } from './contract.ts'

/** The part of the books that decisions are made over and about, in memory. */
export interface Books {
  /** Accounts by path. */
  readonly accounts: Map<string, Account>
  /** Holds by the id of the command that made them. */
  readonly holds: Map<string, Hold>
  /** Postings by the id of their command. */
  readonly postings: Map<string, Posted>
  readonly units: Map<string, Answered>
  /** The last date that is closed, by network, or under `*` for all. */
  readonly periods: Map<string, string>
  lastPosting: bigint
}

type Side = Leg['side']

/** Every change makes a new one, so an earlier state may be kept. */
export interface Account {
  readonly id: bigint
  readonly path: string
  readonly currency: string
  readonly normalSide: Side
  readonly limit: 'none' | 'noOverdraft'
  readonly closed: boolean
  readonly debits: bigint
  readonly credits: bigint
  readonly debitsPending: bigint
  readonly creditsPending: bigint
  /** Counts the account's entries. */
  readonly version: bigint
}

export interface Hold {
  readonly id: bigint
  readonly reference: string
  readonly state: 'open' | 'captured' | 'voided' | 'expired'
  readonly currency: string
  /** What the debits set aside, all increments included. */
  readonly amountMinor: bigint
  readonly capturedMinor: bigint
  readonly legs: readonly HoldLeg[]
  readonly expiresAt: number
  /** Counts the postings about it. */
  readonly version: bigint
}

export interface HoldLeg {
  readonly account: string
  readonly side: Side
  readonly amountMinor: bigint
  /** What of it is still set aside. */
  readonly openMinor: bigint
}

/** What a later command may need to know of a posting. */
export interface Posted {
  readonly id: bigint
  readonly kind: PostingKind
  readonly reversed: boolean
  /** Its posted entries; empty for a posting that moved no money. */
  readonly moved: readonly Moved[]
}

export interface Moved {
  readonly account: string
  /** A debit is above zero. */
  readonly amount: bigint
}

export interface Answered {
  readonly fingerprint: string
  /** Undefined when the unit was committed. */
  readonly refusal: string | undefined
}

export type PostingKind = Command['kind']

export interface Posting {
  readonly id: bigint
  readonly reference: string
  readonly kind: PostingKind
  readonly holdId: bigint | undefined
  readonly reverses: bigint | undefined
  readonly effectiveAt: number
  readonly expiresAt: number | undefined
  readonly meta: Readonly<Record<string, string>> | undefined
  readonly entries: readonly Entry[]
}

export interface Entry {
  readonly layer: 0 | 1
  readonly accountId: bigint
  readonly currency: string
  /** A debit is above zero, a credit below it. */
  readonly amount: bigint
  readonly accountVersion: bigint
  readonly balanceAfter: bigint
  readonly debitsPendingAfter: bigint
  readonly creditsPendingAfter: bigint
}

export function emptyBooks(): Books {
  return {
    accounts: new Map(),
    holds: new Map(),
    postings: new Map(),
    units: new Map(),
    periods: new Map(),
    lastPosting: 0n,
  }
}

/** As it is when it has just been opened. */
export function newAccount(
  terms: Pick<Account, 'id' | 'path' | 'currency' | 'normalSide' | 'limit'>,
): Account {
  const none = { debits: 0n, credits: 0n, debitsPending: 0n, creditsPending: 0n, version: 0n }
  return { ...terms, ...none, closed: false }
}
