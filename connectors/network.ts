import type { Correlation, Dialect, FrameFormat } from '../iso8583/iso8583.ts'
import type { DestinationRules } from './connector.ts'
import type { KeyExchangeRules } from './key-exchange.ts'
import type { Wording } from './wording.ts'

/** A network, as data: all that the connector must know about it. Nothing else in this room names one. */
export interface NetworkProfile {
  /** The destination's name in routes, journal and metrics. */
  readonly name: string
  readonly dialect: Dialect
  readonly frame: FrameFormat
  readonly correlation: Correlation
  /** The message classes (second digit of the MTI) that are sealed, both ways. */
  readonly sealedClasses: readonly string[]
  /** How what is sealed is filled up to whole blocks (ISO 9797-1), where the key's algorithm wants that; 1 where nothing is stated. */
  readonly macPadding?: 1 | 2 | 3
  /** Where the network says things otherwise than in the messages and elements of ISO 8583:1987. */
  readonly wording?: Wording
  readonly session: SessionProfile
  /**
   * Sessions with many requests each, where nothing is stated. `halfDuplex`: one request at a time on a connection, which
   * then takes the next; `oneShot`: each request has a connection to itself.
   */
  readonly connections?: 'sessions' | 'halfDuplex' | 'oneShot'
  /** Whether an answer may come over another session than its request went. `session` where nothing is stated. */
  readonly responseAffinity?: 'session' | 'group'
  /** The most requests at once, live and stored ones together. */
  readonly inFlightMax: number
  /** How long a request is remembered after its waiter has gone, so that a late answer finds it. */
  readonly lateMs: number
  readonly rules: DestinationRules
  /** Where keys are exchanged by messages. */
  readonly keys?: KeyExchangeRules
}

export interface SessionProfile {
  /** The message type of network management, 0800 where nothing else is stated. */
  readonly mti?: string
  /** Where its code stands: DE70 where nothing else is stated, DE24 in the edition of 1993. */
  readonly codeElement?: number
  /** A cutover is 201 and a key exchange 101 where nothing else is stated. */
  readonly codes: {
    readonly signOn: string
    readonly signOff: string
    readonly echo: string
    readonly cutover?: readonly string[]
    readonly keyExchange?: readonly string[]
  }
  /** The codes whose requests and answers must be sealed, where network management is not sealed as a whole. */
  readonly sealedCodes?: readonly string[]
  /** DE39 of an answer that agrees. */
  readonly approved: readonly string[]
  /** DE39 of one that doesn't: 05, 12 and 96 where nothing else is stated. */
  readonly refusals?: { readonly refused: string; readonly unsupported: string; readonly malfunction: string }
  /** Who signs on: we, where nothing is stated; or the peer; or nobody, and a connection is enough. */
  readonly signOn?: 'ours' | 'peer' | 'none'
  /** How long an 0810 may take. */
  readonly answerMs: number
  /** An echo goes out after so long without a word from the peer, however much is sent to it. */
  readonly echoAfterMs: number
  /** So many echoes in a row without an answer, and the connection is given up. */
  readonly unansweredMax: number
  /** The wait before the n-th reconnection is anything up to this times 2 to the n. */
  readonly reconnectMs: number
  readonly reconnectMsMax: number
  /** Online for so long, and the next loss is a first one again. */
  readonly steadyMs: number
  /** The same for a sign-on that was refused or not answered, where the peer wants to be left alone longer. */
  readonly refusedMs: number
  readonly refusedMsMax: number
}

/** What pino's loggers are, as far as this room needs one. */
export interface Log {
  info(details: object, text: string): void
  warn(details: object, text: string): void
  error(details: object, text: string): void
}

/** Where network management has its code. */
export function codeElementOf({ codeElement }: SessionProfile): number {
  return codeElement ?? 70
}
