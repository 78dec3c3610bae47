import type { Form } from './canary-forms.ts'

/**
 * Many patterns searched for at once, one table look-up a symbol however many there are (A. V. Aho and M. J. Corasick,
 * "Efficient string matching", 1975), as a complete table so that the search never steps back.
 */
export class Automaton {
  readonly alphabet: number
  /** `next[state * alphabet + symbol]`. */
  readonly next: Int32Array
  /** 1 where a pattern ends. */
  readonly ends: Uint8Array
  readonly #forms: ReadonlyMap<number, readonly Form[]>

  constructor(forms: readonly Form[], alphabet: number) {
    this.alphabet = alphabet
    const statesMax = 1 + forms.reduce((sum, { symbols }) => sum + symbols.length, 0)
    this.next = new Int32Array(statesMax * alphabet)
    const found = this.#growTree(forms)
    const fallback = new Int32Array(statesMax)
    for (const state of this.#breadthFirst(fallback)) {
      const shorter = found.get(fallback[state]!)
      if (shorter !== undefined) found.set(state, [...(found.get(state) ?? []), ...shorter])
    }
    this.ends = new Uint8Array(statesMax)
    for (const state of found.keys()) this.ends[state] = 1
    this.#forms = found
  }

  endingAt(state: number): readonly Form[] {
    return this.#forms.get(state) ?? []
  }

  #growTree(forms: readonly Form[]): Map<number, Form[]> {
    const found = new Map<number, Form[]>()
    let states = 1
    for (const form of forms) {
      let state = 0
      for (const symbol of form.symbols) {
        const at = state * this.alphabet + symbol
        if (this.next[at] === 0) this.next[at] = states++
        state = this.next[at]!
      }
      found.set(state, [...(found.get(state) ?? []), form])
    }
    return found
  }

  /** Every state after the shorter one it falls back to; fills in the missing moves on the way. */
  *#breadthFirst(fallback: Int32Array): Generator<number> {
    const { next, alphabet } = this
    const queue: number[] = []
    for (let symbol = 0; symbol < alphabet; symbol++) if (next[symbol] !== 0) queue.push(next[symbol]!)
    for (let index = 0; index < queue.length; index++) {
      const state = queue[index]!
      for (let symbol = 0; symbol < alphabet; symbol++) {
        const at = state * alphabet + symbol
        const elsewhere = next[fallback[state]! * alphabet + symbol]!
        if (next[at] === 0) {
          next[at] = elsewhere
        } else {
          fallback[next[at]!] = elsewhere
          queue.push(next[at]!)
        }
      }
      yield state
    }
  }
}
