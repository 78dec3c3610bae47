/** How the network behaves towards everyone, on top of what cards and amounts ask for. Set from outside, by tests. */
export interface Behaviour {
  /** Business is done and not answered; echoes are. */
  readonly silent: boolean
  /** Reversals are done and not answered. */
  readonly silentReversals: boolean
  /** Nothing is read: neither done nor answered, echoes included. */
  readonly deaf: boolean
  /** Echoes and sign-ons are not answered. */
  readonly noEcho: boolean
  readonly refuseSignOn: boolean
  /** Purchases are answered with this code, and not done; null to do them. */
  readonly refuse: string | null
  /** Every seal is wrong. */
  readonly badSeal: boolean
  /** Every answer to business waits so long. */
  readonly delayMs: number
}

export const goodBehaviour: Behaviour = {
  silent: false,
  silentReversals: false,
  deaf: false,
  noEcho: false,
  refuseSignOn: false,
  refuse: null,
  badSeal: false,
  delayMs: 0,
}

/** What may be asked once, beside the lasting behaviour. */
interface OneTime {
  /** Cuts every connection now. */
  readonly disconnect: boolean
  /** Signs off towards every peer now. */
  readonly signOff: boolean
}

export interface BehaviourChange {
  readonly behaviour: Behaviour
  readonly once: OneTime
}

/**
 * The behaviour after a change such as `{"silent": true}`; `{"reset": true}` begins at the good one. undefined: the
 * change says something that is not a behaviour.
 */
export function changed(
  from: Behaviour,
  change: Readonly<Record<string, unknown>>,
): BehaviourChange | undefined {
  const { reset = false, disconnect = false, signOff = false, ...rest } = change
  if (typeof reset !== 'boolean' || typeof disconnect !== 'boolean' || typeof signOff !== 'boolean')
    return undefined
  for (const [name, value] of Object.entries(rest)) {
    if (!isBehaviour(name) || !fits(name, value)) return undefined
  }
  return { behaviour: { ...(reset ? goodBehaviour : from), ...rest }, once: { disconnect, signOff } }
}

function isBehaviour(name: string): name is keyof Behaviour {
  return Object.hasOwn(goodBehaviour, name)
}

function fits(name: keyof Behaviour, value: unknown): boolean {
  if (name === 'delayMs') return typeof value === 'number' && value >= 0 && value <= 600_000
  if (name === 'refuse') return value === null || (typeof value === 'string' && /^[0-9]{2}$/.test(value))
  return typeof value === 'boolean'
}
