import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from './child.ts'
import {
  networkConfiguration,
  proxyConfiguration,
  switchConfiguration,
  terminalsConfiguration,
} from './configurations.ts'
import type { Place, Special, Traffic } from './configurations.ts'
import { ask, tryAsk } from './control.ts'
import type { SwitchStatus, TerminalsStatus } from './control.ts'
import { openWork, prepareDatabase } from './database.ts'
import { writeEndpoints } from './endpoints.ts'
import type { Address, Endpoints, NetworkEndpoint, ProxyEndpoint } from './endpoints.ts'
import { lockFolder } from './lock.ts'
import { freePort } from './ports.ts'
import { simulatedNetwork } from './simulated-networks.ts'
import { startPostgres } from './postgres.ts'
import type { Postgres } from './postgres.ts'
import { prepareHsm } from './softhsm.ts'

/** How long a switch that is ready may take to sign on. */
const networksWithinMs = 20_000

/** The parts that can be killed and started again, each a process (or, PostgreSQL, a family of them). */
export type Part = 'postgres' | 'hsm' | Process

/** `network` and `switch` are the first of them; others are `network-visa` and `switch-2`. */
type Process = 'network' | `network-${string}` | 'switch' | `switch-${number}` | 'terminals'

export interface SystemOptions extends Special {
  /** Belongs to this system alone. What is there from an earlier run is taken up again. */
  readonly stateFolder: string
  /** A server to use instead of one of our own. */
  readonly databaseUrl?: string | undefined
  /** Starts again what ends without being told to, and tells `say`. Tests that kill on purpose leave it out. */
  readonly supervise?: boolean
  readonly seed?: number
  /** With a fault proxy before each network and one between the terminals and the switch. */
  readonly proxied?: boolean
  /** Told each step as it is done. */
  readonly say?: (step: string) => void
}

/** The whole of Mafraq on this machine: a database, a token, the switch, a network; terminals when asked for. */
export interface System {
  readonly stateFolder: string
  readonly endpoints: Endpoints
  /** What ended without being told to, in order. */
  readonly lost: readonly Part[]
  /** Resolves when something first does. */
  readonly broken: Promise<Part>
  /** undefined: it isn't running, or isn't ours. */
  pid(part: Part): Promise<number | undefined>
  /** Starts the terminals. Their book continues where they left it. */
  startTerminals(traffic: Traffic): Promise<void>
  /** undefined while they do not run. */
  terminals(): Promise<TerminalsStatus | undefined>
  /** No new purchases; waits until every terminal has its answer, or its reversal acknowledged. */
  stopTerminals(waitMs: number): Promise<TerminalsStatus & { readonly result: 'settled' | 'open' }>
  /** Waits until no transaction is open and no reversal is owed. Whether that came in time. */
  settle(waitMs: number): Promise<boolean>
  /** SIGKILL to that one process, as a crash would. The switch starts a killed HSM process again by itself. */
  kill(part: Part): Promise<void>
  /** After `kill` or `stop`: the same configuration on the same ports; resolves when it is ready. */
  start(part: Exclude<Part, 'hsm'>): Promise<void>
  /** Ends it as an operator would, and waits for it. */
  stop(part: Exclude<Part, 'hsm'>): Promise<void>
  /** Ends everything in its order. Never rejects. */
  close(): Promise<void>
}

type End = () => unknown

/** Starts everything but the terminals. What was started is stopped again when a later step fails. */
export async function startSystem(options: SystemOptions): Promise<System> {
  mkdirSync(options.stateFolder, { recursive: true, mode: 0o711 })
  const unlock = lockFolder(options.stateFolder)
  const toEnd: End[] = [unlock]
  try {
    return await start(options, toEnd)
  } catch (error) {
    await endAll(toEnd)
    throw error
  }
}

