import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { RuleTexts } from '../../switch/switch.ts'
import { readRuleTexts, writeRuleTexts } from './rules.ts'
import { simulatedNetwork } from './simulated-networks.ts'

/** Who waits how long, in milliseconds. */
interface Waits {
  readonly networkMs: number
  readonly sourceMs: number
  readonly terminalMs: number
  readonly retryAfterMs?: readonly number[]
}

interface WantedRules {
  readonly stateFolder: string
  readonly networks: readonly string[]
  /** Where they are not `usual`. */
  readonly timeouts: Waits | undefined
  readonly usual: Waits
  /** Files in the place of others. */
  readonly rules: RuleTexts | undefined
}

const projectRules = resolve(import.meta.dirname, '../../rules')

/**
 * Where the rules of a system on this machine are: the project's own as they stand, unless it has other networks or
 * timeouts than those; then files of its own, in its state folder.
 */
export function ruleFolderOf({ networks, rules, stateFolder, timeouts, usual }: WantedRules): string {
  const isUsual = networks.length === 1 && networks[0] === 'knet'
  const made = isUsual && timeouts === undefined ? undefined : madeFor(networks, timeouts ?? usual)
  if (made === undefined && rules === undefined) return projectRules
  const folder = join(stateFolder, 'config', 'rules')
  writeRuleTexts(folder, { ...readRuleTexts(projectRules), ...made, ...rules })
  return folder
}

/** Cards go to the network that has their range, all networks take as long, and nobody stands in. */
function madeFor(
  networks: readonly string[],
  { networkMs, sourceMs, terminalMs, retryAfterMs }: Waits,
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
