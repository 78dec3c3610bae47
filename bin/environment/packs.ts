import type { NetworkAct } from '../../simulators/terminals/pack.ts'
import type { NetworkHand } from '../../simulators/terminals/pack-run.ts'
import { ask } from './control.ts'
import type { NetworkEndpoint } from './endpoints.ts'

interface Told {
  readonly date?: string
  readonly responseCode?: string | null
}

/** Longer than the network waits for the answer to an 0800 of its own. */
const waitMs = 30_000
const dayMs = 86_400_000

/** A simulated network, through its remote control. */
export function networkHand({ control }: NetworkEndpoint): NetworkHand {
  const tell = (path: string, what: object): Promise<Told> => ask(control, 'POST', path, waitMs, what)
  const acts: Readonly<Record<NetworkAct, () => Promise<Told>>> = {
    reconnect: () => tell('/behaviour', { disconnect: true }),
    cutover: async () => {
      const { date } = await tell('/day', {})
      const next = new Date(Date.parse(`${date!}T00:00:00Z`) + dayMs).toISOString().slice(0, 10)
      return tell('/day', { cutover: next })
    },
    newMacKey: () => tell('/keys', { send: 'mac' }),
    newPinKey: () => tell('/keys', { send: 'pin' }),
    // In the code of 1987; what the network says is in its own edition.
    issuersAway: () => tell('/behaviour', { refuse: '91' }),
    silent: () => tell('/behaviour', { silent: true }),
    back: () => tell('/behaviour', { reset: true }),
    watch: () => Promise.resolve({}),
  }
  return {
    act: async (act) => (await acts[act]()).responseCode ?? undefined,
    counts: () => ask(control, 'GET', '/status', waitMs),
  }
}
