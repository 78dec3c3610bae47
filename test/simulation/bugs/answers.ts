import type { Waiter } from '../../../switch/live.ts'
import type { Bug } from './bug.ts'

/** Answers that are not what is on record. */

export const repeatAnsweredAnew: Bug = {
  door: (door) => ({
    ...door,
    request: (purchase, waiter) =>
      door.request(
        purchase.repeat ? { ...purchase, sourceKey: `${purchase.sourceKey}|again` } : purchase,
        waiter,
      ),
  }),
}

/** Of the one history that runs; a new one writes over the keys of the last. */
const waiting = new Map<string, Waiter>()

/** Whoever waits when the outcome's commit is not heard of is told a decline, to be on the safe side. */
export const earlyDecline: Bug = {
  door: (door) => ({
    ...door,
    request(purchase, waiter) {
      waiting.set(purchase.sourceKey, waiter)
      return door.request(purchase, waiter)
    },
  }),
  journal: (journal) => ({
    ...journal,
    async commit(unit) {
      const outcome = await journal.commit(unit)
      if (outcome.kind === 'unknown' && unit.event.kind === 'legEnded')
        void waiting.get(unit.transaction.sourceKey)?.({ responseCode: '91' })
      return outcome
    },
  }),
}
