import assert from 'node:assert'
import type { Hsm } from '../../hsm/hsm.ts'
import { admit } from '../../switch/admission.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from '../../switch/arrivals.ts'
import type { Waiter } from '../../switch/live.ts'
import { Pauses } from '../../switch/pauses.ts'
import type { Rules } from '../../switch/rules/rules.ts'
import type { SourceRules } from '../../switch/rules/source-rules.ts'
import type { Shell } from '../../switch/shell.ts'

/** Where what the terminals send comes in. */
export interface Door {
  request(request: InboundRequest, waiter: Waiter): Promise<void>
  reversal(reversal: InboundReversal, waiter: Waiter): Promise<void>
  completion(completion: InboundCompletion, waiter: Waiter): Promise<void>
}

/** The way in behind the listener's codec: what is sealed reaches the shell. */
export function doorOf(
  shell: Shell,
  ports: {
    readonly clock: Clock
    readonly hsm: Pick<Hsm, 'verifyMac' | 'verifyThenTokenise'>
    /** What now comes in is decided by. */
    readonly rules: () => Rules
  },
): Door {
  const pauses = new Pauses(ports.clock)
  const seal = { key: 'tak.acq.both', data: new Uint8Array(), mac: new Uint8Array() }
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
