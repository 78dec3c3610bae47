import type { Happening } from './happening.ts'

const hourMs = 3_600_000
const jumpsMs = [hourMs, -hourMs, 24 * hourMs, -24 * hourMs]

/** The wall clock of a node is set wrong, or right again: by an hour or a day. Its monotonic clock feels nothing. */
export const clockJumps: Happening = {
  schedule({ world, nodes }, count, untilMs) {
    const random = world.random('clock jumps')
    for (let index = 0; index < count; index++) {
      const byMs = jumpsMs[random.below(jumpsMs.length)]!
      const node = nodes[random.below(nodes.length)]!
      world.after(random.below(untilMs), () => node.turnClock(byMs))
    }
  },
}

/** The wall clocks of all nodes go wrong slowly, each in its own direction; the rate is the most, in ms a second. */
export const clockDrift: Happening = {
  schedule({ world, nodes }, rate) {
    const random = world.random('clock drift')
    for (const node of nodes) node.driftClock((random.fraction() * 2 - 1) * rate)
  },
}
