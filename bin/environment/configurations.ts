import { join } from 'node:path'
import type { Address, Endpoints } from './endpoints.ts'

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
  /** In the place of a network's own, for drills that break a line again and again. */
  readonly breaker?: { readonly openMs: number; readonly openMsMax: number; readonly rampStepMs: number }
  readonly retryAfterMs?: readonly number[]
}

/** What a drill has otherwise than usual. */
export interface Special {
  readonly timeouts?: Timeouts
  /** How many connections of terminals there may be. */
  readonly connectionsMax?: number
}

const usualTimeouts: Timeouts = { networkMs: 4_000, sourceMs: 8_000, terminalMs: 10_000 }

export function networkConfiguration(endpoints: Endpoints, seed: number): object {
  const { host, port, control, book } = endpoints.networks['knet']!
  return {
    name: 'knet',
    network: 'knet',
    host,
    port,
    control,
    book,
    keyFile: endpoints.keyFile,
    keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' },
    seed,
  }
}

export function switchConfiguration(
  endpoints: Endpoints,
  stateFolder: string,
  { timeouts = usualTimeouts, connectionsMax }: Special = {},
): object {
  const { database, hsm, keyFile } = endpoints
  const { host, port } = endpoints.proxies?.['knet'] ?? endpoints.networks['knet']!
  return {
    node: 'node-1',
    environment: 'development',
    database: { writerUrl: database.writerUrl, readerUrl: database.readerUrl },
    hsm: {
      ...hsm,
      keyFile,
      vaultDatabaseUrl: database.vaultUrl,
      socketFolder: join(stateFolder, 'sockets'),
    },
    http: endpoints.switch.http,
    ...(endpoints.anchors === undefined ? {} : { anchors: { ...endpoints.anchors, everyMs: 5_000 } }),
    sources: [
      {
        name: 'acq1',
        ...endpoints.switch.iso8583,
        dialect: 'iso87-ascii-hex',
        frame: 'binary2',
        keys: { pin: 'tpk.acq1.in', mac: 'tak.acq1.both' },
        timeoutMs: timeouts.sourceMs,
        terminalTimeoutMs: timeouts.terminalMs,
        takesPartialApprovals: true,
        forcedPost: 'flag',
        connectionsMax,
        // All terminals of this machine have one address.
        acceptsPerAddressPerSecondMax: 1_000,
        limits: [{ kind: 'refund', currency: 'KWD', amountMinorMax: '100000' }],
      },
    ],
    destinations: [
      {
        name: 'knet',
        network: 'knet',
        // So that the end of an authorization can be watched: miscellaneous personal services.
        holdMsByMerchantType: { '7299': 2_000 },
        host,
        port,
        keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' },
        timeoutMs: timeouts.networkMs,
        acquirerId: '12345678901',
        breaker: timeouts.breaker,
        retryAfterMs: timeouts.retryAfterMs,
        cutover: { at: '00:00', timeZone: 'Asia/Kuwait' },
      },
    ],
    routes: [{ low: '888888', high: '888888', strategy: { kind: 'priority', targets: ['knet'] } }],
  }
}

/** A fault proxy: what it stands before, and how frames are written there. */
export function proxyConfiguration(
  endpoints: Endpoints,
  { name, target, frame, seed }: { name: string; target: Address; frame: string; seed: number },
): object {
  const { host, port, control } = endpoints.proxies![name]!
  return { host, port, control, target: { host: target.host, port: target.port }, frame, seed }
}

export function terminalsConfiguration(
  endpoints: Endpoints,
  traffic: Traffic,
  timeouts: Timeouts = usualTimeouts,
): object {
  const { control, book } = endpoints.terminals
  const { host, port } = endpoints.proxies?.['terminals'] ?? endpoints.switch.iso8583
  return {
    ...{ host, port },
    control,
    book,
    keyFile: endpoints.keyFile,
    keys: { pin: 'tpk.acq1.in', mac: 'tak.acq1.both' },
    terminals: traffic.terminals ?? 200,
    rate: traffic.rate,
    seed: traffic.seed ?? 1,
    timeoutMs: traffic.timeoutMs ?? timeouts.terminalMs,
    ...(traffic.seconds === undefined ? {} : { seconds: traffic.seconds }),
    ...(traffic.mix === undefined ? {} : { mix: traffic.mix }),
  }
}
