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

/** The totals of a date count each undoing of a part as if it gave all of it back. */
export const partCountedWhole: Bug = {
  journal: (journal) => ({
    ...journal,
    commit(unit) {
      const { amountMinor } = unit.transaction.request ?? {}
      const owe = unit.owe.map((one) =>
        one.undoneMinor === undefined || amountMinor === undefined
          ? one
          : { ...one, undoneMinor: amountMinor },
      )
      return journal.commit({ ...unit, owe })
    },
  }),
}
