import { sleep } from '../../kernel/clock.ts'
import type { Journal, JournalUnit } from '../../switch/journal.ts'
import type { World } from './world.ts'

/**
 * Mistakes planted where the shell meets the journal. The simulation is worth nothing unless it finds each of them.
 */
export interface Bug {
  readonly journal?: (journal: Journal, world: World) => Journal
  /** The database commits whatever version a unit expects. */
  readonly ignoreVersions?: boolean
}

export const bugs: Readonly<Record<string, Bug>> = {
  'answer-before-commit': {
    journal: (journal, world) => ({
      ...journal,
      async commit(unit) {
        if (unit.transaction.state !== 'approved' || unit.event.kind !== 'legEnded')
          return journal.commit(unit)
        // The real commit comes later, and nobody waits for it.
        void sleep(world, 20).then(() => journal.commit(unit))
        return Promise.resolve({ kind: 'committed' })
      },
    }),
  },
  'no-row-lock': { ignoreVersions: true },
  'no-tombstone': {
    journal: (journal) => ({
      ...journal,
      commit: (unit) =>
        unit.event.kind === 'cancelUnknown' ? Promise.resolve({ kind: 'committed' }) : journal.commit(unit),
    }),
  },
  'no-reversal-on-timeout': {
    journal: (journal) => ({ ...journal, commit: (unit) => journal.commit(withoutTimeoutReversal(unit)) }),
  },
}

function withoutTimeoutReversal(unit: JournalUnit): JournalUnit {
  if (unit.owe?.cause !== 'timeout') return unit
  const { owe: _forgotten, ...rest } = unit
  return rest
}
