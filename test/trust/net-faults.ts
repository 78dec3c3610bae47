import type { Act } from '../../simulators/chaosproxy/proxy.ts'

/** A fault on one line: what the proxy is set to, and what it does once. */
export interface LineFault {
  readonly name: string
  /** Of one direction. */
  readonly faults?: object
  readonly door?: 'closed' | 'silent' | 'reset'
  readonly act?: Act
  /** What the proxy must have done, or the fault never came to pass. */
  readonly seen?: (counts: FaultCounts) => boolean
  /** What a network that read spoiled bytes rightly answers: bad format, bad seal. */
  readonly answers?: readonly string[]
}

export type FaultCounts = Readonly<Record<string, number>>

/** Rows 33 to 38 of the catalogue of faults, as a proxy can make them happen to one direction of a line. */
export const lineFaults: readonly LineFault[] = [
  {
    name: 'reset mid-frame',
    faults: { cutAfter: { bytes: 333, how: 'reset' } },
    seen: ({ cuts }) => cuts! > 0,
  },
  { name: 'blackhole', faults: { blackhole: true }, seen: ({ swallowed }) => swallowed! > 0 },
  { name: 'stopped reading', faults: { stopReading: true } },
  {
    name: 'frames doubled, turned about, late and lost',
    faults: { frames: { duplicate: 0.15, reorder: 0.15, delay: 0.1, delayMs: 2_500, drop: 0.1 } },
    seen: ({ duplicated, reordered, delayed, dropped }) => duplicated! + reordered! + delayed! + dropped! > 2,
  },
  {
    name: 'turned bits',
    faults: { flip: { everyBytes: 700 } },
    seen: ({ flipped }) => flipped! > 0,
    answers: ['30', '63'],
  },
  {
    name: 'rubbish between frames',
    faults: { garbage: { share: 0.25, bytesMax: 40 } },
    seen: ({ garbage }) => garbage! > 0,
  },
  { name: 'slow by 3 s +- 3 s', faults: { latency: { ms: 0, jitterMs: 6_000 } } },
  { name: 'a trickle of 400 bytes a second', faults: { bandwidth: { bytesPerSecond: 400 } } },
  { name: 'slices of 1 to 7 bytes', faults: { slice: { everyMs: 0 } } },
  { name: 'half-closed', act: 'halfClose' },
  { name: 'refused', door: 'closed', act: 'reset' },
  { name: 'accepted and left alone', door: 'silent', act: 'end' },
]

/** The six of the short form: what loses, what doubles, what spoils and what ends. */
export const fewLineFaults = lineFaults.slice(0, 6)
