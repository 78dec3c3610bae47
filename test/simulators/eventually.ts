import { expect } from 'vitest'

/** `expect` on what becomes true soon; on a busy machine, less soon. */
export function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 60_000, interval: 10 })
}
