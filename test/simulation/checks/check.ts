import type { Scene } from '../scene.ts'

/** Says which rule (N1 ... N10) is broken, and how. */
export type Wrong = (rule: string, what: string) => void

/** What must hold when the faults have stopped and everything has come to rest. */
export type Check = (scene: Scene, wrong: Wrong) => void
