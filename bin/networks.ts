import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { NetworkProfile } from '../connectors/network.ts'
import { NetworkFileError, networkFromJson } from '../connectors/network-file.ts'

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

/** A member's own file and what it must hash to: a specification that was changed unseen is not used. */
export interface MemberFile {
  readonly file: string
  readonly sha256: string
}

/** Throws with the file's name, and with all its mistakes. */
export async function memberNetwork({ file, sha256 }: MemberFile): Promise<NetworkProfile> {
  const text = readFileSync(file)
  const digest = digestOf(text)
  if (digest !== sha256)
    throw new Error(`${file}: its SHA-256 is ${digest}, the configuration states another`)
  return networkOfText(file, text)
}

/** The network of a member's file, whatever its digest. */
export async function networkOfText(file: string, text: Buffer): Promise<NetworkProfile> {
  const networks = await allNetworks()
  try {
    return networkFromJson(jsonOf(file, text), (name) => networks.find((network) => network.name === name))
  } catch (error) {
    if (!(error instanceof NetworkFileError)) throw error
    throw new NetworkFileError(error.mistakes, file)
  }
}

export function digestOf(text: Buffer): string {
  return createHash('sha256').update(text).digest('hex')
}

function jsonOf(file: string, text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch {
    // What the parser says may quote the file.
    throw new Error(`${file}: is not JSON`)
  }
}

function fileOf(name: string): URL {
  return new URL(`${name}/network.ts`, folder)
}
