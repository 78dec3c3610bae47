import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { Gauge } from 'prom-client'
import {
  type ConnectorOptions,
  type NetworkConnector,
  openConnector,
} from '../connectors/network-connector.ts'
import { Relay } from '../connectors/relay.ts'
import { openFront } from '../front/front.ts'
import { type HsmOptions, openHsm, registerHsmMetrics } from '../hsm/hsm.ts'
import {
  ascii4Frame,
  binary2Frame,
  bundledDialects,
  type ClientTls,
  compile,
  ConnectionBudget,
  type Peer,
  type PlaintextConsent,
  type ServerTls,
  type TlsFiles,
} from '../iso8583/iso8583.ts'
import { systemClock } from '../kernel/clock.ts'
import { openPool } from '../kernel/database.ts'
import { systemRandom } from '../kernel/random.ts'
import { type KeepingOptions, keepBooks, openLedger, publicKeyPem } from '../ledger/ledger.ts'
import {
  type CutoverSchedule,
  expiryRows,
  Failpoints,
  journalRows,
  type LeaseTimes,
  openBullmqWakeups,
  openSwitch,
  postgresStanBlocks,
  type SourceConfig,
  type SourceDoor,
  watchDisk,
} from '../switch/switch.ts'
import { Certificates } from './environment/certificates.ts'
import { openLog } from './environment/log.ts'
import { membersReloader, profileAt, refuseIllustrative, sealerAt } from './environment/members.ts'
import { editionOf, profilesOf, readRuleTexts } from './environment/rules.ts'
import type { MemberFile } from './networks.ts'

/** `node bin/switch.ts --config FILE`: one node of the switch, until SIGTERM. */
interface Configuration {
  readonly node: string
  readonly environment: string
  readonly database: { readonly writerUrl: string }
  /** The disk that the books are on, where it is of this machine: with less than the reserve free nothing new is taken in. */
  readonly disk?: { readonly folder: string; readonly reserveMb: number }
  /** A Redis for wake-ups between nodes and for what is due later; left out: the sweeper alone. */
  readonly queue?: { readonly redisUrl: string }
  readonly hsm: Omit<HsmOptions, 'processFile' | 'environment' | 'log'>
  readonly http: { readonly host: string; readonly port: number }
  /** Connections from outside that this process may hold, over all its listeners; undefined: each listener's own limit. */
  readonly connectionsMax?: number
  /**
   * Where this node listens to the others, and where they do: for destinations with `singleSession`, whose line one node
   * has and all use. Off this machine it needs `tls`; each node is known by the name in its certificate.
   */
  readonly relay?: {
    readonly host: string
    readonly port: number
    readonly tls?: TlsFiles
    readonly plaintext?: PlaintextConsent
    readonly nodes: readonly {
      readonly name: string
      readonly host: string
      readonly port: number
      readonly dnsName?: string
    }[]
  }
  /** How leases are held and lost among several nodes; the same on all of them. */
  readonly leases?: LeaseTimes
  /**
   * Where checkpoints of the books go, on other storage than the database, the key pair that signs them, where its public
   * half is put (PEM) for whoever checks them, and how often; every minute unless told.
   */
  readonly anchors?: {
    readonly file: string
    readonly key: string
    readonly publicKeyFile: string
    readonly everyMs?: number
  }
  /** Each network's business date is closed this long after its end in Kuwait; left out: by `mafraq ledger close-date`. */
  readonly closeDatesAfterMs?: number
  readonly sources: readonly {
    readonly name: string
    readonly host: string
    readonly port: number
    readonly dialect: string
    readonly frame: keyof typeof frames
    readonly keys: { readonly pin: string; readonly mac: string }
    /** Files in PEM. Needs `peers`. */
    readonly tls?: TlsFiles & Pick<ServerTls, 'tls12'>
    /** `acquirerIds`: what DE32 may say where it is there; anything unless stated. */
    readonly peers?: readonly (Peer & { readonly acquirerIds?: readonly string[] })[]
    readonly plaintext?: PlaintextConsent
    readonly connectionsMax?: number
    /** New connections of one address: 20 a second unless told, which is few where all terminals come from one. */
    readonly acceptsPerAddressPerSecondMax?: number
  }[]
  readonly destinations: readonly {
    readonly name: string
    readonly network: string
    /** A member's own file over the network's public facts. */
    readonly member?: MemberFile
    readonly host: string
    readonly port: number
    readonly alternates?: ConnectorOptions['alternates']
    readonly sessions?: number
    readonly tls?: TlsFiles & Omit<ClientTls, 'credentials'>
    readonly plaintext?: PlaintextConsent
    /** The network allows one session: of several nodes, one at a time has it. */
    readonly singleSession?: boolean
    /** The network connects to us, at `host` and `port`; `tls` and `alternates` above are of no use then. */
    readonly serve?: {
      readonly tls?: TlsFiles & Pick<ServerTls, 'tls12'>
      readonly peers?: readonly Peer[]
    }
    /** `kbpk`: what new ones travel under, where the network sends them in messages. */
    readonly keys: { readonly pin: string; readonly mac: string; readonly kbpk?: string }
    readonly acquirerId: string
    /** In the place of the network's own: how long the breaker stays open. */
    readonly breaker?: { readonly openMs: number; readonly openMsMax: number; readonly rampStepMs: number }
    /** The same of what its sessions wait for. */
    readonly session?: Partial<Parameters<typeof openConnector>[0]['session']>
    /** When its business date turns, if that goes by the clock. */
    readonly cutover?: CutoverSchedule
  }[]
  /** What a match with a network's statement left open and nobody explains is an alarm after so long: a day unless told. */
  readonly unmatchedAlarmAfterMs?: number
  /** The folder with the files of rules: read at the start, at SIGHUP and when `mafraq rules reload` asks. */
  readonly rules: string
}

