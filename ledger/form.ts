import type { Command, Decided, LedgerRefusal, Leg, Unit } from './contract.ts'
import { isDate } from './periods.ts'

/** What makes a unit one that books could take: checked before any book is opened. */

/** What 64 bits hold. */
export const amountMax = 2n ** 63n - 1n

/** Texts are keys of the books; anything longer is somebody's mistake. */
const textMax = 200
const legsMax = 1_000
const timeMax = 253_402_300_800_000 // the year 10000

/** What is wrong with a unit whatever the books say. */
export function inputFault(unit: Unit): LedgerRefusal | undefined {
  if (!isText(unit.key)) return 'malformed'
  for (const command of unit.commands) {
    const wrong = commandFault(command)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function commandFault(command: Command): LedgerRefusal | undefined {
  if (!isText(command.id) || !isTime(command.effectiveAt)) return 'malformed'
  switch (command.kind) {
    case 'post':
    case 'authorize':
      if (command.meta !== undefined && !isMeta(command.meta)) return 'malformed'
      if (command.conditions?.some((condition) => !isText(condition.account)) === true) return 'malformed'
      if (command.kind === 'authorize' && !isTime(command.expiresAt)) return 'malformed'
      return legsFault(command.legs)
    case 'increment':
      if (!isText(command.holdId)) return 'malformed'
      if (command.expiresAt !== undefined && !isTime(command.expiresAt)) return 'malformed'
      return legsFault(command.legs)
    case 'capture':
    case 'release':
      if (!isText(command.holdId)) return 'malformed'
      return isAmount(command.amountMinor) ? undefined : 'badAmount'
    case 'void':
    case 'expire':
      return isText(command.holdId) ? undefined : 'malformed'
    case 'reverse':
      return isText(command.reverses) ? undefined : 'malformed'
    case 'close':
      return isText(command.account) ? undefined : 'malformed'
    case 'closePeriod':
      return isText(command.scope) && isDate(command.through) && isDecided(command.decided)
        ? undefined
        : 'malformed'
  }
}

function legsFault(legs: readonly Leg[]): LedgerRefusal | undefined {
  if (legs.length > legsMax) return 'malformed'
  const sums = new Map<string, bigint>()
  for (const leg of legs) {
    if (!isText(leg.account) || !isText(leg.currency)) return 'malformed'
    if (!isAmount(leg.amountMinor)) return 'badAmount'
    sums.set(leg.currency, (sums.get(leg.currency) ?? 0n) + signed(leg.side, leg.amountMinor))
  }
  if (legs.length === 0) return 'unbalanced'
  for (const sum of sums.values()) if (sum !== 0n) return 'unbalanced'
  return undefined
}

function isText(text: string): boolean {
  return text.length > 0 && text.length <= textMax && text.isWellFormed() && !text.includes('\0')
}

function isMeta(meta: Readonly<Record<string, string>>): boolean {
  return Object.entries(meta).every(
    ([name, value]) => isText(name) && (value === '' || (value.length <= 10 * textMax && isStorable(value))),
  )
}

function isDecided(decided: Decided | undefined): boolean {
  return decided === undefined || isMeta({ by: decided.by, why: decided.why })
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function isTime(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms >= 0 && ms < timeMax
}

function isAmount(amount: bigint): boolean {
  return amount > 0n && amount <= amountMax
}

/** A debit is above zero. */
export function signed(side: Leg['side'], amountMinor: bigint): bigint {
  return side === 'debit' ? amountMinor : -amountMinor
}
