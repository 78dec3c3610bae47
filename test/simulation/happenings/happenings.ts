import type { FaultName } from '../faults/faults.ts'
import type { Scene } from '../scene.ts'
import { clockDrift, clockJumps } from './clocks.ts'
import { crashes } from './crashes.ts'
import { cutovers } from './cutovers.ts'
import { freezes } from './freezes.ts'
import type { Happening } from './happening.ts'
import { databaseOutages, hsmHangs, networkOutages } from './outages.ts'
import { reloads } from './reloads.ts'

/** By the fault that says how often. */
const happenings = {
  crashes,
  cutovers,
  freezes,
  clockJumps,
  clockDrift,
  databaseOutages,
  networkOutages,
  hsmHangs,
  reloads,
} as const satisfies Partial<Record<FaultName, Happening>>

/** Puts everything that will happen by itself into the agenda of a history. */
export function scheduleHappenings(scene: Scene, untilMs: number): void {
  const rates = scene.rates()
  for (const [name, happening] of Object.entries(happenings)) {
    const rate = rates[name as keyof typeof happenings]
    if (rate > 0) happening.schedule(scene, rate, untilMs)
  }
}
