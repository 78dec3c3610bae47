import { dateAfter } from '../../../switch/business-date.ts'
import type { SimulatedNetwork } from '../network.ts'
import type { Happening } from './happening.ts'

/**
 * Each time some network's business date turns and it says so; what it says it may say again later, or it says a date
 * that has passed.
 */
export const cutovers: Happening = {
  schedule({ world, rates, networks }, count, untilMs) {
    const random = world.random('cutovers')
    const later = (network: SimulatedNetwork, date: string, rate: number): void => {
      if (random.fraction() < rate) world.after(random.below(5_000), () => network.tellCutover(date))
    }
    for (let index = 0; index < count; index++) {
      const network = networks[random.below(networks.length)]!
      const days = 1 + random.below(2)
      world.after(random.below(untilMs), () => {
        const before = network.date
        network.cutover(dateAfter(before, days))
        later(network, network.date, rates().cutoverTwice)
        later(network, before, rates().cutoverBackward)
      })
    }
  },
}
