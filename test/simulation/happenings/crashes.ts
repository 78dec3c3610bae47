import type { Happening } from './happening.ts'

/** Each crash takes a node's memory; half a second to five later its next life begins. */
export const crashes: Happening = {
  schedule({ world, nodes }, count, untilMs) {
    const random = world.random('crashes')
    for (let index = 0; index < count; index++) {
      const atMs = random.below(untilMs)
      const downMs = 500 + random.below(4_000)
      const node = nodes[random.below(nodes.length)]!
      world.after(atMs, () => {
        node.crash()
        world.after(downMs, () => node.startIfDown())
      })
    }
  },
}
