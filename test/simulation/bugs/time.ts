import type { Bug } from './bug.ts'

/** Waits measured on the wall clock, which is set ahead and back. */
export const deadlineOnWallClock: Bug = {
  clock: (clock) => ({
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    after(delayMs, run) {
      const at = clock.wallMs() + delayMs
      const look = (): void => {
        const left = at - clock.wallMs()
        if (left <= 0) run()
        else timer = clock.after(Math.min(left, lookAgainMs), look)
      }
      let timer = clock.after(Math.min(delayMs, lookAgainMs), look)
      return { cancel: () => timer.cancel() }
    },
  }),
}

/** How often such a timer looks at the clock. */
const lookAgainMs = 1_000
