import { sleep } from '../../kernel/clock.ts'
import type { CommitOutcome, Journal, JournalUnit } from '../../switch/journal.ts'
import type { Waiter } from '../../switch/live.ts'
import { post } from '../../switch/transaction/postings.ts'
import type { SimulatedDatabase } from './journal.ts'
import type { Door } from './terminals.ts'
import type { World } from './world.ts'

/**
 * Mistakes planted around the core and the shell: where they meet the journal, the database and the sources. The
 * simulation is worth nothing unless it finds each of them.
 */
export interface Bug {
  readonly journal?: (journal: Journal, world: World) => Journal
  /** What sources come in by. */
  readonly door?: (door: Door) => Door
  /** What a crash takes with it that it should not. */
  readonly crash?: (database: SimulatedDatabase) => void
  /** What the database does not look at when it commits. */
  readonly ignore?: 'versions' | 'fences'
  /** It takes several things at once to go wrong: some hundred histories. */
  readonly rare?: boolean
}

export const bugs: Readonly<Record<string, Bug>> = {
  'answer-before-commit': {
    journal: (journal, world) => ({
      ...journal,
      async commit(unit) {
        if (unit.transaction.state !== 'approved' || unit.event.kind !== 'legEnded')
          return journal.commit(unit)
        // The real commit comes later, and nobody waits for it.
        void sleep(world, 20).then(() => journal.commit(unit))
        return Promise.resolve({ kind: 'committed' })
      },
    }),
  },
  'no-row-lock': { ignore: 'versions' },
  'fence-ignored': { ignore: 'fences', rare: true },
  'no-tombstone': {
    rare: true,
    journal: (journal) => ({
      ...journal,
      commit: (unit) =>
        unit.event.kind === 'cancelUnknown' ? Promise.resolve({ kind: 'committed' }) : journal.commit(unit),
    }),
  },
  'no-reversal-on-timeout': {
    journal: (journal) => ({ ...journal, commit: (unit) => journal.commit(withoutTimeoutReversal(unit)) }),
  },
  'late-approval-posts': {
    journal: (journal) => ({
      ...journal,
      commit(unit) {
        const { event, transaction } = unit
        const isApproval = event.kind === 'late' && event.detail['responseCode'] === '00'
        return journal.commit(isApproval ? { ...unit, commands: post(transaction, event.at) } : unit)
      },
    }),
  },
  'obligations-in-memory': {
    crash(database) {
      for (const [id, { state }] of database.obligations) if (state === 'due') database.obligations.delete(id)
    },
  },
  'commit-retried-after-unknown': {
    journal: (journal) => ({
      ...journal,
      async commit(unit) {
        const outcome = await journal.commit(unit)
        return outcome.kind === 'unknown' ? insist(journal, unit) : outcome
      },
    }),
  },
  'repeat-answered-anew': {
    door: (door) => ({
      ...door,
      request: (purchase, waiter) =>
        door.request(
          purchase.repeat ? { ...purchase, sourceKey: `${purchase.sourceKey}|again` } : purchase,
          waiter,
        ),
    }),
  },
  'sent-before-intent': {
    journal: (journal, world) => ({
      ...journal,
      commit(unit) {
        if (unit.event.kind !== 'request') return journal.commit(unit)
        // The real commit is on its way, and is hoped to be there before anybody asks.
        void sleep(world, 20).then(() => journal.commit(unit))
        return Promise.resolve({ kind: 'committed' })
      },
    }),
  },
  'early-decline': {
    // Whoever waits when the outcome's commit is not heard of is told a decline, to be on the safe side.
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
  },
}

/** Of the one history that runs; a new one writes over the keys of the last. */
const waiting = new Map<string, Waiter>()

/** Writes the unit whatever has happened to its transaction since. */
async function insist(journal: Journal, unit: JournalUnit): Promise<CommitOutcome> {
  const stored = await journal.transactionById(unit.transaction.id).catch(() => undefined)
  if (stored === undefined || unit.expectedVersion === undefined) return { kind: 'unknown' }
  const version = stored.version + 1
  return journal.commit({
    ...unit,
    transaction: { ...unit.transaction, version },
    expectedVersion: stored.version,
    event: { ...unit.event, sequence: version },
  })
}

function withoutTimeoutReversal(unit: JournalUnit): JournalUnit {
  if (unit.owe?.cause !== 'timeout') return unit
  const { owe: _forgotten, ...rest } = unit
  return rest
}
