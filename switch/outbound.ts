import assert from 'node:assert'
import {
  type DestinationRules,
  elementsOf,
  type FeeRules,
  type OutboundLeg,
} from '../connectors/connector.ts'
import type { FieldValue } from '../iso8583/iso8583.ts'
import { currencies } from '../kernel/money.ts'
import { additionalAmount, cashType } from './additional-amounts.ts'
import type { CardSecrets } from './arrivals.ts'
import { apartOf } from './fees.ts'
import type { Named, NamedObligation } from './journal.ts'
import { reconciliationLeg } from './reconciliation.ts'
import { least } from './transaction/sides.ts'
import type { CardRequest, Leg, Original } from './transaction/transaction.ts'

/** A request as a destination is asked for it. The PIN block is already in the destination's zone. */
export function requestLeg(inbound: {
  readonly request: CardRequest
  readonly leg: Leg
  readonly secrets: CardSecrets
  readonly pinBlock: Uint8Array | undefined
  readonly fees?: FeeRules | undefined
}): OutboundLeg {
  const { request, leg, secrets, pinBlock } = inbound
  return {
    mti: request.mti,
    identity: { stan: leg.stan, transmittedAt: leg.transmittedAt },
    fields: present(common(request, secrets.pan), asked(request), naming(request.original), {
      4: request.amountMinor - apartOf(request, inbound.fees),
      14: secrets.expiry,
      35: secrets.track2,
      52: pinBlock,
      55: secrets.emv,
    }),
  }
}

/** What an earlier transaction is called at its destination, where a request is about one. */
function naming(original: Original | undefined): Readonly<Record<number, FieldValue | undefined>> {
  if (original === undefined) return {}
  return { ...elementsOf(original.trace), 38: original.authId, 90: originalOf(original, original) }
}

/** What a destination is owed, as it is told: by kind. */
export function owedLeg(
  claimed: Named,
  rules: Pick<DestinationRules, 'reversalMti' | 'reconciliation' | 'fees'>,
  pan: string,
): OutboundLeg {
  switch (claimed.kind) {
    case 'reversal':
      return reversalLeg(claimed, rules, pan)
    case 'advice':
      return adviceLeg(claimed, pan)
    case 'reconciliation':
      assert(rules.reconciliation !== undefined)
      return reconciliationLeg(claimed, rules.reconciliation, rules.fees)
  }
}

/** What happened, told after the fact (§4.1, M3): it can't be refused for what it says. Never a track or a PIN. */
function adviceLeg(claimed: NamedObligation, pan: string): OutboundLeg {
  const { advice, leg } = claimed
  const { request } = claimed.transaction
  assert(request !== undefined && advice !== undefined)
  return {
    mti: told(advice.mti, claimed.attempts),
    identity: claimed.identity,
    fields: present(common(request, pan), elementsOf(leg?.trace), {
      4: advice.amountMinor,
      38: advice.authId ?? leg?.authId,
      39: advice.responseCode,
      71: advice.part?.number,
      72: advice.part?.last,
      // A completion names its authorization as it was asked for there, if it was.
      90: claimed.cause === 'completion' && leg?.state === 'answered' ? originalOf(request, leg) : undefined,
    }),
  }
}

/** The first delivery carries the type itself, every later one its repeat (S3). */
function told(mti: string, attempts: number): string {
  return attempts === 1 ? mti : `${mti.slice(0, 3)}1`
}

/**
 * The undoing of a leg that may have happened (§4.6), under the same DE7, DE11 and DE37 each time. It never carries a track
 * or a PIN.
 */
function reversalLeg(
  claimed: NamedObligation,
  rules: Pick<DestinationRules, 'reversalMti' | 'fees'>,
  pan: string,
): OutboundLeg {
  const { actualMinor } = claimed
  const { request } = claimed.transaction
  const leg = undoneLeg(claimed)
  assert(request !== undefined)
  return {
    mti: told(rules.reversalMti, claimed.attempts),
    identity: claimed.identity,
    fields: present(common(request, pan), elementsOf(leg.trace), {
      ...undoneAmounts(claimed, request, rules.fees),
      38: leg.authId,
      39: reasonOf[claimed.cause] ?? '68',
      90: originalOf(leg, leg),
      95:
        actualMinor === undefined
          ? undefined
          : replacementAmounts(claimed, { actualMinor, request, fees: rules.fees }),
    }),
  }
}

