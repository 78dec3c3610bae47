import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { businessDayHistory, type DayOnRecord } from '../../switch/switch.ts'

/** The switch's own business date: the date of what no network answers for. It has no totals to freeze. */
const ownDate = 'switch'

/**
 * Why the books can't be closed up to a date: a switch that works on it, or has something of it under way, could post no
 * approval any more, and a closed date stays closed. Undefined where nothing is in the way, and in a database that has
 * books and no switch. `scope` is a network, or `*` for all books.
 */
export async function whyNotToClose(
  databaseUrl: string,
  { scope, through }: { readonly scope: string; readonly through: string },
): Promise<string | undefined> {
  const pool = openPool({ databaseUrl, applicationName: 'mafraq-close', connectionsMax: 1 })
  try {
    if (!(await hasSwitch(pool))) return undefined
    return inTheWay(await businessDayHistory(pool), scope, through)
  } finally {
    await pool.end()
  }
}

async function hasSwitch(pool: DatabasePool): Promise<boolean> {
  const { rows } = await pool.query<{ found: boolean }>(
    `SELECT to_regclass('switch.business_day') IS NOT NULL AS found`,
  )
  return rows[0]?.found === true
}

/** What of the dates on record, each destination's oldest first, forbids to close the books up to one. */
export function inTheWay(days: readonly DayOnRecord[], scope: string, through: string): string | undefined {
  const names = [...new Set(days.map(({ destination }) => destination))]
  const closed = scope === '*' ? names : names.filter((name) => name === scope && name !== ownDate)
  if (closed.length === 0 && names.length > 0) {
    return `no network is called ${scope}; there are: ${names.filter((name) => name !== ownDate).join(', ')}`
  }
  for (const name of closed) {
    const own = days.filter(({ destination }) => destination === name)
    const current = own.at(-1)!.date
    if (through >= current) {
      return `${name} is on business date ${current}, and only dates before it can be closed`
    }
    const unfrozen = own.find(({ date, frozenAt }) => date <= through && frozenAt === null)
    if (name !== ownDate && unfrozen !== undefined) {
      return `business date ${unfrozen.date} of ${name} is not frozen yet: something of it is under way (mafraq day show)`
    }
  }
  return undefined
}
