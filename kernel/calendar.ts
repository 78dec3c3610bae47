/** YYYY for an MMDD… element that carries no year: the year that puts it nearest to `wallMs`. */
export function nearestYear(monthAndDay: string, wallMs: number): string {
  const year = new Date(wallMs).getUTCFullYear()
  const distanceMs = (candidate: number): number =>
    Math.abs(
      Date.UTC(candidate, Number(monthAndDay.slice(0, 2)) - 1, Number(monthAndDay.slice(2, 4))) - wallMs,
    )
  let best = year
  for (const candidate of [year - 1, year + 1]) if (distanceMs(candidate) < distanceMs(best)) best = candidate
  return String(best)
}
