import { type IssuerItem, type Item, itemsOf } from '../totals.ts'
import type { SimulatedNetwork } from '../network.ts'
import type { Scene } from '../scene.ts'
import type { Check } from './check.ts'
import { knownSince } from './dates.ts'

/**
 * What our journal counts and what each network counts by itself are the same, transaction by transaction (C3): the same
 * money, and on the same date but where nobody could know the other's. What a network found out of balance is one of those.
 */
export const totalsAgree: Check = (scene, wrong) => {
  for (const network of scene.networks) {
    const pairs = pairsOf(scene, network)
    for (const pair of pairs) {
      const [ours, theirs] = [left(pair.ours), left(pair.theirs)]
      if (ours !== theirs)
        wrong('C3', `${pair.name} is ${ours} by our journal, and ${theirs} at ${network.name}`)
      else if (datesOf(pair).length > 0 && !mayDiffer(scene, network, pair))
        wrong('C3', `${pair.name} is on other dates at ${network.name}: ${datesOf(pair).join()}`)
    }
    checkAnswers(scene, { network, pairs }, wrong)
  }
}

/** One transaction's part in the debits, in the credits, or in the transfers. */
interface Pair {
  readonly name: string
  readonly ours: readonly Item[]
  readonly theirs: readonly IssuerItem[]
}

/** But for what people have to settle first: what an issuer would not have undone. */
function pairsOf({ database }: Scene, { issuer, name }: SimulatedNetwork): Pair[] {
  const parked = new Set<string>()
  for (const { state, transactionId } of database.obligations.values()) {
    const rrn = database.transactions.get(transactionId)?.transaction.request?.rrn
    if (state === 'parked' && rrn !== undefined) parked.add(rrn)
  }
  const pairs = new Map<string, { name: string; ours: Item[]; theirs: IssuerItem[] }>()
  const pairOf = (rrn: string, total: string) => {
    const key = `${total} ${rrn}`
    const pair = pairs.get(key) ?? { name: key, ours: [], theirs: [] }
    if (!parked.has(rrn)) pairs.set(key, pair)
    return pair
  }
  for (const item of itemsOf(database, name))
    if (item.total !== 'authorization' && item.total !== 'inquiry')
      pairOf(item.transaction.request!.rrn, item.total).ours.push(item)
  for (const item of issuer.items) pairOf(item.rrn, item.total).theirs.push(item)
  return [...pairs.values()]
}

function left(items: readonly (Item | IssuerItem)[]): bigint {
  return items.reduce((sum, item) => sum + signed(item), 0n)
}

function signed(item: Item | IssuerItem): bigint {
  return 'isReversal' in item && item.isReversal ? -item.minor : item.minor
}

/** The dates on which the two differ. */
function datesOf({ ours, theirs }: Pair): string[] {
  const dates = new Set([...ours, ...theirs].map(({ date }) => date))
  return [...dates].filter(
    (date) =>
      left(ours.filter((one) => one.date === date)) !== left(theirs.filter((one) => one.date === date)),
  )
}

/**
 * Nobody knows when a network did what it never answered; what it approved too much of is undone as it was asked. Else
 * from when it was asked until we had it on record the date
 * must have turned at one of the two, and not yet at the other; or the network named a date, and then it is that.
 */
function mayDiffer(scene: Scene, network: SimulatedNetwork, { ours, theirs }: Pair): boolean {
  const { database } = scene
  if (ours.some(({ isInferred }) => isInferred)) return true
  const known = ours.map(({ transaction }) => transaction.id)
  if (
    database.events.some(
      ({ cause, transactionId }) => cause === 'wrongAmount' && known.includes(transactionId),
    )
  )
    return true
  const fromMs = Math.min(
    ...theirs.map(({ atMs }) => atMs),
    ...ours.map(({ transaction }) => database.transactions.get(transaction.id)!.routed.atMs),
  )
  const toMs = Math.max(...ours.map(({ recordedAtMs }) => recordedAtMs), ...theirs.map(({ atMs }) => atMs))
  const dates = new Set([
    ...database.days.between(network.name, knownSince(scene, fromMs), toMs),
    ...network.datesBetween(fromMs, toMs),
    // Where it says none its old ones are not known.
    ...(network.tellsDates ? [] : theirs.map(({ date }) => date)),
  ])
  return dates.size > 1
}

/** What it found out of balance has a transaction that came late or is on another date there; or came late. */
function checkAnswers(
  { database }: Scene,
  { network, pairs }: { readonly network: SimulatedNetwork; readonly pairs: readonly Pair[] },
  wrong: Parameters<Check>[1],
): void {
  const parked = [...database.obligations.values()].some(
    ({ destination, state }) => state === 'parked' && destination === network.name,
  )
  for (const { date, destination, frozenAt } of database.days.all) {
    if (destination !== network.name || frozenAt === undefined || parked) continue
    const said = network.totals.get(date.slice(5, 7) + date.slice(8))
    if (said?.code !== '2') continue
    const isExplained = pairs.some(
      (pair) =>
        datesOf(pair).includes(date) ||
        pair.ours.some((item) => item.date === date && item.recordedAtMs >= frozenAt) ||
        pair.theirs.some((item) => item.date === date && item.atMs >= said.askedAtMs),
    )
    if (!isExplained) wrong('C2', `${network.name} says that ${date} is out of balance, and nothing is`)
  }
}
