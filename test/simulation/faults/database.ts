import { type Fault, times, upTo } from './fault.ts'

/** Of commits and reads. */
export const databaseFaults = {
  /** Commits: without effect, made but not heard of, made after everybody gave up, slow. */
  commitLost: upTo(0.3),
  commitUnheard: upTo(0.3),
  commitZombie: upTo(0.3),
  commitSlow: upTo(0.3),
  /** A read that fails. */
  journalAway: upTo(0.3),
  /** It is away for some seconds. */
  databaseOutages: times(1, 2),
} as const satisfies Readonly<Record<string, Fault>>
