import type { FieldValue, Message } from '../iso8583/iso8583.ts'
import type { SaidFees } from './said-fees.ts'
import type { ConnectorKeys } from './key-exchange.ts'

export type { SaidFee, SaidFees } from './said-fees.ts'
export { type ConnectorKeys, type KeyExchangeRules, keyOf } from './key-exchange.ts'
export { sessionStates } from './session-state.ts'
export { elementsOf } from './trace.ts'

/**
 * The connectors room: what stands between a decision to ask a network and its answer. A connector owns the
 * session (sign-on, echo), the breaker and the correlation of answers; it decides nothing about a payment.
 */
export interface Connector {
  /** The destination's name in routes, journal and metrics. */
  readonly name: string
  /** In force now (`adopt`). */
  readonly rules: DestinationRules
  /** Puts other rules in the place of the ones it has: what is sent from here on goes by them. */
  adopt(rules: DestinationRules): void
  /** `available`, or why a leg sent now would not leave. */
  availability(): 'available' | NotSentReason
  /** Names a leg before it is committed: DE11 from this node's block, DE7 now. undefined: no STAN to be had. */
  identify(): LegIdentity | undefined
  /** Encodes and seals a request. Lets nothing out, so it may be done before it is known whether the leg may leave. */
  prepare(leg: OutboundLeg): Promise<PreparedLeg>
  /**
   * Sends one request and waits for its answer until the deadline. Never rejects. A leg is sent at most once: what
   * comes back after `maybeSent` goes to `onLate`.
   */
  send(prepared: PreparedLeg, deadlineMonotonicMs: number): Promise<LegOutcome>
  /** Answers that came for a leg whose waiter had gone. */
  onLate(listener: (identity: LegIdentity, answer: LegAnswer) => void): void
  /** Called whenever the destination becomes able to take legs. */
  onAvailable(listener: () => void): void
  /**
   * Who acts on what the network asks of us on a session: one handler for each kind, set once. The network is answered
   * when the promise settles: a rejection says 96, and one that takes longer than an 0810 may says nothing, so the
   * network asks again. Without a handler it is told 12. Echo, sign-on and sign-off the session answers by itself.
   */
  onNetworkRequest(kind: NetworkRequestKind, handler: NetworkRequestHandler): void
  /** Asks the network something of network management's. Never rejects; undefined: no answer. */
  askNetwork(request: NetworkQuestion): Promise<Message | undefined>
  /** Where keys are exchanged by messages. */
  readonly keys?: ConnectorKeys
  status(): ConnectorStatus
  /** Stops new legs, waits for those in flight, signs off, closes. */
  drain(deadlineMonotonicMs: number): Promise<void>
}

export interface LegIdentity {
  /** DE11, six digits. */
  readonly stan: string
  /** DE7, MMDDhhmmss. */
  readonly transmittedAt: string
}

/** What the switch wants said, in the terms of DE numbers; the connector adds what is the network's own business. */
export interface OutboundLeg {
  readonly mti: string
  readonly identity: LegIdentity
  /** Clear values; DE7, DE11 and the seal are added by the connector. */
  readonly fields: Readonly<Record<number, FieldValue>>
}

/** A leg and its message, or why there is none. */
export interface PreparedLeg {
  readonly leg: OutboundLeg
  readonly message: Buffer | 'hsm' | 'malformed'
  /** What the message is written for: the connector's own business. */
  readonly writtenFor?: object
}

export interface LegAnswer {
  readonly mti: string
  readonly responseCode: string
  readonly authId?: string
  /** DE4 of the answer, where it carries one. */
  readonly amountMinor?: bigint
  /** DE49 of the answer, where it carries one. */
  readonly currencyNumeric?: string
  /** DE54 of the answer, where it carries one. */
  readonly additionalAmounts?: string
  /** DE5, DE50 and DE9: what the network pays for it, where that is another currency. */
  readonly settlement?: AmountElsewhere
  /** DE6, DE51 and DE10: what the cardholder is charged. */
  readonly billing?: AmountElsewhere
  /** What the network charges or pays for it (DE28 to DE31; DE46 since 1993), where it says anything. */
  readonly fees?: SaidFees
  /** What later messages of the transaction repeat, by the paths of `traceElements`. */
  readonly trace?: Readonly<Record<string, string>>
  /** DE15 of the answer, MMDD, where it carries one: the business date on which the network accounts for it. */
  readonly settlementDate?: string
  /** DE66 of the answer to totals: 1 in balance, 2 out of balance, 3 error. */
  readonly settlementCode?: string
  /** The masked, readable dump of the message, for the journal. */
  readonly described: string
}

