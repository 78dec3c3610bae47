import type { Observer } from '../../switch/observer.ts'

/** Nobody watches: what happens is in the journal and in the story. */
export const silent: Observer = {
  moved: () => undefined,
  answered: () => undefined,
  duplicate: () => undefined,
  late: () => undefined,
  commitUnknown: () => undefined,
  reversal: () => undefined,
  cutover: () => undefined,
  refused: () => undefined,
  alarm: () => undefined,
}
