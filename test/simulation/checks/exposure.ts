import type { Check } from './check.ts'

/**
 * What is approved in issuers' places never was more than was allowed; and as long as an issuer has not acknowledged it,
 * and no longer, the books have it on our own account (§4.19).
 */
export const exposureIsBounded: Check = ({ database }, wrong) => {
  for (const what of database.overExposed) wrong('P3', what)
  for (const { transaction } of database.transactions.values()) {
    const { advice, id, sourceKey, standIn, state } = transaction
    const isOurs = standIn !== undefined && state === 'approved' && advice !== 'acknowledged'
    const exposed = database.books.exposed(id)
    const expected = isOurs ? database.books.net(id) : 0n
    if (exposed !== expected) wrong('P6', `${sourceKey} has ${exposed} on our account, not ${expected}`)
  }
}
