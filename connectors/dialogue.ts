import {
  type Anomaly,
  type FrameFormat,
  type LinkLimits,
  type Message,
  type MessageBody,
  Multiplexer,
} from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type {
  LegIdentity,
  NetworkRequestHandler,
  NetworkRequestKind,
  OutboundLeg,
  Sealer,
} from './connector.ts'
import { Management } from './management.ts'
import type { Log, NetworkProfile, SessionProfile } from './network.ts'
import { NetworkRequests } from './network-requests.ts'
import { Speech } from './speech.ts'

export interface DialoguePorts {
  readonly clock: Clock
  readonly sealer: Sealer
  readonly log: Log
  /** DE7 and DE11 of a message of network management. */
  readonly identify: () => LegIdentity | undefined
  /** Who acts on what the network asks. */
  readonly handlers: ReadonlyMap<NetworkRequestKind, NetworkRequestHandler>
  /** DE32 of our requests. */
  readonly acquirerId: () => string
  readonly onLate: (
    dialogue: Dialogue,
    identity: LegIdentity & { readonly mti: string },
    message: Message,
  ) => void
  readonly onAnomaly: (dialogue: Dialogue, anomaly: Anomaly) => void
  /** A seal was right. */
  readonly onInStep: () => void
}

/**
 * All that hangs on one edition of a network's profile: how its messages are written, framed and sealed, which answer
 * belongs to which request, and its network management. A connection keeps the dialogue that it began with, so a new
 * edition holds for new connections, and requests and answers of one connection are always of one edition.
 */
export class Dialogue {
  readonly network: NetworkProfile
  readonly speech: Speech
  readonly multiplexer: Multiplexer
  readonly management: Management
  readonly #ports: DialoguePorts

  constructor(network: NetworkProfile, ports: DialoguePorts) {
    const { clock, handlers, identify, log, sealer } = ports
    const { correlation, dialect, lateMs, responseAffinity, session } = network
    this.network = network
    this.#ports = ports
    this.speech = new Speech(network, sealer, log)
    this.multiplexer = new Multiplexer({
      codec: this.speech.codec,
      clock,
      correlation,
      anyLink: responseAffinity === 'group',
      limits: { lateMs },
      checkSeal: (message) => this.#checkSeal(message),
      events: {
        onLate: (identity, message) => ports.onLate(this, identity, message),
        onAnomaly: (anomaly) => ports.onAnomaly(this, anomaly),
      },
    })
    this.management = new Management({
      profile: session,
      dialect,
      multiplexer: this.multiplexer,
      clock,
      identify,
      encode: async (body) => {
        const bytes = await this.speech.encode(body)
        return typeof bytes === 'string' ? undefined : bytes
      },
      requests: new NetworkRequests({
        ...{ profile: session, clock, log, handlers },
        describe: (message) => this.describe(message),
      }),
      log,
    })
  }

  get session(): SessionProfile {
    return this.network.session
  }

  get frame(): FrameFormat {
    return this.network.frame
  }

  /** A peer that has let three echo times pass without a word is gone, whatever TCP says. */
  get limits(): Partial<LinkLimits> {
    return { idleMs: this.session.echoAfterMs * 3 }
  }

  describe(message: Message | MessageBody): string {
    return this.speech.codec.describe(message)
  }

  /** A request with what is the network's own business, in its words. */
  bodyOf({ mti, identity, fields }: OutboundLeg): MessageBody {
    const { acquirerId, clock } = this.#ports
    const { stan, transmittedAt } = identity
    const body = { mti, fields: { ...fields, 7: transmittedAt, 11: stan, 32: acquirerId() } }
    return this.network.wording?.say(body, clock.wallMs()) ?? body
  }

  /** The sealed message, or why there is none. */
  write(leg: OutboundLeg): Promise<Buffer | 'hsm' | 'malformed'> {
    return this.speech.encode(this.bodyOf(leg))
  }

  async #checkSeal(message: Message): Promise<boolean> {
    const good = await this.speech.checkSeal(message)
    if (good && this.speech.inStep) this.#ports.onInStep()
    return good
  }
}
