import type { ExchangeOutcome, Message } from '../iso8583/iso8583.ts'
import type { Dialogue } from './dialogue.ts'
import type { NetworkQuestion, SessionStatus } from './connector.ts'
import type { SessionState } from './session-state.ts'

/** A request as it goes out, and the dialogue that it is written in: only a connection that speaks that may take it. */
export interface Written {
  readonly dialogue: Dialogue
  readonly bytes: Buffer
}

/** How requests get to a destination and answers back, whatever connections that takes. */
export interface Line {
  readonly state: SessionState
  readonly sessions: readonly SessionStatus[]
  start(): void
  /** In which a request is to be written now: in `as` where one of its connections speaks that. undefined: none speaks. */
  dialogue(as?: Dialogue): Dialogue | undefined
  /** Sends a request, over one of its connections, and waits for the answer. Never rejects. */
  exchange(written: Written, deadlineMs: number): Promise<ExchangeOutcome>
  /** Whether the peer answers an echo. It proves the peer's front end, not the issuers behind it. */
  echo(): Promise<boolean>
  /** Asks something of network management's. undefined: no answer. */
  ask(question: NetworkQuestion): Promise<Message | undefined>
  /** Signs off and closes, or closes at once; `start` does not bring it back. */
  end(how?: 'cut'): Promise<void>
}
