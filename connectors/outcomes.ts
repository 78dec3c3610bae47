import type { Anomaly, ExchangeOutcome, Message } from '../iso8583/iso8583.ts'
import type { LegHealth } from './breaker.ts'
import type { DestinationRules, LegAnswer, LegOutcome, MaybeSentReason } from './connector.ts'
import type { CreditNeed } from './credits.ts'
import type { Log } from './network.ts'
import { feesOf1987 } from './fees.ts'
import type { SaidFees } from './said-fees.ts'
import { traceOf } from './trace.ts'

/** What an answer says, as far as the life of a transaction goes. */
export function answerOf(
  message: Message,
  rules: DestinationRules,
  described: string,
  feesOf: (message: Message) => SaidFees = feesOf1987,
): LegAnswer {
  const authId = message.text(38)
  const amountMinor = message.amount(4)
  const currencyNumeric = message.text(49)
  const additionalAmounts = message.text(54)
  const settlementDate = monthAndDayOf(message)
  // Of totals of 1987 alone: since 1993 DE39 says whether they agree, and DE66 are fees.
  const settlementCode = message.mti.startsWith('05') ? message.text(66) : undefined
  return {
    mti: message.mti,
    responseCode: message.text(39) ?? '',
    ...(authId !== undefined && { authId }),
    ...(amountMinor !== undefined && { amountMinor }),
    ...(currencyNumeric !== undefined && { currencyNumeric }),
    ...(additionalAmounts !== undefined && { additionalAmounts }),
    ...elsewhere(message, 'settlement', { amount: 5, currency: 50, rate: 9 }),
    ...elsewhere(message, 'billing', { amount: 6, currency: 51, rate: 10 }),
    ...feesIn(message, feesOf),
    ...traceOf(message, rules.traceElements ?? []),
    ...(settlementDate !== undefined && { settlementDate }),
    ...(settlementCode !== undefined && { settlementCode }),
    described,
  }
}

/** Of answers to requests alone: what is said to advices and reversals of fees is not read. */
function feesIn(message: Message, feesOf: (message: Message) => SaidFees): Pick<LegAnswer, 'fees'> {
  if (!/^.[12]1/.test(message.mti)) return {}
  const fees = feesOf(message)
  return fees.length === 0 ? {} : { fees }
}

function elsewhere(
  message: Message,
  name: 'settlement' | 'billing',
  de: { readonly amount: number; readonly currency: number; readonly rate: number },
): Pick<LegAnswer, 'settlement' | 'billing'> {
  const [amountMinor, currencyNumeric] = [message.amount(de.amount), message.text(de.currency)]
  if (amountMinor === undefined || currencyNumeric === undefined) return {}
  const [rate, date] = [message.text(de.rate), message.text(16)?.slice(-4)]
  return {
    [name]: {
      ...{ amountMinor, currencyNumeric },
      ...(rate !== undefined && { rate }),
      ...(date !== undefined && { date }),
    },
  }
}

/** The end of an exchange as the end of a leg. `sent` is the masked dump of what went out. */
export function legOutcome(
  outcome: ExchangeOutcome,
  sent: () => string,
  answer: (message: Message) => LegAnswer,
): LegOutcome {
  switch (outcome.kind) {
    case 'answered':
      return { kind: 'answered', answer: answer(outcome.message), sent: sent() }
    case 'notSent':
      return { kind: 'notSent', reason: outcome.reason === 'closed' ? 'offline' : outcome.reason }
    case 'maybeSent':
      return { kind: 'maybeSent', reason: maybeSentReasons[outcome.reason], sent: sent() }
  }
}

const maybeSentReasons: Readonly<
  Record<(ExchangeOutcome & { readonly kind: 'maybeSent' })['reason'], MaybeSentReason>
> = {
  deadline: 'deadline',
  linkLost: 'linkLost',
  badSeal: 'badMac',
  // The HSM's silence, not the network's: to the transaction there was no answer by the deadline.
  sealUnchecked: 'deadline',
  unparseable: 'unparseable',
  abandoned: 'draining',
}

/** Any well-formed answer is good health, a decline too: it is the issuer that declines, and the network that works. */
export function healthOf(outcome: ExchangeOutcome): LegHealth {
  switch (outcome.kind) {
    case 'answered':
      return 'success'
    case 'notSent':
      return 'neutral'
    case 'maybeSent':
      return outcome.reason === 'sealUnchecked' || outcome.reason === 'abandoned' ? 'neutral' : 'failure'
  }
}

/** Reversals and advices are stored and forwarded; a source waits for all others. */
export function needOf(mti: string): CreditNeed {
  if (mti[1] === '4') return 'reversal'
  return mti[2] === '2' || mti[1] === '5' ? 'advice' : 'live'
}

/** What should not happen, and changed nothing, as a line of the log. Two of its kinds are never an accident. */
export function logAnomaly(log: Log, anomaly: Anomaly): void {
  const { kind, link } = anomaly
  if (kind === 'unparseable') {
    const { code, path, offset } = anomaly.error
    log.warn({ kind, link: link.id, code, path, offset }, 'anomaly')
    return
  }
  const { message } = anomaly
  const details = { kind, link: link.id, mti: message.mti, stan: message.text(11) }
  if (kind === 'crossMatch') log.error({ ...details, de: anomaly.de }, 'anomaly')
  else if (kind === 'contradictory') log.error(details, 'anomaly')
  else log.warn(details, 'anomaly')
}

/** DE15 as MMDD: later editions put the year before it. */
export function monthAndDayOf(message: Message): string | undefined {
  return message.text(15)?.slice(-4)
}
