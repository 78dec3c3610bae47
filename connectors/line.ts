import type { ExchangeOutcome, Message } from '../iso8583/iso8583.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { SessionState } from './session-state.ts'

/** How requests get to a destination and answers back, whatever connections that takes. */
export interface Line {
  readonly state: SessionState
  readonly sessions: readonly SessionStatus[]
  start(): void
  /** Sends a request, over one of its connections, and waits for the answer. Never rejects. */
  exchange(bytes: Buffer, deadlineMs: number): Promise<ExchangeOutcome>
  /** Whether the peer answers an echo. It proves the peer's front end, not the issuers behind it. */
  echo(): Promise<boolean>
  /** Asks something of network management's. undefined: no answer. */
  ask(question: NetworkQuestion): Promise<Message | undefined>
  /** Signs off and closes, or closes at once; `start` does not bring it back. */
  end(how?: 'cut'): Promise<void>
}
