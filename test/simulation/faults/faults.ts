import type { Random } from '../../../kernel/random.ts'
import { databaseFaults } from './database.ts'
import type { Fault } from './fault.ts'
import { networkFaults } from './network.ts'
import { nodeFaults } from './nodes.ts'
import { terminalFaults } from './terminals.ts'

/** Every fault there is. A new one is a line in a file of this folder; who is hit by it asks for its rate. */
const faults = { ...networkFaults, ...databaseFaults, ...nodeFaults, ...terminalFaults }

export type FaultName = keyof typeof faults

/** How often things go wrong in one history. Each is on or off, then of some rate: a swarm, not an average. */
export type FaultRates = Readonly<Record<FaultName, number>>

export const faultNames = Object.keys(faults) as readonly FaultName[]

export const noFaults = ratesOf(() => 0)

/** Each has chance of its own, so that a new fault leaves the others of a seed as they were. */
export function drawFaults(randomOf: (component: string) => Random, off: ReadonlySet<string>): FaultRates {
  return ratesOf((name, fault) => {
    const random = randomOf(`fault ${name}`)
    const isOn = random.fraction() < 0.5
    return isOn && !off.has(name) ? fault(random.fraction()) : 0
  })
}

function ratesOf(rateOf: (name: FaultName, fault: Fault) => number): FaultRates {
  const rates: Partial<Record<FaultName, number>> = {}
  for (const name of faultNames) rates[name] = rateOf(name, faults[name])
  return rates as FaultRates
}