const frames = { binary2: binary2Frame, ascii4: ascii4Frame }
/** Longer than any wait for a destination: what is in flight can end by itself. */
const drainMs = 26_000

const { values } = parseArgs({ options: { config: { type: 'string' } } })
if (values.config === undefined) {
  process.stderr.write('switch: --config FILE is needed\n')
  process.exit(2)
}
const configFile = values.config
const configText = readFileSync(configFile, 'utf8')
const config = JSON.parse(configText) as Configuration
const log = openLog({ node: config.node })
const [clock, random] = [systemClock, systemRandom]

const networks = await profilesOf(config)
for (const profile of networks.values()) {
  const illustrative = profile.dialect.fidelity === 'illustrative'
  refuseIllustrative(profile, config.environment)
  if (illustrative) log.warn({ dialect: profile.dialect.name }, 'an illustrative dialect: public facts only')
}

const failpoint = process.env['FAILPOINT']
if (failpoint !== undefined) log.warn({ failpoint }, 'a failpoint is set: this process is meant to fail')

const pool = openPool({
  databaseUrl: config.database.writerUrl,
  applicationName: 'mafraq-journal',
  connectionsMax: 6,
})
const ledger = await openLedger({ databaseUrl: config.database.writerUrl, rowKinds: journalRows, log, clock })
const hsm = await openHsm({
  ...config.hsm,
  environment: config.environment,
  processFile: join(dirname(fileURLToPath(import.meta.url)), 'hsm.ts'),
  log,
})
const stanBlocks = postgresStanBlocks(pool)
const certificates = new Certificates(clock, log)
const budget = config.connectionsMax === undefined ? undefined : new ConnectionBudget(config.connectionsMax)
const relay = config.relay && (await relayOf(config.relay))
const connectors = new Map<string, NetworkConnector>(
  config.destinations.map((destination) => [destination.name, connectorOf(destination)]),
)
const wakeups =
  config.queue === undefined ? undefined : openBullmqWakeups({ url: config.queue.redisUrl, clock, log })
const disk =
  config.disk &&
  (await watchDisk({
    folder: config.disk.folder,
    reserveBytes: config.disk.reserveMb * 1024 * 1024,
    onChange: (isKept, freeBytes) => {
      const freeMb = Math.floor(freeBytes / 1024 / 1024)
      if (isKept) log.info({ freeMb }, 'there is room on the disk again')
      else
        log.error(
          { alarm: 'the disk is nearly full', freeMb },
          'the disk is nearly full: nothing new is taken in',
        )
    },
  }))
