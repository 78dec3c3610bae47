import { sleep } from '../../../kernel/clock.ts'
import type { CommitOutcome, Journal, JournalUnit } from '../../../switch/journal.ts'
import type { Bug } from './bug.ts'

/** An answer, or a leg, that does not wait for the commit before it; one commit more than there should be. */

/** The real commit comes later, and nobody waits for it. */
function commitsLater(wanted: (unit: JournalUnit) => boolean): Bug {
  return {
    journal: (journal, clock) => ({
      ...journal,
      commit(unit) {
        if (!wanted(unit)) return journal.commit(unit)
        void sleep(clock, 20).then(() => journal.commit(unit))
        return Promise.resolve({ kind: 'committed' })
      },
    }),
  }
}

export const answerBeforeCommit = commitsLater(
  ({ transaction, event }) => transaction.state === 'approved' && event.kind === 'legEnded',
)

export const sentBeforeIntent = commitsLater(({ event }) => event.kind === 'request')

export const commitRetriedAfterUnknown: Bug = {
  journal: (journal) => ({
    ...journal,
    async commit(unit) {
      const outcome = await journal.commit(unit)
      return outcome.kind === 'unknown' ? insist(journal, unit) : outcome
    },
  }),
}

/** Writes the unit whatever has happened to its transaction since. */
async function insist(journal: Journal, unit: JournalUnit): Promise<CommitOutcome> {
  const stored = await journal.transactionById(unit.transaction.id).catch(() => undefined)
  if (stored === undefined || unit.expectedVersion === undefined) return { kind: 'unknown' }
  const version = stored.version + 1
  return journal.commit({
    ...unit,
    transaction: { ...unit.transaction, version },
    expectedVersion: stored.version,
    event: { ...unit.event, sequence: version },
  })
}
