import { itemsOf } from '../totals.ts'
import type { Check } from './check.ts'

const balances: Readonly<Record<string, string>> = { '1': 'in', '2': 'out', '3': 'error' }

/**
 * Each date that has ended was told to its network once, behind everything that was owed before it, and what the network
 * said is on record.
 */
export const totalsAreTold: Check = ({ database, networks }, wrong) => {
  const all = [...database.obligations.values()]
  for (const { date, destination, frozenAt } of database.days.all) {
    const network = networks.find(({ name }) => name === destination)
    if (network === undefined || frozenAt === undefined) continue
    const mine = all.filter((one) => one.destination === destination && one.reconciliation?.date === date)
    const [told] = mine
    // What came later goes to the adjustments of the date, or is told with those of another.
    const inTime = itemsOf(database, destination).filter(
      (item) => item.date === date && item.recordedAtMs < frozenAt,
    )
    if (told === undefined && inTime.length === 0) continue
    if (told === undefined || mine.length > 1) {
      wrong('C1', `${destination} ${date} has ${mine.length} totals`)
      continue
    }
    const said = network.totals.get(date.slice(5, 7) + date.slice(8))
    if (said === undefined || told.balance !== balances[said.code])
      wrong('C2', `${told.key} is ${told.balance}, the network said ${said?.code}`)
    if (said !== undefined && said.stans.size > 1) wrong('S3', `${told.key} was told under several numbers`)
    const before = all.slice(0, all.indexOf(told)).filter((one) => one.destination === destination)
    // What is parked, or held back by something parked, waits for people and holds nobody else back.
    const parked = new Set(before.filter(({ state }) => state === 'parked').map((one) => one.transactionId))
    for (const { closedAt, key, transactionId } of before) {
      if (!parked.has(transactionId) && (closedAt ?? Infinity) > told.closedAt!)
        wrong('S2', `${told.key} overtook ${key}`)
    }
  }
}
