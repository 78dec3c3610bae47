import type { Bug } from './bug.ts'

/** What waits for its next attempt holds back everything behind it. */
export const headOfLineBlock: Bug = {
  journal: (journal) => ({
    ...journal,
    claim: (query) => journal.claim({ ...query, order: 'strict' }),
  }),
}

/** The issuer hears of our approval before it has undone its own. */
export const adviceOvertakesReversal: Bug = {
  journal: (journal) => ({
    ...journal,
    commit: (unit) => journal.commit({ ...unit, owe: [...unit.owe].reverse() }),
  }),
}

/** Approvals in issuers' places are counted by nobody. */
export const exposureUnchecked: Bug = { ignore: 'exposures' }
