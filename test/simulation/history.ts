import { HsmError, type SealedCardAnswer } from '../../hsm/hsm.ts'
import { admit, type AdmissionPorts } from '../../switch/admission.ts'
import { Deliveries } from '../../switch/deliveries.ts'
import { type Journal, JournalUnavailable } from '../../switch/journal.ts'
import type { Observer } from '../../switch/observer.ts'
import { Shell } from '../../switch/shell.ts'
import { Sweeper } from '../../switch/sweeper.ts'
import type { Bug } from './bugs.ts'
import { check } from './check.ts'
import { drawFaults, type FaultRates, faultNames } from './faults.ts'
import { SimulatedDatabase } from './journal.ts'
import { SimulatedNetwork } from './network.ts'
import { type Door, SimulatedTerminals } from './terminals.ts'
import { World } from './world.ts'

export interface HistoryOptions {
  readonly seed: number
  readonly purchases?: number
  readonly bug?: Bug
  /** Faults by name that stay off, for shrinking. */
  readonly off?: ReadonlySet<string>
  readonly tell?: boolean
}

export interface HistoryResult {
  readonly violations: readonly string[]
  readonly traceHash: number
  readonly story: readonly string[]
  readonly commits: number
}

const faultyMs = 60_000
const quietMs = 120_000
export const purchasesDefault = 12

/** A minute of purchases with everything going wrong, two minutes of peace, then what must hold is checked. */
export async function runHistory(options: HistoryOptions): Promise<HistoryResult> {
  const world = new World(options.seed, { tell: options.tell ?? false })
  const drawn = drawFaults(world.random('swarm'), options.off ?? new Set())
  let faults: FaultRates = drawn
  const rates = (): FaultRates => faults
  const database = new SimulatedDatabase(world, rates, options.bug?.ignore)
  const network = new SimulatedNetwork(world, rates)
  const node = new Node(world, database, network, rates, options.bug)
  const terminals = new SimulatedTerminals(world, rates, () => node.door)

  // A failed assertion ends the process in production; here it ends the history.
  const broken: string[] = []
  const onBroken = (error: unknown): void =>
    void broken.push(`bug: ${error instanceof Error ? error.message : 'thrown'}`)
  process.on('unhandledRejection', onBroken)
  await node.start()
  terminals.schedule(options.purchases ?? purchasesDefault, faultyMs - 15_000)
  node.scheduleCrashes(drawn.crashes, faultyMs)
  await world.run(faultyMs)
  faults = noFaults
  await world.run(faultyMs + quietMs)
  process.off('unhandledRejection', onBroken)
  return {
    violations: [...broken, ...check({ terminals, network, database })],
    traceHash: world.traceHash,
    story: world.story,
    commits: database.events.length,
  }
}

const noFaults = Object.fromEntries(faultNames.map((name) => [name, 0])) as unknown as FaultRates

/** One node of the switch, life after life. What dies with it is its memory; the database and its peers go on. */
class Node {
  door: Door | undefined
  readonly #world: World
  readonly #database: SimulatedDatabase
  readonly #network: SimulatedNetwork
  readonly #faults: () => FaultRates
  readonly #bug: Bug | undefined
  #life = 0

  constructor(
    world: World,
    database: SimulatedDatabase,
    network: SimulatedNetwork,
    faults: () => FaultRates,
    bug: Bug | undefined,
  ) {
    this.#world = world
    this.#database = database
    this.#network = network
    this.#faults = faults
    this.#bug = bug
  }

