import type { Correlation, Dialect, FrameFormat } from '../iso8583/iso8583.ts'
import type { DestinationRules } from './connector.ts'

/** A network, as data: all that the connector must know about it. Nothing else in this room names one. */
export interface NetworkProfile {
  /** The destination's name in routes, journal and metrics. */
  readonly name: string
  readonly dialect: Dialect
  readonly frame: FrameFormat
  readonly correlation: Correlation
  /** The message classes (second digit of the MTI) that are sealed, both ways. */
  readonly sealedClasses: readonly string[]
  readonly session: SessionProfile
  /** The most requests at once, live and stored ones together. */
  readonly inFlightMax: number
  /** How long a request is remembered after its waiter has gone, so that a late answer finds it. */
  readonly lateMs: number
  readonly rules: DestinationRules
}

export interface SessionProfile {
  /** DE70. */
  readonly codes: { readonly signOn: string; readonly signOff: string; readonly echo: string }
  /** DE39 of an 0810 that agrees. */
  readonly approved: readonly string[]
  /** How long an 0810 may take. */
  readonly answerMs: number
  /** An echo goes out after so long without traffic in either direction. */
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
