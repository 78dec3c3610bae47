/** DE7, MMDDhhmmss in UTC. */
export function transmittedAtOf(wallMs: number): string {
  const iso = new Date(wallMs).toISOString()
  return iso.slice(5, 7) + iso.slice(8, 10) + iso.slice(11, 13) + iso.slice(14, 16) + iso.slice(17, 19)
}
