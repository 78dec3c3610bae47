import type { Clock, Timer } from '../../kernel/clock.ts'
import type { World } from './world.ts'

/**
 * One life of a node: everything that reaches its memory comes through here, timers and answers alike. When it has
 * ended nothing does; while it is frozen (SIGSTOP, a long pause) everything waits, and then comes at once.
 */
export class Life implements Clock {
  readonly name: string
  readonly #world: World
  readonly #wallAheadMs: () => number
  readonly #monotonicOriginMs: number
  #alive = true
  #waiting: (() => void)[] | undefined
  #wentOnAtMs = Number.NEGATIVE_INFINITY

  /** `wallAheadMs`: how far the node's wall clock is from the world's. */
  constructor(world: World, name: string, wallAheadMs: () => number) {
    this.name = name
    this.#world = world
    this.#wallAheadMs = wallAheadMs
    // Where a monotonic clock begins means nothing, and is another place after each start.
    this.#monotonicOriginMs = world.random(`clock ${name}`).below(1_000_000_000) - world.monotonicMs()
  }

  get alive(): boolean {
    return this.#alive
  }

  get frozen(): boolean {
    return this.#waiting !== undefined
  }

  wallMs(): number {
    return this.#world.wallMs() + this.#wallAheadMs()
  }

  monotonicMs(): number {
    return this.#monotonicOriginMs + this.#world.monotonicMs()
  }

  after(delayMs: number, run: () => void): Timer {
    let wanted: (() => void) | undefined = run
    const timer = this.#world.afterUnnoticed(delayMs, () => this.enter(() => wanted?.()))
    return {
      cancel() {
        wanted = undefined
        timer.cancel()
      },
    }
  }

  /** Something from outside: at once, when the life goes on, or never. */
  enter(run: () => void): void {
    if (!this.#alive) return
    if (this.#waiting === undefined) run()
    else this.#waiting.push(run)
  }

  /**
   * For so long everything waits: SIGSTOP, a virtual machine being moved. Not twice in a row: in between it follows what others
   * did meanwhile.
   */
  standStill(forMs: number): void {
    const isJustBack = this.#world.monotonicMs() - this.#wentOnAtMs < 5_000
    if (!this.#alive || this.frozen || isJustBack) return
    this.#note(`stands still for ${forMs} ms`)
    this.#waiting = []
    const fromMs = this.#world.monotonicMs()
    this.#world.standstills.push({ fromMs, toMs: fromMs + forMs })
    this.#world.after(forMs, () => {
      if (this.#alive) this.#note('goes on')
      this.#goOn()
    })
  }

  #goOn(): void {
    this.#wentOnAtMs = this.#world.monotonicMs()
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    // One after the other, as an event loop takes them: what the first starts can go on before the second.
    for (const run of waiting) this.#world.after(0, () => this.enter(run))
  }

  end(): void {
    this.#alive = false
    this.#waiting = undefined
  }

  #note(what: string): void {
    this.#world.note(`${this.name.split('.', 1)[0]} ${what}`)
  }
}
