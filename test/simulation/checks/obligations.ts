import type { Check } from './check.ts'

/** What is owed has been delivered. */
export const nothingIsOwed: Check = ({ database }, wrong) => {
  for (const { key, state, attempts } of database.obligations.values()) {
    if (state === 'due') wrong('N4', `${key} is still due after ${attempts} attempts`)
  }
}
