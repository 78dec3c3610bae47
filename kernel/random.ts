import { randomBytes, randomInt } from 'node:crypto'

/** Chance as a port. `systemRandom` is fit for keys and tokens; `seededRandom` is for tests and simulators only. */
export interface Random {
  bytes(count: number): Buffer
  /** A whole number, 0 <= n < bound. */
  below(bound: number): number
  /** 0 <= x < 1. */
  fraction(): number
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (bound) => randomInt(bound),
  fraction: () => randomInt(2 ** 47) / 2 ** 47,
}

/**
 * The same numbers from the same seed, whatever the machine (xoshiro128**, seeded by splitmix32; both by
 * D. Blackman and S. Vigna, public domain). Never for keys.
 */
export function seededRandom(seed: number): Random {
  let mix = seed >>> 0
  const next32 = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  let [a, b, c, d] = [next32(), next32(), next32(), next32()]
  const draw = (): number => {
    const scrambled = Math.imul(b, 5)
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result
  }
  const fraction = (): number => draw() / 2 ** 32
  return {
    bytes(count) {
      const out = Buffer.alloc(count)
      for (let index = 0; index < count; index++) out[index] = draw() >>> 24
      return out
    },
    below: (bound) => Math.floor(fraction() * bound),
    fraction,
  }
}
