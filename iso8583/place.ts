/**
 * Where an element lies in its message: start and size in one number, which is a small one for messages of up to 2 KiB
 * and exact for all.
 */
const placeUnit = 2 ** 20

export function placeOf(start: number, units: number): number {
  return start * placeUnit + units
}

/** A power of two is multiplied by exactly, and `| 0` is the shortest way to a whole number. */
export function startOf(place: number): number {
  return (place * (1 / placeUnit)) | 0
}

/** The size, in units of the element's row. */
export function unitsOf(place: number): number {
  return place - startOf(place) * placeUnit
}
