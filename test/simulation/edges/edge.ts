import type {
  Connector,
  DestinationRules,
  LegAnswer,
  LegIdentity,
  OutboundLeg,
} from '../../../connectors/connector.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Random } from '../../../kernel/random.ts'
import type { Shell } from '../../../switch/shell.ts'
import type { Door, DoorPorts } from '../door.ts'
import type { FaultRates } from '../faults/faults.ts'
import type { SimulatedHsm } from '../hsm.ts'
import type { Life } from '../life.ts'

/**
 * What stands between the switch and the others of a history: words, as the switch itself thinks of them, or the bytes
 * that they become. Who says what, when, and what becomes of it on the way is the same with either.
 */
export interface Edge {
  /** Where what terminals send comes in. */
  door(shell: Shell, ports: DoorPorts): Door
  /** The way of one life of a node to a network. */
  wire(ports: WirePorts): Wire
}

export type Wire = Pick<Connector, 'rules' | 'prepare' | 'send' | 'onLate'>

export interface WirePorts {
  readonly network: string
  readonly rules: DestinationRules
  readonly life: Life
  /** What the life believes the time to be. */
  readonly clock: Clock
  readonly hsm: SimulatedHsm
  readonly random: Random
  readonly rates: () => FaultRates
  /** What an answer must have in common with its leg, where it is not everything that names one. */
  readonly matchKey: ((identity: LegIdentity) => string) | undefined
  /** One way for one message: it arrives once, or twice, or never, soon or late. */
  readonly carry: (arrive: () => void) => void
  /** What the network says to it. */
  readonly decide: (leg: OutboundLeg) => LegAnswer
}
