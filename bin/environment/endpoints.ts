import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TokenPlace } from '../../hsm/client.ts'

/** Where everything of a running system is found: the file by which outside programs and our own commands join it. */
export interface Endpoints {
  readonly version: 1
  readonly database: {
    /** Of an account that may do everything; the others may do what their room needs. */
    readonly url: string
    readonly vaultUrl: string
    readonly writerUrl: string
    readonly readerUrl: string
    /** Tables and write-ahead log, where the server is our own. */
    readonly folder?: string
  }
  readonly hsm: HsmEndpoint
  /** The test keys, with which the simulators do their own cryptography. */
  readonly keyFile: string
  /** Checkpoints of the books, and what to check their signatures with. */
  readonly anchors?: {
    readonly file: string
    /** The name of the key that signs them. */
    readonly key: string
    readonly publicKeyFile: string
  }
  readonly switch: NodeEndpoint
  /** Further switch processes on the same database, by name; `switch` is `node-1`. */
  readonly nodes?: Readonly<Record<string, NodeEndpoint>>
  readonly networks: Readonly<Record<string, NetworkEndpoint>>
  readonly terminals: SimulatorEndpoint
  /** Where a fault proxy stands before a network (by its name) or, as `terminals`, before the switch. */
  readonly proxies?: Readonly<Record<string, ProxyEndpoint>>
  readonly processes: Readonly<Record<string, { readonly pid: number }>>
}

interface NodeEndpoint {
  readonly iso8583: Address
  readonly http: Address
  /** Where it listens to other nodes, where there are some. */
  readonly relay?: Address
}

export type HsmEndpoint =
  | {
      readonly driver: 'pkcs11'
      readonly module: string
      readonly tokenLabel: string
      readonly pinFile: string
      /** What SOFTHSM2_CONF must say before the module is loaded; only where the module is SoftHSM. */
      readonly softhsmConf?: string
      /** Further tokens with the same keys. */
      readonly others?: readonly TokenPlace[]
    }
  | { readonly driver: 'twin' }

export interface Address {
  readonly host: string
  readonly port: number
}

export interface SimulatorEndpoint {
  readonly control: Address
  /** The simulator's own fsynced record of what it saw. */
  readonly book: string
}

export interface ProxyEndpoint extends Address {
  readonly control: Address
}

export interface NetworkEndpoint extends SimulatorEndpoint, Address {}

const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** `given`, else what MAFRAQ_STATE says, else `.run` of the project. */
export function stateFolderOf(given: string | undefined): string {
  return resolve(given ?? process.env['MAFRAQ_STATE'] ?? join(projectFolder, '.run'))
}

export function nothingIn(stateFolder: string): string {
  return `nothing has been started in ${stateFolder}: run npm start, or name another state folder with --state`
}

/** Throws an error that says what to start when nothing runs in that folder. */
export function readEndpoints(stateFolder: string): Endpoints {
  let text: string
  try {
    text = readFileSync(join(stateFolder, 'endpoints.json'), 'utf8')
  } catch {
    throw new Error(nothingIn(stateFolder))
  }
  const endpoints = JSON.parse(text) as Endpoints
  // The file is our own, so its version is all there is to check.
  if (endpoints.version !== (1 as number)) throw new Error('endpoints.json is of another version of mafraq')
  return endpoints
}

/** It holds passwords, so it is its owner's alone; a reader finds the old file or the new one, never half of one. */
export function writeEndpoints(stateFolder: string, endpoints: Endpoints): void {
  const path = join(stateFolder, 'endpoints.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(endpoints, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
