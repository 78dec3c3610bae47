import type { Bug } from './bug.ts'

/** What is being served is decided by whatever rules are in force at each of its steps. */
export const rulesMidway: Bug = {
  pins: (rules) => ({
    get version() {
      return rules.current.version
    },
    get routes() {
      return rules.current.routes
    },
    get standIn() {
      return rules.current.standIn
    },
    get sources() {
      return rules.current.sources
    },
    get destinations() {
      return rules.current.destinations
    },
  }),
}
