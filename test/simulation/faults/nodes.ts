import { type Fault, times, upTo } from './fault.ts'

/** Of the nodes of the switch, and of the HSM beside each. */
export const nodeFaults = {
  /** Calls that fail. */
  hsm: upTo(0.3),
  /** Crashes in the history: memory is gone, and somewhat later there is a new life. */
  crashes: times(1, 3),
  /** A node stands still for a while, and goes on. */
  freezes: times(1, 2),
  /** Of what it hears from the journal: it stands still before it hears it, until another has its leases. */
  stopsMidway: upTo(0.02),
  /** Its HSM hangs for some seconds. */
  hsmHangs: times(1, 2),
  /** Its wall clock is set wrong by an hour or a day; goes wrong by up to so many ms a second. */
  clockJumps: times(1, 3),
  clockDrift: upTo(50),
  /** Other rules come into force. */
  reloads: times(1, 4),
} as const satisfies Readonly<Record<string, Fault>>
