import assert from 'node:assert'
import type { Clock } from '../../kernel/clock.ts'
import { admit } from '../../switch/admission.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from '../../switch/arrivals.ts'
import type { Waiter } from '../../switch/live.ts'
import { Pauses } from '../../switch/pauses.ts'
import type { Rules } from '../../switch/rules/rules.ts'
import type { SourceRules } from '../../switch/rules/source-rules.ts'
import type { Shell } from '../../switch/shell.ts'
import { macOf } from './edges/mac.ts'
import type { SimulatedHsm } from './hsm.ts'
import { simulatedSource } from './rules.ts'

export interface DoorPorts {
  readonly clock: Clock
  readonly hsm: SimulatedHsm
  /** What now comes in is decided by. */
  readonly rules: () => Rules
}

/** Where what the terminals send comes in. */
export interface Door {
  request(request: InboundRequest, waiter: Waiter): Promise<void>
  reversal(reversal: InboundReversal, waiter: Waiter): Promise<void>
  completion(completion: InboundCompletion, waiter: Waiter): Promise<void>
}

/** The way in behind the listener's codec: what is sealed reaches the shell. */
export function doorOf(shell: Shell, ports: DoorPorts): Door {
  const pauses = new Pauses(ports.clock)
  const seal = { key: simulatedSource.keys.mac, data: nothing, mac: macOf(simulatedSource.keys.mac, nothing) }
  return {
    async request(sent, waiter) {
      if (pauses.mayBeStale) return
      const rules = ports.rules()
      const request = {
        ...sent,
        receivedMonotonicMs: ports.clock.monotonicMs(),
        rules,
        source: sourceIn(rules),
      }
      const admission = await admit(request, seal, ports)
      if (typeof admission === 'object') await shell.request(request, admission.file!, waiter)
    },
    async completion(sent, waiter) {
      const rules = ports.rules()
      const completion = { ...sent, rules, source: sourceIn(rules) }
      const admission = await admit(completion, seal, ports)
      if (typeof admission === 'object') await shell.completion(completion, admission.file!, waiter)
    },
    async reversal(reversal, waiter) {
      const admission = await admit(reversal, seal, ports)
      if (typeof admission === 'object') await shell.reversal(reversal, waiter)
    },
  }
}

const nothing = new Uint8Array()

/** As the rules have it at each moment that it is looked at: which changes nothing, unless they change themselves. */
function sourceIn(rules: Rules): SourceRules {
  const known = sources.get(rules)
  if (known !== undefined) return known
  const source = rules.sources.get('acq')
  assert(source !== undefined)
  const looking = {
    ...source,
    get told() {
      return rules.sources.get('acq')?.told
    },
  } as SourceRules
  sources.set(rules, looking)
  return looking
}

const sources = new WeakMap<Rules, SourceRules>()
