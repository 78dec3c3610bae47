import type { Check } from './check.ts'

/** Nobody is declined for want of an answer before the time for one is over: the network's, or the source's own. */
export const nothingTimesOutEarly: Check = ({ database, terminals }, wrong) => {
  const askedAt = new Map(terminals.book.map(({ sourceKey, askedAtMs }) => [sourceKey, askedAtMs]))
  const beganAt = new Map<string, number>()
  for (const { transactionId, kind, cause, committedAtMs } of database.events) {
    if (kind === 'request') beganAt.set(transactionId, committedAtMs)
    if (kind !== 'legEnded' || cause !== 'timeout') continue
    const legMs = committedAtMs - beganAt.get(transactionId)!
    const key = database.transactions.get(transactionId)!.transaction.sourceKey
    const wholeMs = committedAtMs - askedAt.get(key)!
    if (legMs < 4_000 && wholeMs < 7_000) wrong('N6', `${key} timed out after ${Math.round(legMs)} ms`)
  }
}