/** An amount in another currency, as it was said. */
export interface AmountElsewhere {
  readonly amountMinor: bigint
  /** ISO 4217 numeric. */
  readonly currencyNumeric: string
  /** Eight digits, of which the first says how many of the others are decimals. */
  readonly rate?: string
  /** DE16, MMDD. */
  readonly date?: string
}

export type NotSentReason =
  | 'offline'
  /** Keys are out of step. */
  | 'keySync'
  | 'breakerOpen'
  | 'congested'
  | 'noTime'
  | 'noStan'
  | 'draining'
  | 'hsm'
  /** Our own message could not be encoded: a fault of ours, not of the network's. */
  | 'malformed'

export type MaybeSentReason = 'deadline' | 'linkLost' | 'badMac' | 'unparseable' | 'draining'

/**
 * The three outcomes of a leg. Only `notSent` may be sent elsewhere; only `maybeSent` owes a reversal by itself. `sent`
 * is the masked dump of what went out, for the journal.
 */
export type LegOutcome =
  | { readonly kind: 'notSent'; readonly reason: NotSentReason }
  | { readonly kind: 'maybeSent'; readonly reason: MaybeSentReason; readonly sent: string }
  | { readonly kind: 'answered'; readonly answer: LegAnswer; readonly sent: string }

/** What a network may ask beside echo, sign-on and sign-off. */
export type NetworkRequestKind = 'cutover' | 'keyExchange'

export interface NetworkRequest {
  readonly kind: NetworkRequestKind
  /** DE70. */
  readonly code: string
  /** DE15, MMDD: of a cutover, the business date that begins. */
  readonly date?: string
  /** For the elements that a key travels in. */
  readonly message: Message
  /** The masked, readable dump of the message, for the journal. */
  readonly described: string
}

/** `accepted` also for what was done before: a repeat is acknowledged again. */
export type NetworkReply =
  | 'accepted'
  | 'refused'
  | {
      /** DE39; left out: accepted. */
      readonly responseCode?: string
      /** What the 0810 says beside DE7, 11, 39 and 70. */
      readonly fields?: Readonly<Record<number, FieldValue>>
      /** Called when the 0810 has been written, for what must not happen before. */
      readonly answered?: () => void
    }

export type NetworkRequestHandler = (request: NetworkRequest) => Promise<NetworkReply>

export interface NetworkQuestion {
  /** DE70. */
  readonly code: string
  /** What the 0800 says beside DE7, 11 and 70. */
  readonly fields?: Readonly<Record<number, FieldValue>>
}

/** What the life of a transaction must know about a destination. Data of its dialect. */
export interface DestinationRules {
  readonly reversalMti: '0400' | '0420'
  /** How long to wait for an answer. */
  readonly timeoutMs: number
  /** Do not send with less than this left. */
  readonly remainingMinMs: number
  /** Our institution id in DE32. */
  readonly acquirerId: string
  /** Approvals are a closed list; whatever else comes is a decline. */
  readonly approvals: readonly string[]
  /** What approves a part of the amount (DE4 of the answer says how much). Absent: nothing does. */
  readonly partialApprovals?: readonly string[]
  /** How long authorizations stand. Absent: seven days. */
  readonly holds?: HoldRules
  /** What a reversal's answer means (§4.8, S5). */
  readonly reversalAnswers: {
    readonly acknowledged: readonly string[]
    readonly retry: readonly string[]
    /**
     * It could not read what came, or its seal was wrong: that may have been spoiled on the way, or sealed by the key before
     * a new one, so it is told a few times before people are asked. Absent: none of its codes says so.
     */
    readonly spoiled?: readonly string[]
  }
  /** Waits between deliveries of a reversal; the last repeats for ever. */
  readonly retryAfterMs: readonly number[]
  /** Where it is otherwise than `usualStored`. */
  readonly stored?: Partial<StoredRules>
  /**
   * What of an answer later messages of the same transaction repeat, where it came: `63`, or `62.2` for a part. Never an
   * element of card data.
   */
  readonly traceElements?: readonly string[]
  /** The totals of each business date are told to it. Absent: it wants none. */
  readonly reconciliation?: ReconciliationRules
  /** Whether its rates (DE9, DE10) are between whole units, or between minor units. `major` where nothing is stated. */
  readonly rateBasis?: 'major' | 'minor'
  readonly fees?: FeeRules
  /** Of the PIN blocks that this destination takes (ISO 9564-1); 0 where nothing else is stated. */
  readonly pinFormat?: 0 | 4
}

