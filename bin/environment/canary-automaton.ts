import type { Form } from './canary-forms.ts'

/**
 * Many patterns searched for at once, one table look-up a symbol however many there are (A. V. Aho and M. J. Corasick,
 * "Efficient string matching", 1975), as a complete table so that the search never steps back. A state is a place in
 * the table: the start of its row.
 */
export class Automaton {
  /** A symbol's column. Symbols that are in no pattern share one, which keeps the table small. */
  readonly columnOf: Uint8Array
  /** `moves[state + columnOf[symbol]]`: the next state, or its complement (below zero) where a pattern ends. */
  readonly moves: Int32Array
  readonly #forms = new Map<number, readonly Form[]>()
  readonly #width: number

  constructor(forms: readonly Form[]) {
    const symbols = [...new Set(forms.flatMap((form) => [...form.symbols]))]
    this.#width = symbols.length + 1
    this.columnOf = new Uint8Array(256)
    for (const [index, symbol] of symbols.entries()) this.columnOf[symbol] = index + 1
    const statesMax = 1 + forms.reduce((sum, form) => sum + form.symbols.length, 0)
    this.moves = new Int32Array(statesMax * this.#width)
    this.#growTree(forms)
    this.#complete()
    for (let at = 0; at < this.moves.length; at++) {
      const next = this.moves[at]!
      if (this.#forms.has(next)) this.moves[at] = ~next
    }
  }

  /** What ends when `state` is reached; the state is given as it is, not as its complement. */
  endingAt(state: number): readonly Form[] {
    return this.#forms.get(state) ?? []
  }

  #growTree(forms: readonly Form[]): void {
    let states = 1
    for (const form of forms) {
      let state = 0
      for (const symbol of form.symbols) {
        const at = state + this.columnOf[symbol]!
        if (this.moves[at] === 0) this.moves[at] = states++ * this.#width
        state = this.moves[at]!
      }
      this.#forms.set(state, [...this.endingAt(state), form])
    }
  }

  /** Breadth first: where the tree has no branch, what the longest shorter match would do. */
  #complete(): void {
    const fallback = new Map<number, number>()
    const queue = [...this.moves.subarray(0, this.#width)].filter((state) => state !== 0)
    for (let index = 0; index < queue.length; index++) {
      const state = queue[index]!
      const shorter = fallback.get(state) ?? 0
      const endingToo = this.endingAt(shorter)
      if (endingToo.length > 0) this.#forms.set(state, [...this.endingAt(state), ...endingToo])
      for (let column = 0; column < this.#width; column++) {
        const elsewhere = this.moves[shorter + column]!
        const next = this.moves[state + column]!
        if (next === 0) {
          this.moves[state + column] = elsewhere
        } else {
          fallback.set(next, elsewhere)
          queue.push(next)
        }
      }
    }
  }
}
