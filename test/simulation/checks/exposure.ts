import type { Check } from './check.ts'

/** What is approved in issuers' places never was more than was allowed. */
export const exposureIsBounded: Check = ({ database }, wrong) => {
  for (const what of database.overExposed) wrong('P3', what)
}
