import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MemberFile } from '../networks.ts'
import type { LeaseTimes, RuleTexts } from '../../switch/switch.ts'
import type { Address, Endpoints } from './endpoints.ts'
import { ruleFolderOf } from './rule-files.ts'
import { simulatedNetwork, simulatedNetworks } from './simulated-networks.ts'
import { dnsNameOf, TestCertificates } from './test-certificates.ts'

/** What the terminals are to do. */
export interface Traffic {
  /** Purchases a second, offered on a schedule whatever comes back. */
  readonly rate: number
  readonly terminals?: number
  readonly seed?: number
  /** How long a terminal waits before it gives up and reverses. */
  readonly timeoutMs?: number
  /** Ends by itself after this; undefined: until it is told to. */
  readonly seconds?: number
  /** Scenarios by name and weight, in the place of the default mixture. */
  readonly mix?: Readonly<Record<string, number>>
}

/** How long each waits for the one behind it: a terminal longer than the switch, the switch longer than the network. */
export interface Timeouts {
  readonly networkMs: number
  readonly sourceMs: number
  readonly terminalMs: number
  /** How long a terminal waits for the answer to its reversal before it sends it again. */
  readonly terminalReversesAgainMs?: number
  /** In the place of a network's own, for drills that break a line again and again. */
  readonly breaker?: { readonly openMs: number; readonly openMsMax: number; readonly rampStepMs: number }
  readonly session?: {
    readonly answerMs: number
    readonly echoAfterMs: number
    readonly reconnectMs: number
    readonly reconnectMsMax: number
    readonly refusedMs: number
    readonly refusedMsMax: number
  }
  readonly retryAfterMs?: readonly number[]
}

/** What a drill has otherwise than usual. */
export interface Special {
  readonly timeouts?: Timeouts
  /** How many connections of terminals there may be. */
  readonly connectionsMax?: number
  /** Simulated networks by name; KNET alone unless stated. */
  readonly networks?: readonly string[]
  /** Mutual TLS on every line. */
  readonly tls?: boolean
  /** Networks that connect to us instead of the other way round. */
  readonly serves?: readonly string[]
  /** Networks that allow one session: one node at a time has it. */
  readonly singleSession?: readonly string[]
  /** Members' own files over what the networks' folders say, by destination. */
  readonly members?: Readonly<Record<string, MemberFile>>
  /** Files of rules in the place of the project's; the system then has a folder of its own, which may be changed. */
  readonly rules?: RuleTexts
  /** What the environment of a process has besides, by its name: `network`, `switch`, `terminals`. */
  readonly environments?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** A Redis for wake-ups; none unless stated. */
  readonly redisUrl?: string | undefined
  /** Switch processes on one database; one unless stated. */
  readonly nodes?: number
  /** How long a call to the HSM may take, in the place of the usual time. */
  readonly hsmDeadlineMs?: number
  /** In the place of the usual times after which a node is followed. */
  readonly leases?: LeaseTimes
}

const usualTimeouts: Timeouts = { networkMs: 4_000, sourceMs: 8_000, terminalMs: 10_000 }

export interface Place {
  readonly endpoints: Endpoints
  readonly stateFolder: string
  readonly special: Special
}

export function networkConfiguration(
  { endpoints, stateFolder, special }: Place,
  name: string,
  seed: number,
): object {
  const { host, port, control, book } = endpoints.networks[name]!
  const isServed = special.serves?.includes(name) === true
  return {
    name,
    network: name,
    // One that connects listens to nobody: its address is the switch's then.
    ...(isServed ? { connect: { host, port } } : { host, port }),
    ...(special.tls === true && {
      tls: { ...certificatesOf(stateFolder).files(name), peer: dnsNameOf('switch') },
    }),
    control,
    book,
    keyFile: endpoints.keyFile,
    keys: keysOf(endpoints, name),
    conversions: simulatedNetwork(name).conversions,
    seed,
  }
}

/** `node` counts from 1. */
export function switchConfiguration(place: Place, node = 1): object {
  const { endpoints, stateFolder, special } = place
  const { timeouts = usualTimeouts, connectionsMax } = special
  const { database, hsm, keyFile } = endpoints
  const { iso8583, http } = node === 1 ? endpoints.switch : endpoints.nodes![`node-${node}`]!
  const networks = Object.keys(endpoints.networks)
  return {
    node: `node-${node}`,
    environment: 'development',
    database: { writerUrl: database.writerUrl, readerUrl: database.readerUrl },
    ...(database.folder !== undefined && { disk: { folder: database.folder, reserveMb: 64 } }),
    ...(special.redisUrl !== undefined && { queue: { redisUrl: special.redisUrl } }),
    hsm: {
      ...hsm,
      keyFile,
      vaultDatabaseUrl: database.vaultUrl,
      ...(special.hsmDeadlineMs !== undefined && { deadlineMs: special.hsmDeadlineMs }),
      socketFolder: join(stateFolder, node === 1 ? 'sockets' : `sockets-${node}`),
    },
    http,
    ...relayOf(place, node),
    leases: special.leases,
    // One node writes the checkpoints of the books.
    ...(endpoints.anchors === undefined || node > 1
      ? {}
      : { anchors: { ...endpoints.anchors, everyMs: 5_000 } }),
    sources: [
      {
        name: 'acq1',
        ...iso8583,
        ...(special.tls === true && {
          tls: certificatesOf(stateFolder).files('switch'),
          peers: [
            {
              name: 'terminals',
              dnsName: dnsNameOf('terminals'),
              connectionsMax: Math.max(1_000, connectionsMax ?? 0),
              acquirerIds: ['41400099'],
            },
          ],
        }),
        dialect: 'iso87-ascii-hex',
        frame: 'binary2',
        keys: { pin: 'tpk.acq1.in', mac: 'tak.acq1.both' },
        connectionsMax,
        // All terminals of this machine have one address.
        acceptsPerAddressPerSecondMax: 1_000,
      },
    ],
    destinations: networks.map((name) => destinationOf(place, name, timeouts)),
    rules: ruleFolderOf({
      ...{ stateFolder, networks },
      timeouts: special.timeouts,
      usual: usualTimeouts,
      rules: special.rules,
    }),
  }
}

