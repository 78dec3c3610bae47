import type { Bug } from './bug.ts'

/** Guards of the database that are left out. */

export const noRowLock: Bug = { ignore: 'versions' }

export const fenceIgnored: Bug = { ignore: 'fences' }

export const refundsUnbounded: Bug = { ignore: 'refunds' }

export const obligationsInMemory: Bug = {
  crash(database) {
    for (const [id, { state }] of database.obligations) if (state === 'due') database.obligations.delete(id)
  },
}