/** What becomes of fees at a destination. */
export interface FeeRules {
  /** Whether DE4 has what the terminal's side charges (DE28) in it. It has, where nothing is stated. */
  readonly inAmount?: boolean
  /** Whether the undoing of the whole gives back what the network charged or paid for it. It doesn't, where nothing is stated. */
  readonly reversed?: boolean
}

/** How the totals of a business date are said (class 5). */
export interface ReconciliationRules {
  readonly mti: '0500' | '0520'
  /** The element of each total that is told. */
  readonly elements: Readonly<Partial<Record<TotalName, number>>>
}

/** Counts, and amounts in minor units. */
export type TotalName =
  | `${'credit' | 'debit' | 'transfer'}${'Count' | 'ReversalCount'}`
  | 'inquiryCount'
  | 'authorizationCount'
  | `${'credit' | 'debit'}${'Minor' | 'ReversalMinor' | 'ProcessingFeeMinor' | 'TransactionFeeMinor'}`

export interface HoldRules {
  /** Of authorizations that a clearing message follows, and of pre-authorizations. */
  readonly authorizationMs: number
  readonly preauthorizationMs: number
  /** By DE18, in the place of the above: hotels and hirers keep money longer. */
  readonly byMerchantType?: Readonly<Record<string, number>>
  /** How much more than was set aside a completion may take, in percent, by DE18. */
  readonly tolerancePercent?: Readonly<Record<string, number>>
}

/** How what is owed is brought to a destination (§4.8). */
export interface StoredRules {
  /** Cards are spread over so many lanes, and in each lane one message is under way. */
  readonly lanes: number
  /** `card`: in order for each card, while others may pass what waits. `strict`: everything in order, so one by one. */
  readonly order: 'card' | 'strict'
  /** So many a second at most: what gathered in hours is not brought in seconds. */
  readonly perSecondMax: number
  /** So often may it answer that it should be tried again; then a person looks at it. Silence is not counted. */
  readonly refusalsMax: number
}

/** So often is what arrives spoiled sent in all. */
export const spoiledMax = 4

export const usualStored: StoredRules = { lanes: 16, order: 'card', perSecondMax: 100, refusalsMax: 20 }

export interface ConnectorStatus {
  readonly name: string
  readonly dialect: string
  /** Of the session that is furthest: with one online, the destination is. */
  readonly session: string
  readonly sessions: readonly SessionStatus[]
  readonly breaker: string
  readonly inFlight: number
  readonly credits: { readonly window: number; readonly borrowed: number; readonly waiting: number }
  /** Messages of the peer's that should not have come, since the start. */
  readonly anomalies: { readonly orphan: number; readonly crossMatch: number; readonly badSeal: number }
}

export interface SessionStatus {
  readonly state: string
  /** `address:port` of the other end, while there is a connection. */
  readonly peer?: string
  readonly inFlight: number
  /** How long the last echo took. */
  readonly echoMs?: number
}

/** How a connector seals and checks messages: the switch hands it the HSM's MAC under this destination's key. */
export interface Sealer {
  /** 8 bytes, or a rejection: then nothing is sent. */
  seal(data: Uint8Array): Promise<Uint8Array>
  verify(data: Uint8Array, mac: Uint8Array): Promise<boolean>
}

/** Where STANs come from: durable blocks, so that no two nodes and no two lives of a node share one. */
export interface StanBlocks {
  /** A fresh block: `first` is 1..999,999 and the block wraps after 999,999. */
  reserve(destination: string, size: number): Promise<{ readonly first: number }>
}
