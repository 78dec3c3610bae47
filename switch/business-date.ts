/** Asia/Kuwait is UTC+3 all year: no daylight saving has been kept since the zone was fixed. */
const kuwaitOffsetMs = 3 * 3_600_000

/** The calendar day in Kuwait, YYYY-MM-DD. Cutover will move it; until then the day turns at midnight there. */
export function businessDateOf(wallMs: number): string {
  return isoOf(wallMs + kuwaitOffsetMs).slice(0, 10)
}

/** YYYY for an MMDD… element that carries no year: the year that puts it nearest to `wallMs`. */
export function nearestYear(monthAndDay: string, wallMs: number): string {
  const year = Number(isoOf(wallMs).slice(0, 4))
  const distanceMs = (candidate: number): number =>
    Math.abs(
      Date.UTC(candidate, Number(monthAndDay.slice(0, 2)) - 1, Number(monthAndDay.slice(2, 4))) - wallMs,
    )
  let best = year
  for (const candidate of [year - 1, year + 1]) if (distanceMs(candidate) < distanceMs(best)) best = candidate
  return String(best)
}

function isoOf(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
