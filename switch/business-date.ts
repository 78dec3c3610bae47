/** Asia/Kuwait is UTC+3 all year: no daylight saving has been kept since the zone was fixed. */
const kuwaitOffsetMs = 3 * 3_600_000

/** The calendar day in Kuwait, YYYY-MM-DD. Cutover will move it; until then the day turns at midnight there. */
export function businessDateOf(wallMs: number): string {
  return isoOf(wallMs + kuwaitOffsetMs).slice(0, 10)
}

function isoOf(wallMs: number): string {
  return new Date(wallMs).toISOString()
}
