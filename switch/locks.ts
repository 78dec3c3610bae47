/** One at a time for each key, in the order of asking; different keys don't wait for each other. */
export class KeyedLocks {
  readonly #tails = new Map<string, Promise<unknown>>()

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const mine = before === undefined ? work() : before.then(work, work)
    this.#tails.set(key, mine)
    const leave = (): void => {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
    }
    mine.then(leave, leave)
    return mine
  }

  get size(): number {
    return this.#tails.size
  }
}
