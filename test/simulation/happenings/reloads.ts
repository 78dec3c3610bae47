import type { Happening } from './happening.ts'

/** Each time somebody puts other rules into the folder and has some or all of the nodes read them. */
export const reloads: Happening = {
  schedule({ world, nodes }, count, untilMs) {
    const random = world.random('reloads')
    for (let index = 0; index < count; index++) {
      const number = index % 2 === 0 ? 2 : 1
      const told = nodes.filter(() => random.fraction() < 0.8)
      world.after(random.below(untilMs), () => {
        for (const node of told) node.reload(number)
      })
    }
  },
}
