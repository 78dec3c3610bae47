/** Which destination serves a card number. The longest range wins. */
export interface Route {
  /** Leading digits. */
  readonly bin: string
  readonly destination: string
}

/** Throws on a table that names a range twice or a destination that is not there. */
export function routingTable(
  routes: readonly Route[],
  destinations: ReadonlySet<string>,
): (pan: string) => string | undefined {
  const byBin = new Map<string, string>()
  for (const { bin, destination } of routes) {
    if (!/^\d{1,11}$/.test(bin)) throw new RouteError(`a range is 1 to 11 digits`)
    if (byBin.has(bin)) throw new RouteError(`range ${bin} stands twice`)
    if (!destinations.has(destination))
      throw new RouteError(`range ${bin} goes to ${destination}, which is not configured`)
    byBin.set(bin, destination)
  }
  const lengths = [...new Set([...byBin.keys()].map((bin) => bin.length))].sort((a, b) => b - a)
  return (pan) => {
    for (const length of lengths) {
      const destination = byBin.get(pan.slice(0, length))
      if (destination !== undefined) return destination
    }
    return undefined
  }
}

class RouteError extends Error {
  constructor(what: string) {
    super(`routes: ${what}`)
    this.name = 'RouteError'
  }
}
