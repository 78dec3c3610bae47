import { type Fault, times, upTo } from './fault.ts'

/** Of the nodes of the switch, and of the HSM beside each. */
export const nodeFaults = {
  /** Calls that fail. */
  hsm: upTo(0.3),
  /** Crashes in the history: memory is gone, and somewhat later there is a new life. */
  crashes: times(1, 3),
} as const satisfies Readonly<Record<string, Fault>>
