import type { EstateKind, ScenarioName } from './scenarios.ts'

/** The lines of the terminals' book. `at` is wall clock ms; amounts are minor units in digits; cards are masked. */
export type TerminalLine =
  | (RequestLine & { readonly at: number })
  | ({ readonly at: number } & (
      | { readonly event: 'repeat'; readonly terminal: string; readonly rrn: string }
      /** Booked ahead, and then never given to a line: nothing happened. */
      | { readonly event: 'unsent'; readonly terminal: string; readonly rrn: string }
      | AnswerLine
      | {
          readonly event: 'noAnswer'
          readonly terminal: string
          readonly rrn: string
          readonly why: 'timeout' | 'lineLost'
        }
      /** After the terminal had stopped waiting, or a second answer. */
      | (Omit<AnswerLine, 'event'> & { readonly event: 'lateAnswer' })
      | ReversalLine
      | {
          readonly event: 'reversalAnswer'
          readonly terminal: string
          readonly rrn: string
          readonly responseCode: string
        }
      | { readonly event: 'badSeal'; readonly terminal: string; readonly rrn: string; readonly mti: string }
      /** The purchase's key with another amount: not a purchase, and to be refused with 94. */
      | {
          readonly event: 'conflict'
          readonly terminal: string
          readonly rrn: string
          readonly amountMinor: string
        }
      /** What was set aside has been used, so much of it; said until somebody has heard it. */
      | {
          readonly event: 'completion'
          readonly terminal: string
          readonly rrn: string
          readonly amountMinor: string
          readonly stan: string
        }
      | {
          readonly event: 'completionAnswer'
          readonly terminal: string
          readonly rrn: string
          readonly responseCode: string
        }
      | {
          readonly event: 'conflictAnswer'
          readonly terminal: string
          readonly rrn: string
          readonly responseCode: string
        }
    ))

export interface RequestLine {
  readonly event: 'request'
  readonly kind: 'purchase' | EstateKind
  readonly terminal: string
  readonly merchant: string
  readonly rrn: string
  readonly stan: string
  readonly amountMinor: string
  readonly currency: string
  readonly card: string
  readonly entry: 'pan' | 'track2'
  readonly scenario: ScenarioName
  /** Wall clock ms of DE7: with the STAN and terminal it names the message. */
  readonly madeAt: number
}

interface AnswerLine {
  readonly event: 'answer'
  readonly kind: 'purchase'
  readonly terminal: string
  readonly rrn: string
  readonly responseCode: string
  readonly authId?: string
}

export interface ReversalLine {
  readonly event: 'reversal'
  readonly terminal: string
  /** Of the purchase. */
  readonly rrn: string
  readonly attempt: number
  readonly mti: '0400' | '0420'
  /** Of the reversal, so that a later life repeats the same message. */
  readonly stan: string
  readonly madeAt: number
}

/** Each of these ends a reversal: done, nothing to do, not found. */
export const acknowledgedCodes: readonly string[] = ['00', '21', '25']