  async start(): Promise<void> {
    const life = ++this.#life
    const alive = (): boolean => this.#life === life
    const world = this.#world
    const clock = mortal(world, alive)
    const random = world.random(`switch ${life}`)
    const connection = this.#database.connect(alive)
    const journal: Journal = this.#bug?.journal?.(connection, world) ?? connection
    const connector = this.#network.connect('net', alive, () => this.#database.nextStan())
    const connectors = new Map([['net', connector]])
    const node = 'node-1'
    const hsm = this.#hsm(alive)
    const route = (): string => 'net'
    const observer = silent
    const shell: Shell = new Shell({
      node,
      clock,
      random,
      journal,
      hsm,
      connectors,
      observer,
      route,
      pinKeyOf: () => 'zpk.net.out',
      openAccounts: (accounts) => connection.openAccounts(accounts),
      wake: (destination) => deliveries.wake(destination),
    })
    const deliveries = new Deliveries({ clock, random, journal, hsm, connectors, shell, observer })
    const sweeper = new Sweeper({ clock, node, journal, shell, deliveries })
    const recovering = this.#recover(sweeper, alive)
    // Recovery needs the world to turn; the first start finds nothing to recover.
    void recovering.then(() => {
      if (!alive()) return
      sweeper.start()
      const door = doorOf(shell, { hsm, route })
      this.door = this.#bug?.door?.(door) ?? door
    })
    await Promise.resolve()
  }

  async #recover(sweeper: Sweeper, alive: () => boolean): Promise<void> {
    while (alive()) {
      try {
        await sweeper.recover()
        return
      } catch (error) {
        if (!(error instanceof JournalUnavailable)) throw error
      }
    }
  }

  scheduleCrashes(count: number, withinMs: number): void {
    const random = this.#world.random('crashes')
    for (let index = 0; index < count; index++) {
      const at = random.below(withinMs)
      const downMs = 500 + random.below(4_000)
      this.#world.after(at, () => {
        this.#world.note('the switch crashes')
        this.#life++
        this.door = undefined
        this.#bug?.crash?.(this.#database)
        const life = this.#life
        this.#world.after(downMs, () => {
          if (this.#life === life) void this.start()
        })
      })
    }
  }

  #hsm(alive: () => boolean): {
    translatePin(): Promise<Uint8Array>
    verifyMac(): Promise<boolean>
    verifyThenTokenise(): Promise<SealedCardAnswer>
    detokenise(): Promise<string>
  } {
    const random = this.#world.random(`hsm ${this.#life}`)
    const answer = <T>(value: T): Promise<T> =>
      new Promise((resolve, reject) => {
        const fails = random.fraction() < this.#faults().hsm
        this.#world.after(fails ? 500 : 0, () => {
          if (!alive()) return
          if (fails) reject(new HsmError({ kind: 'deadline' }))
          else resolve(value)
        })
      })
    return {
      translatePin: () => answer(new Uint8Array(8)),
      verifyMac: () => answer(true),
      verifyThenTokenise: () =>
        answer<SealedCardAnswer>(
          random.fraction() < this.#faults().hsm
            ? { verified: true, fault: { kind: 'deadline' } }
            : { verified: true, token: 'tok_simulated' },
        ),
      detokenise: () => answer('8888880000000001'),
    }
  }
}

/** The way in, behind the listener's codec. */
function doorOf(shell: Shell, ports: AdmissionPorts): Door {
  const seal = { key: 'tak.acq.both', data: new Uint8Array(), mac: new Uint8Array() }
  return {
    async request(purchase, waiter) {
      const admission = await admit(purchase, seal, ports)
      if (typeof admission === 'object') await shell.request(purchase, admission.file!, waiter)
    },
    async reversal(reversal, waiter) {
      const admission = await admit(reversal, seal, ports)
      if (typeof admission === 'object') await shell.reversal(reversal, waiter)
    },
  }
}

/** The clock of one life: its timers end with it. */
function mortal(world: World, alive: () => boolean): World {
  const clock = Object.create(world) as World
  clock.after = (delayMs, run) =>
    world.after(delayMs, () => {
      if (alive()) run()
    })
  clock.wallMs = () => world.wallMs()
  clock.monotonicMs = () => world.monotonicMs()
  return clock
}

const silent: Observer = {
  moved: () => undefined,
  answered: () => undefined,
  duplicate: () => undefined,
  late: () => undefined,
  commitUnknown: () => undefined,
  reversal: () => undefined,
  refused: () => undefined,
  alarm: () => undefined,
}
