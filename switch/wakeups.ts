/**
 * Hints that something may be due: to this node later, or to another one now. What is due is in the journal, and the
 * sweeper finds it without any of this; so a hint may be lost, late, doubled, or about nothing, and only names things.
 */
export interface WakeUp {
  readonly destination: string
  /** Of the obligation it is about, for whoever looks into the queue. */
  readonly obligationId: string
}

export interface Wakeups {
  /** Returns at once and never throws. */
  wake(what: WakeUp, delayMs: number): void
  /** Who is woken by hints of any node; set once. */
  onWake(listener: (destination: string) => void): void
}

/** No queue: the sweeper alone. */
export const noWakeups: Wakeups = { wake: () => undefined, onWake: () => undefined }
