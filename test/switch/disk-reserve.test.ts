import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { watchDisk } from '../../switch/switch.ts'

test('F49: the disk is asked again and again, and each change is told once', async () => {
  const told: [boolean, number][] = []
  let free = 500
  const watched = await watchDisk({
    ...{ folder: '/', reserveBytes: 400, everyMs: 5 },
    freeBytesOf: () => (free < 0 ? Promise.reject(new Error('gone')) : Promise.resolve(free)),
    onChange: (...change) => void told.push(change),
  })
  expect(watched.isKept).toBe(true)
  for (const [now, isKept] of [
    [399, false],
    // A disk that can't be asked changes nothing.
    [-1, false],
    [400, true],
  ] as const) {
    free = now
    await expect.poll(() => watched.isKept, { timeout: 10_000, interval: 5 }).toBe(isKept)
  }
  watched.stop()
  expect(told).toEqual([
    [false, 399],
    [true, 400],
  ])
})

test('a real disk says how much of it is free', async () => {
  const told: boolean[] = []
  const all = { folder: tmpdir(), reserveBytes: Number.MAX_SAFE_INTEGER }
  const watched = await watchDisk({ ...all, onChange: (isKept) => void told.push(isKept) })
  watched.stop()
  expect([watched.isKept, told]).toEqual([false, [false]])
})
