import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { RuleTexts } from '../../switch/switch.ts'
import type { Place, Timeouts } from './configurations.ts'
import { readRuleTexts, writeRuleTexts } from './rules.ts'
import { simulatedNetwork } from './simulated-networks.ts'

const projectRules = resolve(import.meta.dirname, '../../rules')

/**
 * Where the rules of a system on this machine are: the project's own as they stand, unless it has other networks or
 * timeouts than those; then files of its own, in its state folder.
 */
export function ruleFolderOf({ endpoints, stateFolder, special }: Place, timeouts: Timeouts): string {
  const networks = Object.keys(endpoints.networks)
  const isUsual = networks.length === 1 && networks[0] === 'knet'
  const made = isUsual && special.timeouts === undefined ? undefined : madeFor(networks, timeouts)
  if (made === undefined && special.rules === undefined) return projectRules
  const folder = join(stateFolder, 'config', 'rules')
  writeRuleTexts(folder, { ...readRuleTexts(projectRules), ...made, ...special.rules })
  return folder
}

/** Cards go to the network that has their range, all networks take as long, and nobody stands in. */
function madeFor(
  networks: readonly string[],
  { networkMs, sourceMs, terminalMs, retryAfterMs }: Timeouts,
): RuleTexts {
  const each = (valueOf: (name: string) => object): object =>
    Object.fromEntries(networks.map((name) => [name, valueOf(name)]))
  const timed = { timeoutMs: networkMs, ...(retryAfterMs && { retryAfterMs }) }
  const files = {
    'routes.yaml': {
      routes: networks.flatMap((name) =>
        simulatedNetwork(name).ranges.map((range) => ({
          low: range,
          high: range,
          strategy: { kind: 'priority', targets: [name] },
        })),
      ),
    },
    'timers.yaml': {
      sources: { acq1: { timeoutMs: sourceMs, terminalTimeoutMs: terminalMs } },
      destinations: each((name) => ({ ...timed, ...simulatedNetwork(name).timers })),
    },
    'result-codes.yaml': { destinations: {}, sources: {} },
    'stand-in.yaml': { destinations: {}, ranges: [] },
  }
  return Object.fromEntries(
    Object.entries(files).map(([name, file]) => [name, stringify(file, { aliasDuplicateObjects: false })]),
  )
}
