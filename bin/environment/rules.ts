import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NetworkProfile } from '../../connectors/network.ts'
import type { Edition, KnownToRules, RuleTexts } from '../../switch/switch.ts'
import { nothingIn } from './endpoints.ts'
import type { MemberFile } from '../networks.ts'
import { profileOf } from './members.ts'

/** What of a switch's configuration its rules are about. */
export interface RuledConfiguration {
  readonly sources: readonly {
    readonly name: string
    readonly keys: { readonly pin: string; readonly mac: string }
  }[]
  readonly destinations: readonly {
    readonly name: string
    readonly network: string
    readonly member?: MemberFile
    readonly acquirerId: string
  }[]
  /** The folder of the files. */
  readonly rules: string
}

/** Rejects when the folder can't be read. */
export function readRuleTexts(folder: string): RuleTexts {
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(folder, file), 'utf8')]))
}

/** Each file is the old one or the new one at every moment; nobody reads them before they are told to. */
export function writeRuleTexts(folder: string, texts: RuleTexts): void {
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of Object.entries(texts)) {
    const path = join(folder, file)
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
}

/** The network of each destination: its own or the member's. */
export async function profilesOf({
  destinations,
}: Pick<RuledConfiguration, 'destinations'>): Promise<Map<string, NetworkProfile>> {
  const profiles = new Map<string, NetworkProfile>()
  for (const destination of destinations) profiles.set(destination.name, await profileOf(destination))
  return profiles
}

export function editionOf({ dialect }: NetworkProfile): Edition {
  return dialect.version === '1987' ? '1987' : '1993'
}

/** Who is there to be ruled, by a switch's configuration. */
export async function knownToRules(config: RuledConfiguration): Promise<KnownToRules> {
  const profiles = await profilesOf(config)
  return {
    sources: new Map(config.sources.map(({ name, keys }) => [name, { name, keys }])),
    destinations: new Map(
      config.destinations.map(({ name, acquirerId }) => {
        const profile = profiles.get(name)!
        return [name, { rules: { ...profile.rules, acquirerId }, edition: editionOf(profile) }]
      }),
    ),
  }
}

/** The configuration of a running system, by its state folder. */
export function ruledConfiguration(stateFolder: string): RuledConfiguration {
  let text: string
  try {
    text = readFileSync(join(stateFolder, 'config', 'switch.json'), 'utf8')
  } catch {
    throw new Error(nothingIn(stateFolder))
  }
  return JSON.parse(text) as RuledConfiguration
}