const opened = await openSwitch({
  ...(disk && { takesNew: () => disk.isKept }),
  wakeups,
  node: config.node,
  clock,
  random,
  ledger,
  pool,
  hsm,
  connectors,
  pinKeys: new Map(config.destinations.map(({ name, keys }) => [name, keys.pin])),
  exchangedKeys: new Map(
    config.destinations.flatMap(({ name, keys: { kbpk, ...keys } }) =>
      kbpk === undefined ? [] : [[name, { ...keys, kbpk }]],
    ),
  ),
  sources: config.sources.map(sourceOf),
  ruleTexts: () => Promise.resolve().then(() => readRuleTexts(config.rules)),
  editions: new Map([...networks].map(([name, profile]) => [name, editionOf(profile)])),
  cutovers: new Map(
    config.destinations.flatMap(({ name, cutover }) => (cutover === undefined ? [] : [[name, cutover]])),
  ),
  leasedLines: config.destinations
    .filter(({ singleSession }) => singleSession === true)
    .map(({ name }) => connectors.get(name)!),
  ...(config.leases && { leaseTimes: config.leases }),
  onOusted: () => {
    log.fatal({ node: config.node }, 'another has the place of this node: it ends')
    process.exit(1)
  },
  ...(config.unmatchedAlarmAfterMs !== undefined && { unmatchedAlarmAfterMs: config.unmatchedAlarmAfterMs }),
  failpoints: failpoint === undefined ? undefined : new Failpoints(failpoint, config.environment),
  alarm: (what, subject) => log.error({ alarm: what, subject }, what),
  onRules: ({ outcome, number, before, cause, who, why, mistakes }, differences) =>
    log.info({ outcome, number, before, cause, who, why, mistakes, differences }, 'rules'),
})
const { anchors, closeDatesAfterMs } = config
const anchor = anchors === undefined ? undefined : await anchorOf(anchors)
const keeping = keepBooks({
  ledger,
  reader: pool,
  clock,
  log,
  closeDatesAfterMs,
  // What a network has not turned yet takes entries, however late it is.
  isDateOver: (network, date) => date < opened.today(network),
  expiryRows,
  ...(anchor === undefined ? {} : { anchor }),
})
registerHsmMetrics(opened.metrics, hsm)
registerOwnMetrics()
const front = await openFront({
  ...config.http,
  node: config.node,
  switch: opened,
  ledger,
  hsm,
  destinations: () => [...connectors.values()].map((connector) => connector.status()),
  ...(wakeups && { queue: () => wakeups.status }),
})
log.info({ recovered: opened.recovered }, 'ready')
process.stdout.write(
  `READY ${JSON.stringify({ http: front.port, sources: Object.fromEntries(opened.ports), recovered: opened.recovered })}\n`,
)

const { destinations, environment } = config
const reloadMembers = membersReloader({ configFile, destinations, environment, connectors, log })
process.on('SIGHUP', () => {
  certificates.reload()
  void reloadMembers()
  void opened.reloadRules({ cause: 'signal', who: config.node, why: 'SIGHUP' })
})
// SIGHUP ends nothing: it is how certificates, members' files and rules are read again.
closeWithGrace({ delay: drainMs + 14_000, logger: false, skip: ['SIGHUP'] }, async ({ err }) => {
  // What the process can't explain it must not survive: the journal says what to finish after the restart.
  if (err !== undefined) {
    log.fatal({ error: err.name, stack: err.stack }, 'a bug ends the process')
    process.exit(1)
  }
  front.retire()
  await opened.drain(drainMs)
  await relay?.close()
  disk?.stop()
  await wakeups?.close()
  await keeping.close()
  await ledger.close()
  await hsm.close()
  certificates.close()
  await Promise.all([pool.end(), front.close()])
  log.info('drained')
})

function connectorOf(destination: Configuration['destinations'][number]): NetworkConnector {
  const { name, host, port, keys, breaker } = destination
  const profile = networks.get(name)!
  const paced = breaker === undefined ? {} : { breaker }
  return openConnector(profileAt(profile, destination), {
    ...{ host, port, clock, random, stanBlocks, log, ...paced },
    sealer: sealerAt(profile, hsm, keys.mac),
    ...lineOf(destination),
  })
}

