import { readFileSync } from 'node:fs'
import type { Sealer } from '../../connectors/connector.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import type { NetworkConnector } from '../../connectors/network-connector.ts'
import type { Hsm, IssuerHsm } from '../../hsm/hsm.ts'
import { sealerOf } from '../../switch/switch.ts'
import { type MemberFile, memberNetwork, networkNamed } from '../networks.ts'

interface Log {
  error(details: object, text: string): void
}

/** What of a switch's configuration says how a destination speaks. */
export interface SpokenDestination {
  readonly name: string
  readonly network: string
  readonly member?: MemberFile
  readonly acquirerId: string
  readonly session?: Partial<NetworkProfile['session']>
}

/** A destination's network: a member's own file, or what is in this repository. Rejects with the file's name and its mistakes. */
export async function profileOf({ network, member }: SpokenDestination): Promise<NetworkProfile> {
  return member === undefined ? networkNamed(network) : memberNetwork(member)
}

/** The network with what the configuration says of this destination. */
export function profileAt(
  profile: NetworkProfile,
  { name, acquirerId, session }: SpokenDestination,
): NetworkProfile {
  return {
    ...profile,
    name,
    session: { ...profile.session, ...session },
    rules: { ...profile.rules, acquirerId },
  }
}

/** The HSM's seal under a destination's key, filled up as its network wants it. */
export function sealerAt(
  { macPadding: padding }: NetworkProfile,
  hsm: Hsm & Pick<IssuerHsm, 'sealMessage' | 'checkMessage'>,
  key: string,
): Sealer {
  if (padding === undefined) return sealerOf(hsm, key)
  return {
    seal: (data) => hsm.sealMessage({ key, data, padding }),
    verify: (data, mac) => hsm.checkMessage({ key, data, mac, padding }),
  }
}

/** Throws where public facts would be taken for a specification. */
export function refuseIllustrative({ dialect }: NetworkProfile, environment: string): void {
  if (dialect.fidelity === 'illustrative' && environment === 'production')
    throw new Error(
      `${dialect.name} holds public facts only: production needs the member's own specification`,
    )
}

export interface Members {
  readonly configFile: string
  /** As the process has begun with. */
  readonly destinations: readonly SpokenDestination[]
  readonly environment: string
  readonly connectors: ReadonlyMap<string, Pick<NetworkConnector, 'speak'>>
  readonly log: Log
}

/**
 * Reads again which member's file each destination has (a new one has a new SHA-256 in the configuration), and lets new
 * connections speak by it. One that is wrong, or that wants more than new connections, is refused with file, path and
 * reason, and what was spoken before stays.
 */
export function membersReloader(members: Members): () => Promise<void> {
  const spoken = new Map(members.destinations.map(({ name, member }) => [name, member?.sha256]))
  return async () => {
    for (const destination of destinationsOf(members.configFile, members.log)) {
      const { name, member } = destination
      if (spoken.get(name) === member?.sha256) continue
      if (await isTaken(destination, members)) spoken.set(name, member?.sha256)
    }
  }
}

async function isTaken(
  destination: SpokenDestination,
  { environment, connectors, log }: Members,
): Promise<boolean> {
  const { name, member } = destination
  const refuse = (why: readonly string[]): false => {
    const details = { alarm: 'dialectRefused', destination: name, file: member?.file, why }
    log.error(details, 'a dialect was not taken: the one before it stays')
    return false
  }
  try {
    const profile = await profileOf(destination)
    refuseIllustrative(profile, environment)
    const why = connectors.get(name)?.speak(profileAt(profile, destination)) ?? ['no such destination runs']
    return why.length === 0 || refuse(why)
  } catch (error) {
    return refuse([(error as Error).message])
  }
}

function destinationsOf(file: string, log: Log): readonly SpokenDestination[] {
  try {
    const { destinations } = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly destinations: readonly SpokenDestination[]
    }
    return destinations
  } catch {
    // What the parser says may quote the file.
    log.error(
      { alarm: 'dialectRefused', file },
      'the configuration cannot be read: what was spoken before stays',
    )
    return []
  }
}
