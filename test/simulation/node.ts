import type { Connector } from '../../connectors/connector.ts'
import type { Clock } from '../../kernel/clock.ts'
import { BusinessDays, followCutovers, switchItself } from '../../switch/business-days.ts'
import { Deliveries } from '../../switch/deliveries.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import { Shell } from '../../switch/shell.ts'
import { Sweeper } from '../../switch/sweeper.ts'
import type { Bug } from './bugs/bug.ts'
import type { SimulatedDatabase } from './database.ts'
import type { Door } from './door.ts'
import type { Edge } from './edges/edge.ts'
import type { FaultRates } from './faults/faults.ts'
import { simulatedHsm } from './hsm.ts'
import { Life } from './life.ts'
import type { SimulatedNetwork } from './network.ts'
import { SimulatedRules, simulatedRules } from './rules.ts'
import { silent } from './silent.ts'
import type { World } from './world.ts'

export interface NodeOptions {
  readonly name: string
  readonly world: World
  readonly rates: () => FaultRates
  readonly database: SimulatedDatabase
  readonly networks: readonly SimulatedNetwork[]
  readonly bug: Bug | undefined
  readonly edge: Edge
}

/** The switch's own date turns at midnight in Kuwait, by each node's clock. */
const ownDate = new Map([[switchItself, { at: '00:00', timeZone: 'Asia/Kuwait' }]])

/** One node of the switch, life after life. What dies with it is its memory; the database and its peers go on. */
export class SimulatedNode {
  readonly name: string
  readonly #options: NodeOptions
  #life: Life | undefined
  #lives = 0
  #rules: SimulatedRules | undefined
  /** What its folder has. */
  #written: 1 | 2 = 1
  #door: Door | undefined
  #shell: Shell | undefined
  #wallAheadMs = 0
  #driftMsPerSecond = 0
  #hsmHangsUntil = 0

  constructor(options: NodeOptions) {
    this.name = options.name
    this.#options = options
  }

  /** Where terminals reach it; undefined while it is down or recovering. */
  get door(): Door | undefined {
    return this.#door
  }

  /** How many requests it is serving. */
  get inFlight(): number {
    return this.#shell?.inFlight ?? 0
  }

  /** Nobody is being served. */
  get atRest(): boolean {
    return (this.#shell?.inFlight ?? 0) === 0
  }

  get life(): Life | undefined {
    return this.#life
  }

  startIfDown(): void {
    if (this.#life === undefined) this.start()
  }

  /** Begins a life with the production core and shell on simulated ports; it is served once it has recovered. */
  start(): void {
    const { bug, database, edge, name, networks, rates, world } = this.#options
    const life = new Life(
      world,
      `${name}.${++this.#lives}`,
      () => this.#wallAheadMs + Math.round((world.monotonicMs() / 1_000) * this.#driftMsPerSecond),
    )
    this.#life = life
    const clock: Clock = bug?.clock?.(life) ?? life
    const random = world.random(`switch ${life.name}`)
    const connection = database.connect(life)
    const journal = bug?.journal?.(connection, clock) ?? connection
    const hsm = simulatedHsm(world, life, { rates, hangs: () => world.monotonicMs() < this.#hsmHangsUntil })
    const connectors = new Map<string, Connector>()
    for (const network of networks) {
      const connector = network.connect({
        ...{ life, clock, hsm, edge },
        identify: bug?.identify?.() ?? database.identities(network.name),
        matchKey: bug?.matchKey,
      })
      connectors.set(network.name, bug?.connector?.(connector, clock) ?? connector)
    }
    const observer = silent
    const destinations = [...connectors.keys()]
    const book = database.days.book(life)
    // Networks turn when they say so; what is not resolved by then is given up sooner than in production.
    const turning = { book, destinations, schedules: ownDate, freezeAfterMs: 20_000 }
    const days = new BusinessDays({ clock, node: name, observer, ...turning })
    for (const connector of connectors.values()) followCutovers(connector, days)
    const own = new Map([...connectors].map(([each, connector]) => [each, connector.rules] as const))
    const standsIn = rates().standIn > 0
    const rules = new SimulatedRules((number) => simulatedRules(own, { number, standsIn }), this.#written)
    this.#rules = rules
    const shell: Shell = new Shell({
      node: name,
      clock,
      random,
      journal,
      hsm,
      connectors,
      observer,
      rules,
      pinKeyOf: (destination) => `zpk.${destination}.out`,
      openAccounts: (accounts) => connection.openAccounts(accounts),
      days: bug?.days?.(days) ?? days,
      ...(bug?.takesNew && { takesNew: bug.takesNew }),
      wake: (destination) => deliveries.wake(destination),
    })
    this.#shell = shell
    const deliveries = new Deliveries({ clock, random, journal, hsm, connectors, shell, observer })
    const sweeper = new Sweeper({ clock, node: name, journal, shell, deliveries, days, rules: readNow })
    void recover(days, sweeper, life).then(() => {
      if (!life.alive) return
      sweeper.start()
      const door = edge.door(shell, { clock, hsm, rules: () => bug?.pins?.(rules) ?? rules.current })
      this.#door = entering(bug?.door?.(door) ?? door, life)
    })
  }

  /** Other rules are in its folder, and it reads them. */
  reload(number: 1 | 2): void {
    this.#written = number
    if (this.#life === undefined) return
    this.#note(`goes by rules ${number} from now on`)
    this.#rules?.reload(number)
  }

  freeze(forMs: number): void {
    this.#life?.standStill(forMs)
  }

  turnClock(byMs: number): void {
    this.#note(`has its clock set ${byMs > 0 ? 'ahead' : 'back'} by ${Math.abs(byMs) / 3_600_000} h`)
    this.#wallAheadMs += byMs
  }

  driftClock(msPerSecond: number): void {
    this.#driftMsPerSecond = msPerSecond
  }

  hangHsm(forMs: number): void {
    this.#note(`has an HSM that hangs for ${forMs} ms`)
    this.#hsmHangsUntil = this.#options.world.monotonicMs() + forMs
  }

  crash(): void {
    if (this.#life === undefined) return
    this.#note('crashes')
    this.#life.end()
    this.#life = undefined
    this.#shell = undefined
    this.#door = undefined
    this.#options.bug?.crash?.(this.#options.database)
  }

  #note(what: string): void {
    this.#options.world.note(`${this.name} ${what}`)
  }
}

/** What comes over the lines of a node that stands still waits in its sockets. */
function entering(door: Door, life: Life): Door {
  return {
    request: (request, waiter) => Promise.resolve(life.enter(() => void door.request(request, waiter))),
    reversal: (reversal, waiter) => Promise.resolve(life.enter(() => void door.reversal(reversal, waiter))),
    completion: (completion, waiter) =>
      Promise.resolve(life.enter(() => void door.completion(completion, waiter))),
  }
}

async function recover(days: BusinessDays, sweeper: Sweeper, life: Life): Promise<void> {
  while (life.alive) {
    try {
      await days.open()
      await sweeper.recover()
      return
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
    }
  }
}

/** Here they are read at once. */
const readNow = { follow: () => Promise.resolve() }