async function start(options: SystemOptions, toEnd: End[]): Promise<System> {
  const { stateFolder } = options
  const say = options.say ?? (() => undefined)

  const [postgres, hsm] = await Promise.all([
    startDatabase(options, say, toEnd),
    prepareHsm({ folder: join(stateFolder, 'softhsm'), keyFile: join(stateFolder, 'keys.json') }),
  ])
  say(
    hsm.driver === 'pkcs11' ? `test keys on the token "${hsm.tokenLabel}" of ${hsm.module}` : 'software twin',
  )
  const { urls, migrations } = await prepareDatabase(postgres, stateFolder)
  say(`${migrations} migrations`)

  let endpoints = await plan(options, { database: urls, hsm })
  if (options.proxied === true) endpoints = await startProxies(endpoints, options, toEnd)
  const { children, terminals } = makeChildren(endpoints, options)
  const parts = new Map<Exclude<Part, 'hsm'>, Child | Postgres>([['postgres', postgres], ...children])
  const partOf = (name: Exclude<Part, 'hsm'>): Child | Postgres => {
    const part = parts.get(name)
    if (part === undefined) throw new Error(`nothing here is called ${name}`)
    return part
  }
  const note = (): void => {
    const pids = [...parts].map(([name, part]) => [name, part.pid()] as const)
    const processes = pids.flatMap(([name, pid]) => (pid === undefined ? [] : [[name, { pid }] as const]))
    endpoints = { ...endpoints, processes: Object.fromEntries(processes) }
    writeEndpoints(stateFolder, endpoints)
  }

  for (const [name, child] of children) {
    if (child === terminals) continue
    toEnd.unshift(() => child.stop())
    await child.start()
    say(shownName(name, endpoints))
  }
  for (const { http } of [endpoints.switch, ...Object.values(endpoints.nodes ?? {})])
    await waitForNetworks(http)
  say(`signed on to ${Object.keys(endpoints.networks).map(titled).join(', ')}`)
  toEnd.unshift(() => terminals.stop())
  note()
  const lost: Part[] = []
  const broken = new Promise<Part>((resolve) => {
    for (const [name, part] of parts) {
      part.onLost((how) => {
        say(`${name} ended by itself (${how})`)
        lost.push(name)
        resolve(name)
      })
    }
  })

  const system: System = {
    stateFolder,
    get endpoints() {
      return endpoints
    },
    lost,
    broken,
    pid: async (part) => (part === 'hsm' ? hsmPid(endpoints.switch.http) : partOf(part).pid()),
    async startTerminals(traffic) {
      terminals.configure(terminalsConfiguration(placeOf(endpoints, options), traffic))
      await system.start('terminals')
    },
    terminals: () => tryAsk<TerminalsStatus>(endpoints.terminals.control, '/status'),
    stopTerminals: (waitMs) =>
      ask(endpoints.terminals.control, 'POST', `/stop?waitMs=${waitMs}`, waitMs + 5_000),
    async settle(waitMs) {
      const giveUpAt = performance.now() + waitMs
      while ((await openWork(endpoints.database.readerUrl)) > 0) {
        if (performance.now() > giveUpAt) return false
        await sleep(250)
      }
      return true
    },
    async kill(part) {
      if (part !== 'hsm') return partOf(part).kill()
      const pid = await hsmPid(endpoints.switch.http)
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    },
    async start(part) {
      await partOf(part).start()
      note()
    },
    async stop(part) {
      await partOf(part).stop()
      note()
    },
    async close() {
      closing = true
      await endAll(toEnd)
    },
  }
  let closing = false
  if (options.supervise === true) supervise(system, { parts, say, isClosing: () => closing })
  return system
}

async function startDatabase(
  options: SystemOptions,
  say: (step: string) => void,
  toEnd: End[],
): Promise<Postgres> {
  const { stateFolder, databaseUrl } = options
  const postgres = await startPostgres({
    folder: join(stateFolder, 'pg'),
    logFile: join(stateFolder, 'logs', 'postgres.log'),
    databaseUrl,
  })
  toEnd.unshift(() => postgres.stop())
  const { hostname, port } = new URL(postgres.url)
  say(`PostgreSQL ${postgres.version} on ${hostname}:${port}`)
  return postgres
}

/** Every address is chosen here, so that a part that is started again is found where it was. */
async function plan(
  { stateFolder, networks = ['knet'], nodes = 1 }: SystemOptions,
  parts: Pick<Endpoints, 'database' | 'hsm'>,
): Promise<Endpoints> {
  const address = async (): Promise<Address> => ({ host: '127.0.0.1', port: await freePort() })
  const node = async (): Promise<Endpoints['switch']> => ({
    iso8583: await address(),
    http: await address(),
    ...(nodes > 1 && { relay: await address() }),
  })
  const books = join(stateFolder, 'books')
  mkdirSync(books, { recursive: true })
  const keyFile = join(stateFolder, 'keys.json')
  const simulated: Record<string, NetworkEndpoint> = {}
  for (const name of networks) {
    const book = join(books, `network-${name}.jsonl`)
    simulated[name] = { ...(await address()), control: await address(), book }
  }
  const others: Record<string, Endpoints['switch']> = {}
  for (let number = 2; number <= nodes; number++) others[`node-${number}`] = await node()
  const anchors = { key: 'sign.books.both', ...anchorFiles(books) }
  // Test keys that were made before there was one for this are kept; and checkpoints belong to one database.
  const signed = parts.database.folder !== undefined && readFileSync(keyFile, 'utf8').includes(anchors.key)
  return {
    version: 1,
    database: parts.database,
    hsm: parts.hsm,
    keyFile,
    ...(signed ? { anchors } : {}),
    switch: await node(),
    ...(nodes > 1 && { nodes: others }),
    networks: simulated,
    terminals: { control: await address(), book: join(books, 'terminals.jsonl') },
    processes: {},
  }
}

function anchorFiles(books: string): { file: string; publicKeyFile: string } {
  return { file: join(books, 'ledger-anchors.jsonl'), publicKeyFile: join(books, 'ledger-anchors.pem') }
}

