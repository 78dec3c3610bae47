/** DE7, MMDDhhmmss in UTC. */
export function transmittedAtOf(wallMs: number): string {
  const date = new Date(wallMs)
  return (
    twoDigits[date.getUTCMonth() + 1]! +
    twoDigits[date.getUTCDate()]! +
    twoDigits[date.getUTCHours()]! +
    twoDigits[date.getUTCMinutes()]! +
    twoDigits[date.getUTCSeconds()]!
  )
}

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'))
