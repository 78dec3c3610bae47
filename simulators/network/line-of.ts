import { maskedPan } from '../cards.ts'
import type { Charging, NetworkLine } from './book-lines.ts'
import { isVerification } from './accounts.ts'
import type { Answered, PurchaseAsked, Reversed, Standing } from './asked.ts'
import type { Settled } from './conversion.ts'
import { chargingOf } from './fees.ts'

/** What a reversal undid, as the book has it. */
export function undoneOf({ undone }: Pick<Reversed, 'undone'>): {
  readonly undoneMinor?: string
  readonly undoneOf?: 'debit' | 'credit'
} & ReturnType<typeof settlingOf> &
  Charging {
  if (undone === undefined) return {}
  return {
    ...{ undoneMinor: undone.minor.toString(), undoneOf: undone.of },
    ...settlingOf(undone),
    ...chargingOf(undone.fees),
  }
}

/** What is paid for it in another currency, as the book has it. */
export function settlingOf({ settled }: { readonly settled?: Settled }): {
  readonly settledMinor?: string
  readonly settledCurrency?: string
} {
  return settled === undefined
    ? {}
    : { settledMinor: settled.minor.toString(), settledCurrency: settled.currency }
}

/** What the authorization stands at, as the book has it. */
export function standingOf({ stands }: { readonly stands?: Standing }): {
  readonly rootStan?: string
  readonly rootTransmittedAt?: string
  readonly standsAtMinor?: string
} {
  if (stands === undefined) return {}
  const { minor, root } = stands
  return {
    rootStan: root.stan,
    rootTransmittedAt: root.transmittedAt,
    standsAtMinor: minor.toString(),
  }
}

function eventOf(asked: PurchaseAsked): 'verification' | 'hold' | 'credit' | 'transfer' | 'debit' {
  if (isVerification(asked.processingCode, asked.amountMinor)) return 'verification'
  if (asked.mtiClass === '1') return 'hold'
  if (asked.processingCode.startsWith('2')) return 'credit'
  return asked.processingCode.startsWith('4') ? 'transfer' : 'debit'
}

/** The line of a purchase that was decided. */
export function lineOf(
  asked: PurchaseAsked,
  answered: Answered,
  { network, stands }: { readonly network: string; readonly stands: ReturnType<typeof standingOf> },
): NetworkLine {
  const base = {
    at: Date.now(),
    network,
    ...asked.name,
    amountMinor: asked.amountMinor.toString(),
    currency: asked.currency,
    card: maskedPan(asked.pan),
    ...settlingOf(answered),
    ...chargingOf(answered.fees),
  }
  const { responseCode, authId, additionalAmounts } = answered
  if (authId === undefined) return { ...base, event: 'decline', responseCode }
  if (additionalAmounts !== undefined) return { ...base, event: 'inquiry', authId, additionalAmounts }
  const { approvedMinor } = answered
  const part =
    approvedMinor === undefined
      ? {}
      : { amountMinor: approvedMinor.toString(), askedMinor: asked.amountMinor.toString() }
  if (asked.raises === undefined) return { ...base, ...part, event: eventOf(asked), authId }
  const { acquirer, stan, transmittedAt } = asked.raises
  const named = { originalStan: stan, originalTransmittedAt: transmittedAt, originalAcquirer: acquirer }
  return { ...base, ...part, ...named, ...stands, event: 'raise', authId }
}