/** Each node and all others, by their numbers. */
function relayOf({ endpoints, stateFolder, special }: Place, node: number): object {
  const all = [endpoints.switch, ...Object.values(endpoints.nodes ?? {})]
  const own = all[node - 1]!.relay
  if (own === undefined) return {}
  const named = special.tls === true ? { dnsName: dnsNameOf('switch') } : {}
  const nodes = all.flatMap(({ relay }, index) =>
    relay === undefined || index === node - 1 ? [] : [{ name: `node-${index + 1}`, ...relay, ...named }],
  )
  return {
    relay: {
      ...{ ...own, nodes },
      ...(special.tls === true && { tls: certificatesOf(stateFolder).files('switch') }),
    },
  }
}

function destinationOf({ endpoints, stateFolder, special }: Place, name: string, timeouts: Timeouts): object {
  const { host, port } = endpoints.proxies?.[name] ?? endpoints.networks[name]!
  const { acquirerId, destination } = simulatedNetwork(name)
  const files = special.tls === true ? certificatesOf(stateFolder).files('switch') : undefined
  const isServed = special.serves?.includes(name) === true
  return {
    name,
    network: name,
    ...{ host, port, keys: keysOf(endpoints, name), acquirerId },
    ...(isServed && {
      serve: files === undefined ? {} : { tls: files, peers: [{ name, dnsName: dnsNameOf(name) }] },
    }),
    ...(!isServed && files !== undefined && { tls: { ...files, dnsName: dnsNameOf(name) } }),
    ...(special.singleSession?.includes(name) === true && { singleSession: true }),
    breaker: timeouts.breaker,
    session: timeouts.session,
    member: special.members?.[name],
    ...destination,
  }
}

/** The software twin keeps no keys, and test keys that were made before there was one for this are kept. */
function keysOf({ hsm, keyFile }: Endpoints, name: string): object {
  const kbpk = `kbpk.${name}.both`
  const isExchanged = hsm.driver === 'pkcs11' && readFileSync(keyFile, 'utf8').includes(kbpk)
  return { ...simulatedNetwork(name).keys, ...(isExchanged && { kbpk }) }
}

/** Many terminals that stand idle: which node they connect to, how fast, and whether by TLS. */
export function crowdConfiguration(crowd: {
  readonly to: Address
  readonly control: Address
  readonly stateFolder: string
  readonly tls?: boolean
  readonly perSecond?: number | undefined
}): object {
  const { to, control, stateFolder, perSecond } = crowd
  const files = crowd.tls === true ? certificatesOf(stateFolder).files('terminals') : undefined
  return {
    ...{ host: to.host, port: to.port, control, perSecond },
    ...(files && { tls: { ...files, peer: dnsNameOf('switch') } }),
  }
}

/** Of everybody who may have to show one. */
function certificatesOf(stateFolder: string): TestCertificates {
  return new TestCertificates(join(stateFolder, 'tls'), [
    'switch',
    'terminals',
    ...Object.keys(simulatedNetworks),
  ])
}

/** A fault proxy: what it stands before, and how frames are written there. */
export function proxyConfiguration(
  endpoints: Endpoints,
  { name, target, frame, seed }: { name: string; target: Address; frame: string; seed: number },
): object {
  const { host, port, control } = endpoints.proxies![name]!
  return { host, port, control, target: { host: target.host, port: target.port }, frame, seed }
}

export function terminalsConfiguration({ endpoints, stateFolder, special }: Place, traffic: Traffic): object {
  const { control, book } = endpoints.terminals
  const { host, port } = endpoints.proxies?.['terminals'] ?? endpoints.switch.iso8583
  const { timeouts = usualTimeouts, tls } = special
  const others = Object.values(endpoints.nodes ?? {}).map(({ iso8583 }) => iso8583)
  return {
    ...{ host, port },
    ...(others.length > 0 && { alternates: others }),
    ...(tls === true && {
      tls: { ...certificatesOf(stateFolder).files('terminals'), peer: dnsNameOf('switch') },
    }),
    control,
    book,
    keyFile: endpoints.keyFile,
    keys: { pin: 'tpk.acq1.in', mac: 'tak.acq1.both' },
    terminals: traffic.terminals ?? 200,
    networks: Object.keys(endpoints.networks),
    rate: traffic.rate,
    seed: traffic.seed ?? 1,
    timeoutMs: traffic.timeoutMs ?? timeouts.terminalMs,
    reversalEveryMs: timeouts.terminalReversesAgainMs,
    ...(traffic.seconds === undefined ? {} : { seconds: traffic.seconds }),
    ...(traffic.mix === undefined ? {} : { mix: traffic.mix }),
  }
}