/** One before each network and one before the switch; nobody who speaks through one knows it is there. */
async function startProxies(
  endpoints: Endpoints,
  { stateFolder, seed = 1 }: SystemOptions,
  toEnd: End[],
): Promise<Endpoints> {
  const fronts = [
    ...Object.entries(endpoints.networks).map(
      ([name, target]) => ({ name, target, frame: simulatedNetwork(name).frame }) as const,
    ),
    { name: 'terminals', target: endpoints.switch.iso8583, frame: 'frame-binary2' } as const,
  ]
  const proxies: Record<string, ProxyEndpoint> = {}
  for (const { name } of fronts) {
    const [port, control] = [await freePort(), await freePort()]
    proxies[name] = { host: '127.0.0.1', port, control: { host: '127.0.0.1', port: control } }
  }
  const proxied = { ...endpoints, proxies }
  for (const front of fronts) {
    const config = proxyConfiguration(proxied, { ...front, seed })
    const child = new Child({ name: `proxy-${front.name}`, program: 'chaosproxy.ts', stateFolder, config })
    toEnd.unshift(() => child.stop())
    await child.start()
  }
  return proxied
}

/** In the order in which they are started. */
function makeChildren(
  endpoints: Endpoints,
  options: SystemOptions,
): { readonly children: ReadonlyMap<Process, Child>; readonly terminals: Child } {
  const { stateFolder, seed = 1 } = options
  const place = placeOf(endpoints, options)
  const children = new Map<Process, Child>()
  const add = (name: Process, program: string, config: object, nodeFlags: readonly string[] = []): Child => {
    const environment = options.environments?.[name]
    const child = new Child({ name, program, stateFolder, config, environment, nodeFlags })
    children.set(name, child)
    return child
  }
  for (const [index, name] of Object.keys(endpoints.networks).entries()) {
    const part = index === 0 ? 'network' : (`network-${name}` as const)
    add(part, 'simulator-network.ts', networkConfiguration(place, name, seed + index))
  }
  for (let node = 1; node <= 1 + Object.keys(endpoints.nodes ?? {}).length; node++) {
    const name = node === 1 ? 'switch' : (`switch-${node}` as const)
    add(name, 'switch.ts', switchConfiguration(place, node), shortPauses)
  }
  const terminals = add('terminals', 'simulator-terminals.ts', terminalsConfiguration(place, { rate: 0 }))
  return { children, terminals }
}

/**
 * Where connections come and go, more of what is young lives on, and a collection of 16 MB of it (the default) holds all
 * payments up for 10 to 17 ms; one of 2 MB takes 1 to 3 ms, and costs little more in all.
 */
const shortPauses = ['--max-semi-space-size=2']

function placeOf(endpoints: Endpoints, { stateFolder, ...special }: SystemOptions): Place {
  return { endpoints, stateFolder, special }
}

function shownName(name: Process, { networks, nodes, switch: first }: Endpoints): string {
  if (name === 'switch') return `switch on ${shown(first.iso8583)}`
  if (name.startsWith('switch-'))
    return `another node on ${shown(nodes![name.replace('switch', 'node')]!.iso8583)}`
  const network = name === 'network' ? Object.keys(networks)[0]! : name.slice('network-'.length)
  return `network ${titled(network)} (simulated) on ${shown(networks[network]!)}`
}

function titled(network: string): string {
  return network === 'knet' ? 'KNET' : network
}

function shown({ host, port }: Address): string {
  return `${host}:${port}`
}

/** The HSM process is the switch's own child, so the switch is who knows it. */
async function hsmPid(http: Address): Promise<number | undefined> {
  return (await tryAsk<SwitchStatus>(http, '/status'))?.hsm.pid
}

/** By this node or by another. */
const signedOn: readonly string[] = ['online', 'relayed', 'standby']

/** A switch that is ready has its sessions still to sign on; a purchase before that would be answered 91. */
async function waitForNetworks(http: Address): Promise<void> {
  const giveUpAt = performance.now() + networksWithinMs
  for (;;) {
    const destinations = (await tryAsk<SwitchStatus>(http, '/status'))?.destinations
    if (destinations?.every(({ session }) => signedOn.includes(session)) === true) return
    if (performance.now() > giveUpAt)
      throw new Error('the switch did not sign on to its networks, see its log')
    await sleep(50)
  }
}

function supervise(
  system: System,
  watched: {
    parts: ReadonlyMap<Exclude<Part, 'hsm'>, Child | Postgres>
    say: (step: string) => void
    isClosing: () => boolean
  },
): void {
  const { parts, say, isClosing } = watched
  for (const [name, part] of parts) {
    let lives = 0
    const startAgain = async (): Promise<void> => {
      const waitMs = Math.min(500 * 2 ** lives++, 30_000)
      say(`${name} is started again in ${waitMs} ms`)
      await sleep(waitMs)
      if (isClosing()) return
      try {
        await system.start(name)
        say(`${name} is back`)
      } catch (error) {
        say(error instanceof Error ? error.message : `${name} did not start`)
        await startAgain()
      }
    }
    part.onLost(() => void startAgain())
  }
}

async function endAll(toEnd: End[]): Promise<void> {
  for (const end of toEnd.splice(0)) {
    try {
      await end()
    } catch {
      // What cannot be ended in order ends with us: each process has its guard.
    }
  }
}
