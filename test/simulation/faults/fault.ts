/**
 * How often something goes wrong in one history. A fault is off in half of all histories; where it is on, a number
 * between 0 and 1 is drawn, and this makes a rate of it.
 */
export type Fault = (drawn: number) => number

/** Of the things it may hit, up to this share. */
export function upTo(share: number): Fault {
  return (drawn) => drawn * share
}

/** So many times in a history. */
export function times(min: number, max: number): Fault {
  return (drawn) => min + Math.floor(drawn * (max - min + 1))
}
