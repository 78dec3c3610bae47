import type { Scene } from '../scene.ts'

/** A fault that comes by itself at some time of a history, instead of hitting what passes by. */
export interface Happening {
  /** Puts what will happen before `untilMs` into the world's agenda; `rate` is that of its fault. */
  schedule(scene: Scene, rate: number, untilMs: number): void
}
