import type { Happening } from './happening.ts'

/** The database is away for some seconds: nothing is read, nothing new is begun, what is on its way is unknown. */
export const databaseOutages: Happening = {
  schedule({ world, database }, count, untilMs) {
    const random = world.random('database outages')
    for (let index = 0; index < count; index++) {
      const forMs = 1_000 + random.below(9_000)
      world.after(random.below(untilMs), () => database.goAway(forMs))
    }
  },
}

/** One network can't be reached for up to half a minute. */
export const networkOutages: Happening = {
  schedule({ world, networks }, count, untilMs) {
    const random = world.random('network outages')
    for (let index = 0; index < count; index++) {
      const network = networks[random.below(networks.length)]!
      const forMs = 1_000 + random.below(29_000)
      world.after(random.below(untilMs), () => network.goAway(forMs))
    }
  },
}

/** The HSM of a node hangs: every call ends at its deadline. */
export const hsmHangs: Happening = {
  schedule({ world, nodes }, count, untilMs) {
    const random = world.random('hsm hangs')
    for (let index = 0; index < count; index++) {
      const node = nodes[random.below(nodes.length)]!
      const forMs = 1_000 + random.below(9_000)
      world.after(random.below(untilMs), () => node.hangHsm(forMs))
    }
  },
}
