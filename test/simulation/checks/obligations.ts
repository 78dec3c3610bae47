import type { StoredObligation } from '../owed.ts'
import type { Scene } from '../scene.ts'
import type { Check } from './check.ts'

/** What is owed has been delivered, but for what an issuer will not take, which is parked. */
export const nothingIsOwed: Check = (scene, wrong) => {
  const all = [...scene.database.obligations.values()]
  const parked = new Set(all.filter(({ state }) => state === 'parked').map((one) => one.transactionId))
  for (const one of all) {
    const { attempts, key, state } = one
    // What is parked holds back what its own transaction owes.
    if (state === 'due' && !parked.has(one.transactionId))
      wrong('N4', `${key} is still due after ${attempts} attempts`)
    if (state === 'parked' && !isUnwanted(scene, one)) wrong('N4', `${key} is parked`)
  }
}

/**
 * What no issuer will take keeps nothing of other cards from being delivered: soon after the faults everything else is.
 */
export const neighboursAreNotDelayed: Check = (scene, wrong) => {
  const { database, networks, peaceAtMs } = scene
  const all = [...database.obligations.values()]
  const poisoned = all.filter((one) => isPoisoned(scene, one))
  for (const one of all) {
    if (one.closedAt === undefined || poisoned.some(({ card }) => card === one.card)) continue
    // Totals wait for what was owed before them, and what came after waits for the totals.
    if (isBehindTotals(all, one)) continue
    const awayUntil = networks.find(({ name }) => name === one.destination)?.awayUntil ?? 0
    const lateMs = one.closedAt - Math.max(one.dueAt, peaceAtMs, awayUntil)
    if (lateMs > deliveredWithinMs) wrong('N4', `${one.key} was delivered only after ${lateMs} ms of peace`)
  }
}

function isBehindTotals(all: readonly StoredObligation[], one: StoredObligation): boolean {
  const before = all.slice(0, all.indexOf(one) + 1)
  return before.some(
    ({ closedAt, destination, kind }) =>
      kind === 'reconciliation' && destination === one.destination && (closedAt ?? Infinity) >= one.dueAt,
  )
}

/** A lease of a node that died, the longest wait between attempts, and a turn for each of the others. */
const deliveredWithinMs = 35_000

function isPoisoned(scene: Scene, one: StoredObligation): boolean {
  const rrn = rrnOf(scene, one)
  return scene.networks.some(({ issuer }) => issuer.poisoned.has(rrn))
}

function isUnwanted(scene: Scene, one: StoredObligation): boolean {
  const rrn = rrnOf(scene, one)
  return isPoisoned(scene, one) || scene.networks.some(({ issuer }) => issuer.refusedReversals.has(rrn))
}

function rrnOf({ database }: Scene, { transactionId }: StoredObligation): string {
  return database.transactions.get(transactionId)?.transaction.request?.rrn ?? ''
}
