import { post } from '../../../switch/transaction/postings.ts'
import type { Command } from '../../../ledger/ledger.ts'
import type { Transaction } from '../../../switch/transaction/transaction.ts'
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
      return journal.commit(isApproval ? { ...unit, commands: postLate(transaction, event.at) } : unit)
    },
  }),
}

function postLate(transaction: Transaction, at: number): Command[] {
  const { businessDate: today } = transaction
  return post(transaction, { at, holdForMs: 1, days: { today, open: [today] } })
}

/** What is posted after a cutover goes to the date before it, as long as that takes any. */
export const cutoverWrongDate: Bug = {
  days: (days) => ({
    today: (destination) => days.postingDays(destination).open[0] ?? days.today(destination),
    postingDays(destination) {
      const { today, open } = days.postingDays(destination)
      return { today: open[0] ?? today, open }
    },
    isClosed: (destination, date) => days.isClosed(destination, date),
  }),
}

export const noTombstone: Bug = {
  journal: (journal) => ({
    ...journal,
    commit: (unit) =>
      unit.event.kind === 'cancelUnknown' ? Promise.resolve({ kind: 'committed' }) : journal.commit(unit),
  }),
}
