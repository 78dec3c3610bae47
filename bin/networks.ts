import { existsSync, readdirSync } from 'node:fs'
import type { NetworkProfile } from '../connectors/network.ts'

/**
 * Every folder of `connectors/` with a `network.ts` is a network, and is known by the folder's name. Nothing outside a
 * network's folder names it.
 */
const folder = new URL('../connectors/', import.meta.url)

export function networkNames(): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(fileOf(entry.name)))
    .map(({ name }) => name)
    .sort()
}

/** Throws for a name that is no network's. */
export async function networkNamed(name: string): Promise<NetworkProfile> {
  if (!networkNames().includes(name)) {
    throw new Error(`no network is called ${name}; there are: ${networkNames().join(', ')}`)
  }
  const { network } = (await import(fileOf(name).href)) as { readonly network: NetworkProfile }
  return network
}

export async function allNetworks(): Promise<readonly NetworkProfile[]> {
  return Promise.all(networkNames().map(networkNamed))
}

function fileOf(name: string): URL {
  return new URL(`${name}/network.ts`, folder)
}
