import { post } from '../../../switch/transaction/postings.ts'
import type { Bug } from './bug.ts'

/** Outcomes that are written otherwise than they must be. */

export const noReversalOnTimeout: Bug = {
  journal: (journal) => ({
    ...journal,
    commit: (unit) => journal.commit({ ...unit, owe: unit.owe.filter(({ cause }) => cause !== 'timeout') }),
  }),
}

export const lateApprovalPosts: Bug = {
  journal: (journal) => ({
    ...journal,
    commit(unit) {
      const { event, transaction } = unit
      const isApproval = event.kind === 'late' && event.detail['responseCode'] === '00'
      return journal.commit(
        isApproval ? { ...unit, commands: post(transaction, { at: event.at, holdForMs: 1 }) } : unit,
      )
    },
  }),
}

export const noTombstone: Bug = {
  journal: (journal) => ({
    ...journal,
    commit: (unit) =>
      unit.event.kind === 'cancelUnknown' ? Promise.resolve({ kind: 'committed' }) : journal.commit(unit),
  }),
}
