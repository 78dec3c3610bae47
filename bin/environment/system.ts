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
import type { Special, Traffic } from './configurations.ts'
import { ask, tryAsk } from './control.ts'
import type { SwitchStatus, TerminalsStatus } from './control.ts'
import { openWork, prepareDatabase } from './database.ts'
import { writeEndpoints } from './endpoints.ts'
import type { Address, Endpoints, ProxyEndpoint } from './endpoints.ts'
import { lockFolder } from './lock.ts'
import { freePort } from './ports.ts'
import { startPostgres } from './postgres.ts'
import type { Postgres } from './postgres.ts'
import { prepareHsm } from './softhsm.ts'

/** How long a switch that is ready may take to sign on. */
const networksWithinMs = 20_000

/** The parts that can be killed and started again, each a process (or, PostgreSQL, a family of them). */
export type Part = 'postgres' | 'hsm' | 'switch' | 'network' | 'terminals'

const partNames = ['postgres', 'network', 'switch', 'terminals'] as const

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

  let endpoints = await plan({ stateFolder, database: urls, hsm })
  if (options.proxied === true) endpoints = await startProxies(endpoints, options, toEnd)
  const children = makeChildren(endpoints, options)
  const parts = { postgres, ...children }
  const note = (): void => {
    const pids = Object.entries(parts).map(([name, part]) => [name, part.pid()] as const)
    const processes = pids.flatMap(([name, pid]) => (pid === undefined ? [] : [[name, { pid }] as const]))
    endpoints = { ...endpoints, processes: Object.fromEntries(processes) }
    writeEndpoints(stateFolder, endpoints)
  }

  for (const [name, what] of [
    ['network', 'network KNET (simulated) on'],
    ['switch', 'switch on'],
  ] as const) {
    toEnd.unshift(() => children[name].stop())
    await children[name].start()
    say(`${what} ${shown(name === 'switch' ? endpoints.switch.iso8583 : endpoints.networks['knet']!)}`)
  }
  await waitForNetworks(endpoints.switch.http)
  say('signed on to KNET')
  toEnd.unshift(() => children.terminals.stop())
  note()
  const lost: Part[] = []
  const broken = new Promise<Part>((resolve) => {
    for (const name of partNames) {
      parts[name].onLost((how) => {
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
    pid: async (part) => (part === 'hsm' ? hsmPid(endpoints.switch.http) : parts[part].pid()),
    async startTerminals(traffic) {
      children.terminals.configure(terminalsConfiguration(endpoints, traffic, options.timeouts))
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
      if (part !== 'hsm') return parts[part].kill()
      const pid = await hsmPid(endpoints.switch.http)
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    },
    async start(part) {
      await parts[part].start()
      note()
    },
    async stop(part) {
      await parts[part].stop()
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
async function plan(parts: {
  stateFolder: string
  database: Endpoints['database']
  hsm: Endpoints['hsm']
}): Promise<Endpoints> {
  const address = async (): Promise<Address> => ({ host: '127.0.0.1', port: await freePort() })
  const books = join(parts.stateFolder, 'books')
  mkdirSync(books, { recursive: true })
  const keyFile = join(parts.stateFolder, 'keys.json')
  const anchors = { key: 'sign.books.both', ...anchorFiles(books) }
  // Test keys that were made before there was one for this are kept; and checkpoints belong to one database.
  const signed = parts.database.folder !== undefined && readFileSync(keyFile, 'utf8').includes(anchors.key)
  return {
    version: 1,
    database: parts.database,
    hsm: parts.hsm,
    keyFile,
    ...(signed ? { anchors } : {}),
    switch: { iso8583: await address(), http: await address() },
    networks: {
      knet: { ...(await address()), control: await address(), book: join(books, 'network-knet.jsonl') },
    },
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
      ([name, target]) => ({ name, target, frame: 'frame-ascii4' }) as const,
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

type Children = Readonly<Record<'network' | 'switch' | 'terminals', Child>>

function makeChildren(endpoints: Endpoints, { stateFolder, seed, ...special }: SystemOptions): Children {
  const child = (name: string, program: string, config: object): Child =>
    new Child({ name, program, stateFolder, config })
  return {
    network: child('network', 'simulator-network.ts', networkConfiguration(endpoints, seed ?? 1)),
    switch: child('switch', 'switch.ts', switchConfiguration(endpoints, stateFolder, special)),
    terminals: child('terminals', 'simulator-terminals.ts', terminalsConfiguration(endpoints, { rate: 0 })),
  }
}

function shown({ host, port }: Address): string {
  return `${host}:${port}`
}

/** The HSM process is the switch's own child, so the switch is who knows it. */
async function hsmPid(http: Address): Promise<number | undefined> {
  return (await tryAsk<SwitchStatus>(http, '/status'))?.hsm.pid
}

/** A switch that is ready has its sessions still to sign on; a purchase before that would be answered 91. */
async function waitForNetworks(http: Address): Promise<void> {
  const giveUpAt = performance.now() + networksWithinMs
  for (;;) {
    const destinations = (await tryAsk<SwitchStatus>(http, '/status'))?.destinations
    if (destinations?.every(({ session }) => session === 'online') === true) return
    if (performance.now() > giveUpAt)
      throw new Error('the switch did not sign on to its networks, see its log')
    await sleep(50)
  }
}

function supervise(
  system: System,
  watched: {
    parts: Readonly<Record<Exclude<Part, 'hsm'>, Child | Postgres>>
    say: (step: string) => void
    isClosing: () => boolean
  },
): void {
  const { parts, say, isClosing } = watched
  for (const name of partNames) {
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
    parts[name].onLost(() => void startAgain())
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
