import type { Bug } from './bug.ts'

/** What names a leg. */

/** Every life of every node counts from 1. */
export const legKeyNotUnique: Bug = {
  identify() {
    let next = 0
    return (transmittedAt) => ({ stan: String(++next).padStart(6, '0'), transmittedAt })
  },
}

/** Numbers come again, and the answer to an earlier one is taken for that of a later one. */
export const matchOnStanOnly: Bug = { matchKey: ({ stan }) => stan }
