import { expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'

test('a timer never rings before its time', async () => {
  // Node counts whole milliseconds: of timers that are set in the midst of one, every seventh or so would be early.
  const rings = Array.from({ length: 300 }, () => {
    const setAtMs = performance.now()
    const ring = new Promise<number>((resolve) => {
      systemClock.after(20, () => resolve(performance.now() - setAtMs))
    })
    const busyUntilMs = setAtMs + 0.07
    while (performance.now() < busyUntilMs);
    return ring
  })
  expect((await Promise.all(rings)).filter((rang) => rang < 20)).toEqual([])
})

test('a timer that is cancelled does not ring', async () => {
  let rang = 0
  const timer = systemClock.after(5, () => rang++)
  timer.cancel()
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(rang).toBe(0)
})
