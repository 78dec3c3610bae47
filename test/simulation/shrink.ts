import { faultNames } from './faults/faults.ts'
import { type HistoryOptions, type HistorySize, runHistory, usualSize } from './history.ts'

/** The smallest history of a seed that still goes wrong, told line by line. */
export async function shrunkStory(found: HistoryOptions): Promise<readonly string[]> {
  let smallest = { ...found, size: found.size ?? usualSize, off: found.off ?? new Set<string>() }
  const tryWithout = async (change: Partial<typeof smallest>): Promise<boolean> => {
    const smaller = { ...smallest, ...change }
    if ((await runHistory(smaller)).violations.length === 0) return false
    smallest = smaller
    return true
  }
  for (const part of ['nodes', 'networks', 'purchases'] as const) {
    while (smallest.size[part] > 1 && (await tryWithout({ size: halved(smallest.size, part) })));
  }
  for (const name of faultNames) await tryWithout({ off: new Set([...smallest.off, name]) })
  const { purchases, nodes, networks } = smallest.size
  const on = faultNames.filter((name) => !smallest.off.has(name))
  const { story, violations } = await runHistory({ ...smallest, tell: true })
  return [
    `seed ${found.seed}, shrunk to ${counted(purchases, 'purchase')}, ${counted(nodes, 'node')}, ` +
      `${counted(networks, 'network')} and ${on.length === 0 ? 'no faults' : `the faults ${on.join(', ')}`}`,
    ...story,
    ...violations,
  ]
}

function halved(size: HistorySize, part: keyof HistorySize): HistorySize {
  return { ...size, [part]: Math.floor(size[part] / 2) }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
