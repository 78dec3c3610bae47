import type { NetworkAct, NetworkHand } from '../../simulators/terminals/pack.ts'
import { ask } from './control.ts'
import type { NetworkEndpoint } from './endpoints.ts'

/** A simulated network, through its remote control. */
export function networkHand({ control }: NetworkEndpoint): NetworkHand {
  const acts: Readonly<Record<NetworkAct, object>> = {
    reconnect: { disconnect: true },
    cutover: { cutover: true },
  }
  return {
    act: (act) => ask(control, 'POST', '/behaviour', 10_000, acts[act]),
    counts: () => ask(control, 'GET', '/status', 10_000),
  }
}
