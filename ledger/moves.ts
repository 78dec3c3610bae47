import type { Account, Moved } from './books.ts'

/** One entry to be: money posted, set aside, or let go again (with the sign opposite to what was set aside). */
export interface Move extends Moved {
  readonly effect: 'post' | 'setAside' | 'letGo'
}

export function posts(account: string, amount: bigint): Move {
  return { account, amount, effect: 'post' }
}

export function setsAside(account: string, amount: bigint): Move {
  return { account, amount, effect: 'setAside' }
}

export function lets(account: string, amount: bigint): Move {
  return { account, amount, effect: 'letGo' }
}

export function moved(account: Account, { amount, effect }: Move): Account {
  const version = account.version + 1n
  switch (effect) {
    case 'post':
      return amount > 0n
        ? { ...account, version, debits: account.debits + amount }
        : { ...account, version, credits: account.credits - amount }
    case 'setAside':
      return amount > 0n
        ? { ...account, version, debitsPending: account.debitsPending + amount }
        : { ...account, version, creditsPending: account.creditsPending - amount }
    case 'letGo':
      return amount > 0n
        ? { ...account, version, creditsPending: account.creditsPending - amount }
        : { ...account, version, debitsPending: account.debitsPending + amount }
  }
}

/** What may still be taken from an account: its balance on its normal side, less what is set aside against it. */
export function available(account: Account): bigint {
  return account.normalSide === 'debit'
    ? account.debits - account.credits - account.creditsPending
    : account.credits - account.debits - account.debitsPending
}
