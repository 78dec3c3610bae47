export type SessionState =
  | 'down'
  | 'connecting'
  | 'signingOn'
  | 'online'
  /** An echo was not answered: nothing new is sent until one is. */
  | 'suspect'
  /** The peer signed off: nothing new is sent until it signs on again. */
  | 'signedOff'
  /** Another node holds the line, and takes our requests over it. */
  | 'relayed'
  /** Another node holds the line. */
  | 'standby'
  | 'draining'
  | 'closed'

/** From the best to the worst: a line of several sessions is as the best of them. */
export const sessionStates: readonly SessionState[] = [
  'online',
  'suspect',
  'signedOff',
  'signingOn',
  'connecting',
  'relayed',
  'standby',
  'draining',
  'down',
  'closed',
]

/** Whether requests may be sent. */
export function isUp(state: SessionState): boolean {
  return state === 'online' || state === 'relayed'
}
