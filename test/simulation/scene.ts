import type { SimulatedDatabase } from './database.ts'
import type { FaultRates } from './faults/faults.ts'
import type { SimulatedNetwork } from './network.ts'
import type { SimulatedNode } from './node.ts'
import type { SimulatedTerminals } from './terminals.ts'
import type { World } from './world.ts'

/** Everybody in a history. */
export interface Scene {
  readonly world: World
  /** When the faults stop. */
  readonly peaceAtMs: number
  /** What goes wrong now: nothing, once the quiet time has begun. */
  readonly rates: () => FaultRates
  readonly database: SimulatedDatabase
  readonly networks: readonly SimulatedNetwork[]
  readonly nodes: readonly SimulatedNode[]
  readonly terminals: SimulatedTerminals
}
