import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { FakeClock, fakeClockMissing } from '../../bin/environment/fake-clock.ts'
import { startSystem } from '../../bin/environment/system.ts'
import { openPool } from '../../kernel/database.ts'
import type { Goal } from './goal.ts'

const rate = 20
const hourMs = 3_600_000
/** Kuwait is three hours ahead the whole year. */
const kuwaitMs = 3 * hourMs
/** The nodes look at the clock each second, and a busy machine somewhat later. */
const cutoverMs = 5_000
/** So long before each of them the clocks are set. */
const aheadMs = 3_000
/** Each of them is passed by everybody's clock while purchases are under way. */
const moments = [
  ['the end of the year in Kuwait', '2027-12-31T21:00:00Z'],
  ['the end of the year in UTC', '2028-01-01T00:00:00Z'],
  ['the beginning of 29 February', '2028-02-28T21:00:00Z'],
  ['the end of 29 February', '2028-02-29T21:00:00Z'],
] as const

/**
 * `npm run trust:smoke -- clock`: the wall clocks of the switch, its network and its terminals pass the ends of years and of
 * 29 February, and the switch's alone jumps by an hour both ways, also back over midnight, while purchases are under way
 * that take a second. None is given up early, none is done twice, and each is of the date that it was in Kuwait.
 */
export const clock: Goal = async ({ stateFolder, say }) => {
  const missing = fakeClockMissing()
  if (missing !== undefined)
    return { ok: true, figures: 'skipped', lines: [`RESULT ok (skipped: ${missing})`] }
  const clocks = Object.fromEntries(
    ['switch', 'network', 'terminals'].map((name) => [
      name,
      new FakeClock(join(stateFolder, `clock-${name}`)),
    ]),
  )
  let offsetMs = 0
  const setAll = (to: number): void => {
    offsetMs = to
    for (const one of Object.values(clocks)) one.set(to)
  }
  const environments = Object.fromEntries(
    Object.entries(clocks).map(([name, { environment }]) => [name, environment]),
  )
  setAll(Date.parse(moments[0][1]) - 60_000 - Date.now())
  const system = await startSystem({ stateFolder, environments })
  const { readerUrl: databaseUrl } = system.endpoints.database
  const pool = openPool({ databaseUrl, applicationName: 'trust', connectionsMax: 1 })
  try {
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await ask(system.endpoints.networks['knet']!.control, 'POST', '/behaviour', 5_000, { delayMs: 1_000 })
    await sleep(2_000)
    for (const [name, moment] of moments) {
      setAll(Date.parse(moment) - aheadMs - Date.now())
      await sleep(9_000)
      say(`${name} is over`)
      for (const [what, byMs] of [
        ['an hour ahead', hourMs],
        ['an hour behind, so yesterday', -hourMs],
        ['right', 0],
      ] as const) {
        clocks['switch']!.set(offsetMs + byMs)
        await sleep(2_500)
        say(`  the switch's clock is ${what}`)
      }
    }
    const stopped = await system.stopTerminals(60_000)
    const isSettled = await system.settle(60_000)
    const { rows: dates } = await pool.query<{ at: number; date: string }>(
      `SELECT (extract(epoch FROM e.at) * 1000)::float8 AS at, t.business_date::text AS date
         FROM switch.event e JOIN switch.transaction t ON t.id = e.transaction_id WHERE e.kind = 'request'`,
    )
    const { rows: early } = await pool.query<{ many: number }>(
      `SELECT count(*)::int AS many FROM switch.event
        WHERE kind = 'legEnded' AND cause = 'timeout' AND (detail ->> 'legMs')::float8 < 3_900`,
    )
    const { rows: days } = await pool.query<{ date: string }>(
      `SELECT date::text FROM switch.business_day WHERE destination = 'knet' ORDER BY number`,
    )
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const { approved, sent, unanswered } = stopped
    const misdated = dates.filter(({ at, date }) => !isSkipping(at) && !datesOf(at).includes(date)).length
    const wrong = [
      isSettled ? '' : 'not settled',
      sent === approved ? '' : `${sent - approved} purchases failed`,
      early[0]!.many === 0 ? '' : `${early[0]!.many} given up early`,
      misdated === 0 ? '' : `${misdated} of a wrong date`,
      days.map(({ date }) => date).join(' ') === expectedDays
        ? ''
        : `dates ${days.map(({ date }) => date).join(' ')}`,
    ].filter((what) => what !== '')
    return {
      ok: ok && wrong.length === 0,
      figures: `purchases ${sent}  approved ${approved}  unanswered ${unanswered}  business dates ${days.length}  of a wrong date ${misdated}  given up early ${early[0]!.many}`,
      lines: wrong.length === 0 ? lines : [...lines.slice(0, -1), `RESULT ${wrong.join(', ')}`],
    }
  } finally {
    await pool.end()
    await system.close()
  }
}

/** The weeks between two of the moments are skipped, which no clock does: the second after that is of neither date. */
function isSkipping(atMs: number): boolean {
  return moments.some(([, moment]) => {
    const sinceMs = atMs - Date.parse(moment) + aheadMs
    return sinceMs >= 0 && sinceMs < aheadMs
  })
}

const expectedDays = '2027-12-31 2028-01-01 2028-02-28 2028-02-29 2028-03-01'

/**
 * The dates that may be right for a request that came at that time by the switch's clock: a date once begun does not end
 * because a clock goes back, and a date begins within seconds of midnight.
 */
function datesOf(atMs: number): string[] {
  return [atMs, atMs - cutoverMs, atMs + hourMs].map((at) =>
    new Date(at + kuwaitMs).toISOString().slice(0, 10),
  )
}