/** What only this file knows of. */
function registerOwnMetrics(): void {
  const registers = [opened.metrics]
  const version = new Gauge({
    name: 'switch_config_version',
    help: 'The first 24 bits of the SHA-256 of the configuration: another number is another configuration',
    registers,
  })
  version.set(createHash('sha256').update(configText).digest().readUIntBE(0, 3))
  new Gauge({
    name: 'switch_cert_expiry_seconds',
    help: 'Until the first certificate of ours or our authorities’ ends',
    registers,
    collect() {
      const seconds = certificates.expiresInSeconds
      if (seconds !== undefined) this.set(seconds)
    },
  })
}

/** How a destination is connected to, beside its address. */
function lineOf({
  alternates,
  sessions,
  singleSession,
  tls,
  plaintext,
  serve,
}: Configuration['destinations'][number]) {
  return {
    ...(serve && {
      serve: {
        ...(serve.peers && { peers: serve.peers }),
        ...(serve.tls && { tls: { ...serve.tls, credentials: certificates.open(serve.tls) } }),
        ...(budget && { budget }),
      },
    }),
    ...(singleSession === true && { leased: true, ...(relay && { relay }) }),
    ...(alternates && { alternates }),
    ...(sessions !== undefined && { sessions }),
    ...(tls && { tls: { ...tls, credentials: certificates.open(tls) } }),
    ...(plaintext && { plaintext }),
  } satisfies Partial<ConnectorOptions>
}

/** The nodes' own certificate is for both ends: each is a listener and connects. */
async function relayOf({
  host,
  port,
  tls,
  plaintext,
  nodes,
}: NonNullable<Configuration['relay']>): Promise<Relay> {
  const credentials = tls && certificates.open(tls)
  const peers = nodes.flatMap(({ name, dnsName }) => (dnsName === undefined ? [] : [{ name, dnsName }]))
  return Relay.open({
    ...{ clock, log },
    listen: { host, port, ...(credentials && { tls: { credentials }, peers }) },
    nodes: nodes.map(({ dnsName, ...node }) => ({
      ...node,
      ...(credentials && dnsName !== undefined && { tls: { credentials, dnsName } }),
    })),
    ...(plaintext && { plaintext }),
  })
}

/** Who may come in at a source, and how. */
function doorOf({
  name,
  tls,
  peers,
  plaintext,
  connectionsMax,
  acceptsPerAddressPerSecondMax,
}: Configuration['sources'][number]): SourceDoor {
  const limits = {
    ...(connectionsMax !== undefined && { connectionsMax }),
    ...(acceptsPerAddressPerSecondMax !== undefined && { acceptsPerAddressPerSecondMax }),
  }
  return {
    ...(tls && { tls: { ...tls, credentials: certificates.open(tls) } }),
    ...(peers && { peers }),
    ...(plaintext && { plaintext }),
    ...(budget && { budget }),
    limits,
    onRefused: (refusal) => log.warn({ source: name, ...refusal }, 'connection refused'),
  }
}

async function anchorOf(
  anchors: NonNullable<Configuration['anchors']>,
): Promise<NonNullable<KeepingOptions['anchor']>> {
  const { key, publicKeyFile, ...more } = anchors
  writeFileSync(publicKeyFile, publicKeyPem(await hsm.publicKey(key)))
  return { ...more, sign: async (data) => ({ keyId: key, signature: await hsm.sign({ key, data }) }) }
}

function sourceOf(source: Configuration['sources'][number]): SourceConfig {
  const { name, host, port, dialect, frame, keys } = source
  const spec = bundledDialects[dialect]
  if (spec === undefined) throw new Error(`source ${name}: no dialect is called ${dialect}`)
  return {
    name,
    keys,
    host,
    port,
    codec: compile(spec),
    frame: frames[frame],
    door: doorOf(source),
    acquirers: new Map(
      (source.peers ?? []).flatMap(({ name: peer, acquirerIds }) =>
        acquirerIds === undefined ? [] : [[peer, acquirerIds]],
      ),
    ),
  }
}
