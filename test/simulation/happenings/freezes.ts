import type { Happening } from './happening.ts'

/**
 * A node stands still for 5 to 20 seconds (SIGSTOP, a virtual machine being moved) and goes on with the memory it had:
 * its leases have run out, its time is over, and another node may have taken up its work.
 */
export const freezes: Happening = {
  schedule({ world, nodes }, count, untilMs) {
    const random = world.random('freezes')
    for (let index = 0; index < count; index++) {
      const atMs = random.below(untilMs)
      const forMs = 5_000 + random.below(15_000)
      const node = nodes[random.below(nodes.length)]!
      world.after(atMs, () => node.freeze(forMs))
    }
  },
}
