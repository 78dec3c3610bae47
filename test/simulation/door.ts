import type { Hsm } from '../../hsm/hsm.ts'
import { admit } from '../../switch/admission.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from '../../switch/arrivals.ts'
import type { Waiter } from '../../switch/live.ts'
import { Pauses } from '../../switch/pauses.ts'
import type { RoutingTable } from '../../switch/routing.ts'
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
    readonly routes: Pick<RoutingTable, 'serves'>
  },
): Door {
  const pauses = new Pauses(ports.clock)
  const seal = { key: 'tak.acq.both', data: new Uint8Array(), mac: new Uint8Array() }
  return {
    async request(sent, waiter) {
      if (pauses.mayBeStale) return
      const request = { ...sent, receivedMonotonicMs: ports.clock.monotonicMs() }
      const admission = await admit(request, seal, ports)
      if (typeof admission === 'object') await shell.request(request, admission.file!, waiter)
    },
    async completion(completion, waiter) {
      const admission = await admit(completion, seal, ports)
      if (typeof admission === 'object') await shell.completion(completion, admission.file!, waiter)
    },
    async reversal(reversal, waiter) {
      const admission = await admit(reversal, seal, ports)
      if (typeof admission === 'object') await shell.reversal(reversal, waiter)
    },
  }
}
