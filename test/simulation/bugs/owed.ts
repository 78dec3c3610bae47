import type { Bug } from './bug.ts'

/** What waits for its next attempt holds back everything behind it. */
export const headOfLineBlock: Bug = {
  journal: (journal) => ({
    ...journal,
    claim: (query) => journal.claim({ ...query, order: 'strict' }),
  }),
}
