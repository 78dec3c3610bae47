import type { ClientTls, PlaintextConsent } from '../iso8583/iso8583.ts'
import { clientDoor, type Door, type Endpoint, ServerDoor, type ServerDoorOptions } from './doors.ts'
import type { Dialogue } from './dialogue.ts'
import type { Line } from './line.ts'
import type { NetworkProfile } from './network.ts'
import { OneShotLine } from './one-shot.ts'
import type { SessionOptions } from './session.ts'
import { SessionGroup } from './session-group.ts'

export interface LineOptions extends Endpoint {
  readonly alternates?: readonly Endpoint[]
  readonly sessions?: number
  readonly tls?: ClientTls
  readonly plaintext?: PlaintextConsent
  readonly serve?: Omit<ServerDoorOptions, keyof Endpoint>
}

/** The line to a destination, as its profile and the configuration want it. */
export function openLine(
  { connections, inFlightMax }: NetworkProfile,
  options: LineOptions,
  ports: Omit<SessionOptions, 'door'> & { readonly dialogue: () => Dialogue },
): Line {
  const { host, port, alternates = [], sessions = 1, serve, tls, plaintext } = options
  const { clock, dialogue } = ports
  const wire = { dialogue, clock, plaintext }
  const open = (door: Door): SessionGroup => new SessionGroup({ ...ports, door, sessions })
  if (serve === undefined) {
    const door = clientDoor([{ host, port }, ...alternates], wire, tls)
    if (connections === undefined || connections === 'sessions') return open(door)
    const reuses = connections === 'halfDuplex'
    return new OneShotLine({ ...ports, dialogue: dialogue(), door, connectionsMax: inFlightMax, reuses })
  }
  const group: SessionGroup = open(
    new ServerDoor(
      { host, port, ...serve },
      {
        ...wire,
        sessions,
        isSuspect: (link) => group.isSuspect(link),
        onRefused: (refusal) => ports.log.error(refusal, 'connection refused'),
      },
    ),
  )
  return group
}
