import { earlyDecline, repeatAnsweredAnew } from './answers.ts'
import type { Bug } from './bug.ts'
import { answerBeforeCommit, commitRetriedAfterUnknown, sentBeforeIntent } from './commits.ts'
import { fenceIgnored, noRowLock, obligationsInMemory, refundsUnbounded } from './guards.ts'
import { legKeyNotUnique, matchOnStanOnly } from './identities.ts'
import { adviceOvertakesReversal, exposureUnchecked, headOfLineBlock, partCountedWhole } from './owed.ts'
import { cutoverWrongDate, lateApprovalPosts, noReversalOnTimeout, noTombstone } from './outcomes.ts'
import { rulesMidway } from './rules.ts'
import { deadlineOnWallClock } from './time.ts'

/** Every planted mistake. A new one is a file beside this one, or a few lines in one of them, and a name here. */
export const bugs: Readonly<Record<string, Bug>> = {
  'answer-before-commit': answerBeforeCommit,
  'no-row-lock': noRowLock,
  'fence-ignored': fenceIgnored,
  'no-tombstone': noTombstone,
  'no-reversal-on-timeout': noReversalOnTimeout,
  'late-approval-posts': lateApprovalPosts,
  'obligations-in-memory': obligationsInMemory,
  'commit-retried-after-unknown': commitRetriedAfterUnknown,
  'repeat-answered-anew': repeatAnsweredAnew,
  'sent-before-intent': sentBeforeIntent,
  'early-decline': earlyDecline,
  'leg-key-not-unique': legKeyNotUnique,
  'match-on-stan-only': matchOnStanOnly,
  'deadline-on-wall-clock': deadlineOnWallClock,
  'cutover-wrong-date': cutoverWrongDate,
  'head-of-line-block': headOfLineBlock,
  'advice-overtakes-reversal': adviceOvertakesReversal,
  'exposure-unchecked': exposureUnchecked,
  'refunds-unbounded': refundsUnbounded,
  'rules-midway': rulesMidway,
  'part-counted-whole': partCountedWhole,
}
