import { expect, test, vi } from 'vitest'
import { notSent, world } from './world.ts'

test('a line that must be leased is opened when it is granted, and closed without a word when its time is over', async () => {
  const { connector, peer, clock, state, online } = await world({ connect: { leased: true } })
  await state('standby')
  expect(connector.availability()).toBe('offline')
  expect(peer.links).toHaveLength(0)
  connector.grant(clock.monotonicMs() + 8_000)
  await online()
  clock.advance(5_000)
  connector.grant(clock.monotonicMs() + 8_000)
  clock.advance(7_999)
  expect(connector.status().session).toBe('online')
  clock.advance(1)
  await state('standby')
  await vi.waitFor(() => expect(peer.links.filter(({ open }) => open)).toHaveLength(0))
  expect(peer.of('0800', '002')).toEqual([])
})

test('a line that was taken away is opened anew when it is granted again', async () => {
  const { connector, clock, state, online, send, peer } = await world({ connect: { leased: true } })
  await state('standby')
  connector.grant(clock.monotonicMs() + 8_000)
  await online()
  connector.grant(Number.NEGATIVE_INFINITY)
  await state('standby')
  expect(await send().settled).toEqual(notSent('offline'))
  connector.grant(clock.monotonicMs() + 60_000)
  await vi.waitFor(async () => {
    await clock.pass(1_000)
    expect(connector.status().session).toBe('online')
  })
  expect(peer.of('0800', '001')).toHaveLength(2)
})

test('F46: a process that stood still past its lease sends nothing more, whether its timers have rung or not', async () => {
  const { connector, clock, state, online, purchase, peer } = await world({ connect: { leased: true } })
  await state('standby')
  connector.grant(clock.monotonicMs() + 8_000)
  await online()
  const prepared = await connector.prepare(purchase())
  clock.stopTimers()
  clock.advance(60_000)
  expect(await connector.send(prepared, clock.monotonicMs() + 25_000)).toEqual(notSent('offline'))
  expect(peer.of('0200')).toEqual([])
})
