import { expect, test } from 'vitest'
import { notSent, silence, world } from './world.ts'

test('a destination that is silent, full and stuffed takes nothing from another', async () => {
  const slow = await world({ profile: { name: 'slow', inFlightMax: 20 } })
  const quick = await world({ profile: { name: 'quick', inFlightMax: 20 } })
  await Promise.all([slow.online(), quick.online()])
  slow.peer.script = silence
  const stuck = Array.from({ length: 36 }, () => slow.send())
  await slow.heard(18, '0200')
  expect(slow.connector.availability()).toBe('congested')
  expect(await slow.send().settled).toEqual(notSent('congested'))

  for (let round = 0; round < 20; round++) {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => quick.send().settled))
    expect(outcomes.every(({ kind }) => kind === 'answered')).toBe(true)
  }
  expect(quick.connector.availability()).toBe('available')
  // Those that were sent wait on; who found no room waits for it for a second of this machine's, however long the rounds took.
  expect(stuck.slice(0, 18).every(({ outcome }) => outcome === undefined)).toBe(true)
  await slow.clock.pass(25_000)
  await Promise.all(stuck.map(({ settled }) => settled))
})
