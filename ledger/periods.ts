/**
 * Periods: up to which date the books of a network, or all of them, are closed. A business date is a day in Kuwait,
 * written YYYY-MM-DD, so that dates compare as texts. What belongs to a network says so in its path; the database knows
 * the same patterns (`ledger.network_of`, `ledger.date_of` in the migrations), and a test holds the two together.
 */

/** Closed dates by scope: a network's name, or `*` for all books. The last date that is closed. */
export type Periods = ReadonlyMap<string, string>

export const allBooks = '*'

const ofNetwork = /^(?:net|suspense|settlement|scheme):([^:]+)/
const dated = /^(?:net|suspense):([^:]+):(\d{4}-\d{2}-\d{2}):[A-Z]{3}$/

/** The network that an account is for, or none. */
export function networkOf(path: string): string | undefined {
  return ofNetwork.exec(path)?.[1]
}

/** Of an account that is for one business date of a network: which. */
export function datedAs(path: string): { readonly network: string; readonly date: string } | undefined {
  const [, network, date] = dated.exec(path) ?? []
  return network === undefined || date === undefined ? undefined : { network, date }
}

/** Whether the account is one of a date that is closed. */
export function isOfClosedDate(periods: Periods, path: string): boolean {
  if (periods.size === 0) return false
  const of = datedAs(path)
  return of !== undefined && of.date <= lastClosed(periods, of.network)
}

/** Whether money that counts at this time may no longer reach the account. */
export function isClosedAt(periods: Periods, path: string, effectiveAt: number): boolean {
  if (periods.size === 0) return false
  const last = lastClosed(periods, networkOf(path))
  return last !== '' && effectiveAt < endOf(last)
}

/** Empty when nothing is. */
function lastClosed(periods: Periods, network: string | undefined): string {
  const all = periods.get(allBooks) ?? ''
  const own = network === undefined ? '' : (periods.get(network) ?? '')
  return own > all ? own : all
}

/** Kuwait is three hours ahead of UTC all year. */
const kuwaitMs = 3 * 3_600_000
const dayMs = 86_400_000

/** The instant that is no longer of the date, in wall clock ms. */
export function endOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) + dayMs - kuwaitMs
}

export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const ms = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text)
}
