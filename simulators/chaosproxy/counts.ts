/** What was done to one direction, over all connections. Frames are counted while a fault looks at them. */
export interface Counts {
  bytes: number
  frames: number
  dropped: number
  duplicated: number
  reordered: number
  delayed: number
  garbage: number
  flipped: number
  /** Bytes thrown away. */
  swallowed: number
  cuts: number
}

export function noCounts(): Counts {
  return {
    bytes: 0,
    frames: 0,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
    delayed: 0,
    garbage: 0,
    flipped: 0,
    swallowed: 0,
    cuts: 0,
  }
}
