import assert from 'node:assert'
import type { OutboundLeg } from '../connectors/connector.ts'
import type { FieldValue } from '../iso8583/iso8583.ts'
import { currencies } from '../kernel/money.ts'
import type { CardSecrets } from './arrivals.ts'
import type { ClaimedObligation } from './journal.ts'
import type { CardRequest, Leg } from './transaction/transaction.ts'

/** A request as a destination is asked for it. The PIN block is already in the destination's zone. */
export function requestLeg(inbound: {
  readonly request: CardRequest
  readonly leg: Leg
  readonly secrets: CardSecrets
  readonly pinBlock: Uint8Array | undefined
}): OutboundLeg {
  const { request, leg, secrets, pinBlock } = inbound
  return {
    mti: '0200',
    identity: { stan: leg.stan, transmittedAt: leg.transmittedAt },
    fields: present({
      ...common(request, secrets.pan),
      14: secrets.expiry,
      35: secrets.track2,
      52: pinBlock,
      55: secrets.emv,
    }),
  }
}

/**
 * The undoing of a leg that may have happened (§4.6). The first delivery carries the dialect's MTI, every later one
 * its repeat, under the same DE7, DE11 and DE37. It never carries a track or a PIN.
 */
export function reversalLeg(
  claimed: ClaimedObligation,
  rules: { readonly reversalMti: '0400' | '0420'; readonly acquirerId: string },
  pan: string,
): OutboundLeg {
  const { request, leg } = claimed.transaction
  assert(request !== undefined && leg !== undefined)
  const mti = claimed.attempts === 1 ? rules.reversalMti : `${rules.reversalMti.slice(0, 3)}1`
  const { actualMinor } = claimed
  return {
    mti,
    identity: claimed.identity,
    fields: present({
      ...common(request, pan),
      38: leg.authId,
      39: reasonOf[claimed.cause] ?? '68',
      90: {
        mti: '0200',
        stan: leg.stan,
        transmittedAt: leg.transmittedAt,
        acquirerId: leg.acquirerId.padStart(11, '0'),
        forwarderId: '0'.repeat(11),
      },
      95: actualMinor === undefined ? undefined : replacementAmounts(actualMinor),
    }),
  }
}

/**
 * Why the leg is undone, as DE39 of the reversal: response received too late, customer cancellation,
 * completed partially, malfunction.
 */
const reasonOf: Readonly<Record<string, string>> = {
  timeout: '68',
  sourceReversal: '17',
  partialReversal: '32',
  undelivered: '68',
  linkLost: '68',
  recovered: '68',
  badAnswer: '22',
  wrongAmount: '22',
  postingRefused: '22',
}

/** DE95: what the transaction is to be from now on. Settlement amount and fees are not ours to say. */
function replacementAmounts(actualMinor: bigint): FieldValue {
  return {
    transaction: actualMinor,
    settlement: 0n,
    transactionFeeSign: 'D',
    transactionFee: 0n,
    settlementFeeSign: 'D',
    settlementFee: 0n,
  }
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

function present(
  fields: Readonly<Record<number, FieldValue | undefined>>,
): Readonly<Record<number, FieldValue>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Record<
    number,
    FieldValue
  >
}
