import type { Scene } from '../scene.ts'
import type { Transaction } from '../../../switch/transaction/transaction.ts'
import type { Check, Wrong } from './check.ts'

/** Every date that has ended is frozen; what was posted is on the date it belongs to. */
export const datesAreRight: Check = (scene, wrong) => {
  const { all } = scene.database.days
  for (const { date, destination, frozenAt } of all) {
    const isLast = !all.some((day) => day.destination === destination && day.date > date)
    if ((frozenAt !== undefined) === isLast)
      wrong('B4', `${destination} ${date} is ${isLast ? '' : 'not '}frozen`)
  }
  const eventsOf = Map.groupBy(scene.database.events, ({ transactionId }) => transactionId)
  for (const { transaction, routed } of scene.database.transactions.values())
    checkDates({ transaction, routed, events: eventsOf.get(transaction.id) ?? [] }, scene, wrong)
}

/** A node follows a cutover that it was not told of within so long, with a database that is away for a while. */
const followMs = 20_000

/** The moment whose dates some node may still go by: who stood still knows what it knew before. */
export function knownSince({ world }: Scene, atMs: number): number {
  const sinceMs = atMs - followMs
  const before = world.standstills.flatMap(({ fromMs, toMs }) =>
    fromMs <= atMs && toMs >= sinceMs ? [fromMs - followMs] : [],
  )
  return Math.min(sinceMs, ...before)
}

interface Dated {
  readonly transaction: Transaction
  readonly routed: { readonly on: string; readonly atMs: number; readonly legs: number }
  readonly events: Scene['database']['events']
}

/** A transaction keeps the date it was routed on, unless the network says another; its reversal is today's. */
function checkDates({ transaction, routed, events }: Dated, scene: Scene, wrong: Wrong): void {
  const { days, books } = scene.database
  const { leg, sourceKey } = transaction
  if (leg === undefined) return
  const { destination } = leg
  const datesAt = (at: number): string[] => days.between(destination, knownSince(scene, at), at)
  if (!datesAt(routed.atMs).includes(routed.on)) wrong('B1', `${sourceKey} was routed on ${routed.on}`)
  if (routed.legs > 3) wrong('G3', `${sourceKey} had ${routed.legs} legs`)
  const network = scene.networks.find(({ name }) => name === destination)!
  const approved = events.find(({ kind, detail }) => kind === 'legEnded' && detail['state'] === 'approved')
  // What was approved in the issuer's place it did not date: it hears of that later.
  const saysDate = network.tellsDates && leg.state === 'answered'
  const expected =
    approved === undefined ? undefined : ((saysDate ? network.issuer.dateOf(leg) : undefined) ?? routed.on)
  if (expected !== undefined && transaction.businessDate !== expected)
    wrong('B2', `${sourceKey} is of ${transaction.businessDate}, not of ${expected}`)
  for (const { reference, date, isAdjustment } of books.entries.get(transaction.id) ?? []) {
    const act = events.find(({ postings }) => postings.includes(reference))
    const postedAt = act?.committedAtMs ?? 0
    const dates = act === approved ? [expected] : datesAt(postedAt)
    if (!dates.includes(date)) wrong('B3', `${reference} is posted on ${date}, not on ${dates.join()}`)
    const day = days.all.find((one) => one.destination === destination && one.date === date)
    if (isAdjustment && day !== undefined && (day.frozenAt ?? Infinity) > postedAt)
      wrong('B4', `${reference} was adjusted while ${date} was open`)
  }
}