/** What a reversal names in DE90: the leg, or the advice that told the destination of the approval. */
function undoneLeg({ leg, transaction, undone }: NamedObligation): Undone {
  const { answer, request } = transaction
  const authId = answer?.authId ?? request?.authId
  const acquirerId = transaction.leg?.acquirerId ?? ''
  if (undone !== undefined) {
    const { stan, transmittedAt, mti = '0220' } = undone
    const { trace } = transaction.leg ?? {}
    return {
      ...{ stan, transmittedAt, mti, acquirerId },
      ...(trace === undefined ? {} : { trace }),
      ...(authId === undefined ? {} : { authId }),
    }
  }
  assert(request !== undefined && leg !== undefined)
  return { ...leg, mti: request.mti }
}

type Undone = Pick<Leg, 'stan' | 'transmittedAt' | 'acquirerId' | 'authId' | 'trace'> & {
  readonly mti: string
}

/**
 * Why the leg is undone, as DE39 of the reversal: response received too late, customer cancellation,
 * completed partially, malfunction.
 */
const reasonOf: Readonly<Record<string, string>> = {
  timeout: '68',
  sourceReversal: '17',
  completionReversal: '17',
  partialReversal: '32',
  partialApproval: '22',
  undelivered: '68',
  linkLost: '68',
  recovered: '68',
  badAnswer: '22',
  wrongAmount: '22',
  postingRefused: '22',
}

/** DE90: the leg as its destination knows it. */
function originalOf(
  { mti }: { readonly mti: string },
  leg: Pick<Leg, 'stan' | 'transmittedAt' | 'acquirerId'>,
): FieldValue {
  return {
    mti,
    stan: leg.stan,
    transmittedAt: leg.transmittedAt,
    acquirerId: leg.acquirerId.padStart(11, '0'),
    forwarderId: '0'.repeat(11),
  }
}

/** DE4 and DE28: what is undone is what was approved, or what was told in its place. An advice tells one amount. */
function undoneAmounts(
  { transaction, undone }: NamedObligation,
  request: CardRequest,
  fees: FeeRules | undefined,
): Fields {
  if (undone?.amountMinor !== undefined) return { 4: undone.amountMinor }
  return {
    4: (transaction.approvedMinor ?? request.amountMinor) - apartOf(request, fees),
    28: feeOf(request),
  }
}

/**
 * DE95: what the transaction is to be from now on, and of that the fee, which goes back last. What is settled is not ours to
 * say.
 */
function replacementAmounts(
  { undone }: NamedObligation,
  left: {
    readonly actualMinor: bigint
    readonly request: CardRequest
    readonly fees: FeeRules | undefined
  },
): FieldValue {
  const { actualMinor, fees, request } = left
  const feeMinor = undone?.amountMinor === undefined ? (request.feeMinor ?? 0n) : 0n
  const leftMinor = least(feeMinor, actualMinor)
  return {
    transaction: actualMinor - apartOf({ feeMinor: leftMinor }, fees),
    settlement: 0n,
    transactionFeeSign: 'D',
    transactionFee: leftMinor,
    settlementFeeSign: 'D',
    settlementFee: 0n,
  }
}

/** What only some kinds say, and a reversal doesn't. */
function asked(request: CardRequest): Readonly<Record<number, FieldValue | undefined>> {
  const { cashMinor, currency, fromAccount, toAccount } = request
  const numeric = currencies[currency].numeric
  return {
    54:
      cashMinor === undefined
        ? undefined
        : additionalAmount({ type: cashType, numeric, amountMinor: cashMinor }),
    28: feeOf(request),
    102: fromAccount,
    103: toAccount,
  }
}

/** DE28: the cardholder is charged it (D), and it is in DE4. */
function feeOf({ feeMinor }: CardRequest): FieldValue | undefined {
  return feeMinor === undefined ? undefined : { sign: 'D', amount: feeMinor }
}

function common(request: CardRequest, pan: string): Readonly<Record<number, FieldValue | undefined>> {
  return {
    2: pan,
    3: request.processingCode,
    4: request.amountMinor,
    12: request.localTime,
    13: request.localDate,
    18: request.merchantType,
    22: request.entryMode,
    25: request.conditionCode,
    37: request.rrn,
    41: request.terminalId,
    42: request.merchantId,
    49: currencies[request.currency].numeric,
  }
}

type Fields = Readonly<Record<number, FieldValue | undefined>>

/** What is there of each; of what two of them say, what the later one does. */
function present(...parts: readonly Fields[]): Readonly<Record<number, FieldValue>> {
  const fields: Record<number, FieldValue> = {}
  for (const part of parts) {
    for (const de in part) {
      const value = part[de]
      if (value !== undefined) fields[de] = value
    }
  }
  return fields
}
