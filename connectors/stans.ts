import type { Clock, Timer } from '../kernel/clock.ts'
import type { StanBlocks } from './connector.ts'

export interface StanSourceOptions {
  readonly blocks: StanBlocks
  readonly destination: string
  readonly clock: Clock
  /** Whether a request with this STAN is in flight or could still be answered. */
  readonly inUse: (stan: string) => boolean
  readonly blockSize?: number
  readonly onRefilled: () => void
  readonly onFault: (error: unknown) => void
}

const stanMax = 999_999
const retryMs = 1_000

/**
 * Gives out STANs at once, from blocks that were reserved durably and ahead of need: while one half of a block is
 * used, the next block is being fetched.
 */
export class StanSource {
  readonly #options: StanSourceOptions
  readonly #blockSize: number
  readonly #blocks: { next: number; left: number }[] = []
  #left = 0
  #fetching = false
  #stopped = false
  #retry: Timer | undefined

  constructor(options: StanSourceOptions) {
    this.#options = options
    this.#blockSize = options.blockSize ?? 1_000
    this.#refill()
  }

  /** Whether `next` has something to give. */
  get dry(): boolean {
    return this.#left === 0
  }

  /** Six digits, 000001 to 999999; undefined when none is left until the next block comes. */
  next(): string | undefined {
    while (this.#left > 0) {
      const stan = this.#take()
      if (this.#left <= this.#blockSize / 2) this.#refill()
      if (!this.#options.inUse(stan)) return stan
    }
    return undefined
  }

  stop(): void {
    this.#stopped = true
    this.#retry?.cancel()
  }

  #take(): string {
    const block = this.#blocks[0]!
    const stan = block.next.toString().padStart(6, '0')
    block.next = block.next === stanMax ? 1 : block.next + 1
    if (--block.left === 0) this.#blocks.shift()
    this.#left--
    return stan
  }

  #refill(): void {
    if (this.#fetching || this.#stopped) return
    this.#fetching = true
    this.#options.blocks.reserve(this.#options.destination, this.#blockSize).then(
      ({ first }) => {
        this.#fetching = false
        this.#blocks.push({ next: first, left: this.#blockSize })
        this.#left += this.#blockSize
        this.#options.onRefilled()
      },
      (error: unknown) => {
        this.#options.onFault(error)
        if (this.#stopped) return
        this.#retry = this.#options.clock.after(retryMs, () => {
          this.#fetching = false
          this.#refill()
        })
      },
    )
  }
}
