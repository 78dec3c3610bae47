import type { Scene } from '../scene.ts'
import { booksBalance } from './books.ts'
import type { Check } from './check.ts'
import { datesAreRight } from './dates.ts'
import { everythingEnds } from './ends.ts'
import { exposureIsBounded } from './exposure.ts'
import { issuersAreAskedOnce } from './issuers.ts'
import { neighboursAreNotDelayed, nothingIsOwed } from './obligations.ts'
import { threeBooksAgree } from './purchases.ts'
import { totalsAreTold } from './reconciliations.ts'
import { onlyOneSetOfRules } from './rules.ts'
import { nothingTimesOutEarly } from './timers.ts'
import { totalsAgree } from './totals.ts'

/** Everything that must hold. A new check is a file beside this one and a name here. */
const checks: readonly Check[] = [
  booksBalance,
  threeBooksAgree,
  everythingEnds,
  nothingIsOwed,
  neighboursAreNotDelayed,
  exposureIsBounded,
  issuersAreAskedOnce,
  nothingTimesOutEarly,
  datesAreRight,
  totalsAreTold,
  totalsAgree,
  onlyOneSetOfRules,
]

/** One sentence for each violation. */
export function check(scene: Scene): string[] {
  const violations: string[] = []
  for (const rule of checks) rule(scene, (name, what) => void violations.push(`${name} ${what}`))
  return violations
}
