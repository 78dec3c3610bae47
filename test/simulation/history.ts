import type { Bug } from './bugs/bug.ts'
import { check } from './checks/checks.ts'
import { type CommittedEvent, SimulatedDatabase } from './database.ts'
import { bytes } from './edges/bytes.ts'
import type { Edge } from './edges/edge.ts'
import { words } from './edges/words.ts'
import { drawFaults, type FaultRates, noFaults } from './faults/faults.ts'
import { scheduleHappenings } from './happenings/happenings.ts'
import { SimulatedNetwork } from './network.ts'
import { SimulatedNode } from './node.ts'
import type { Scene } from './scene.ts'
import { SimulatedTerminals } from './terminals.ts'
import { World } from './world.ts'

export interface HistoryOptions {
  readonly seed: number
  readonly size?: HistorySize
  readonly bug?: Bug
  /** Faults by name that stay off, for shrinking. */
  readonly off?: ReadonlySet<string>
  readonly tell?: boolean
  /** What terminals and networks read and write is bytes. */
  readonly codec?: boolean
}

export interface HistorySize {
  readonly purchases: number
  readonly nodes: number
  readonly networks: number
}

export interface HistoryResult {
  readonly violations: readonly string[]
  readonly traceHash: number
  readonly story: readonly string[]
  readonly commits: number
  /** Everything that was committed. */
  readonly events: readonly CommittedEvent[]
  /** Everybody, as they are when it is over. */
  readonly scene: Scene
}

const faultyMs = 60_000
const quietMs = 120_000
export const usualSize: HistorySize = { purchases: 12, nodes: 2, networks: 2 }

/** A minute of purchases with everything going wrong, up to two of peace, then what must hold is checked. */
export async function runHistory(options: HistoryOptions): Promise<HistoryResult> {
  const size = options.size ?? usualSize
  const world = new World(options.seed, { tell: options.tell ?? false })
  let faults: FaultRates = drawFaults((component) => world.random(component), options.off ?? new Set())
  const rates = (): FaultRates => faults
  const edge = options.codec === true ? bytes : words
  const scene = sceneOf({ world, rates, size, bug: options.bug, edge })
  const { database, nodes, terminals } = scene

  // A failed assertion ends the process in production; here it ends the history.
  const broken: string[] = []
  const onBroken = (error: unknown): void =>
    void broken.push(`bug: ${error instanceof Error ? error.message : 'thrown'}`)
  process.on('unhandledRejection', onBroken)
  for (const node of nodes) node.start()
  terminals.schedule(size.purchases, faultyMs - 15_000)
  scheduleHappenings(scene, faultyMs)
  await world.run(faultyMs)
  faults = noFaults
  await world.run(faultyMs + quietMs, () => isAtRest(scene))
  // Node tells of rejections when the event loop turns.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', onBroken)
  return {
    violations: [...broken, ...check(scene)],
    traceHash: world.traceHash,
    story: world.story,
    commits: database.events.length,
    events: database.events,
    scene,
  }
}

/** Everybody, before anything has happened. */
export function sceneOf(options: {
  readonly world: World
  readonly rates: () => FaultRates
  readonly size: HistorySize
  readonly bug: Bug | undefined
  readonly edge: Edge
}): Scene {
  const { world, rates, size, bug, edge } = options
  const database = new SimulatedDatabase(world, rates, bug?.ignore)
  const networks = numbered(size.networks, (n) => new SimulatedNetwork(`net-${n}`, world, rates))
  const nodes = numbered(
    size.nodes,
    (n) => new SimulatedNode({ name: `node-${n}`, world, rates, database, networks, bug, edge }),
  )
  const terminals = new SimulatedTerminals(world, rates, nodes)
  return { world, peaceAtMs: faultyMs, rates, database, networks, nodes, terminals }
}

/** Nothing more will come of it: the rest of the quiet time would be sweeps that find nothing. */
function isAtRest({ database, nodes, world }: Scene): boolean {
  return world.pending === 0 && database.atRest && database.days.atRest && nodes.every((node) => node.atRest)
}

function numbered<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index + 1))
}
