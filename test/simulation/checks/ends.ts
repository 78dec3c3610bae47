import type { Check } from './check.ts'

/** Every transaction has come to an end, and has an event for each version of it. */
export const everythingEnds: Check = ({ database }, wrong) => {
  const eventsOf = Map.groupBy(database.events, ({ transactionId }) => transactionId)
  for (const { transaction } of database.transactions.values()) {
    const { id, sourceKey, state, version } = transaction
    if (state === 'intent' || state === 'reversing') wrong('N6', `${sourceKey} is still ${state}`)
    const events = eventsOf.get(id) ?? []
    const hasGap = events.some(({ sequence }, index) => sequence !== index + 1)
    if (hasGap || events.length !== version) wrong('N8', `${sourceKey} has a gap in its events`)
  }
}
