import type { Config } from '../config.ts'

/** What happens to the bytes of one direction. Everything may hold at once; what is absent does not happen. */
export interface DirectionFaults {
  /** Each piece waits `ms`, and up to `jitterMs` more. Order is kept. */
  readonly latency?: { readonly ms: number; readonly jitterMs: number }
  readonly bandwidth?: { readonly bytesPerSecond: number }
  /** Written in pieces of so many bytes, with a wait between two. */
  readonly slice?: { readonly bytesMin: number; readonly bytesMax: number; readonly everyMs: number }
  /** Read and thrown away. A connection that lost bytes so is reset when the fault is lifted: TCP loses none. */
  readonly blackhole?: true
  /** Not read, so that the sender's buffers fill. Everything arrives when the fault is lifted. */
  readonly stopReading?: true
  /** So many bytes pass after the fault is set, then the connection ends: in order, or by a reset. */
  readonly cutAfter?: { readonly bytes: number; readonly how: 'reset' | 'end' }
  /** One bit is turned over, every so many bytes on average. */
  readonly flip?: { readonly everyBytes: number }
  /** This share of frames has 1 to `bytesMax` bytes of chance before it. */
  readonly garbage?: { readonly share: number; readonly bytesMax: number }
  readonly frames?: FrameFaults
}

/** Shares of whole frames; together at most 1. Each frame meets one of them, or none. */
export interface FrameFaults {
  readonly drop: number
  readonly duplicate: number
  /** It changes places with the next one; alone, it leaves after `reorderWaitMs`. */
  readonly reorder: number
  readonly reorderWaitMs: number
  /** It leaves so much later, and others overtake it. */
  readonly delay: number
  readonly delayMs: number
  /** Only frames whose body begins with these bytes, in hexadecimal. */
  readonly starts: Buffer
}

/** How a new connection is met: passed on, reset at once, accepted and left alone, or refused by the system. */
export type Door = (typeof doors)[number]
const doors = ['open', 'reset', 'silent', 'closed'] as const

export interface Faults {
  readonly door: Door
  /** From who connected to who is behind the proxy, and back. */
  readonly toServer: DirectionFaults
  readonly toClient: DirectionFaults
}

export const directions = ['toServer', 'toClient'] as const
export type Direction = (typeof directions)[number]

export const noFaults: Faults = { door: 'open', toServer: {}, toClient: {} }

const waitMs = { min: 0, max: 600_000 }
const share = { min: 0, max: 1 }
const bytes = { min: 1, max: 2 ** 30 }

/** Faults as JSON says them; whatever is not one of them is refused with its place. */
export function readFaults(config: Config): Faults {
  onlyNames(config, ['door', ...directions])
  return {
    door: oneOf(config, 'door', doors, 'open'),
    toServer: readDirection(config, 'toServer'),
    toClient: readDirection(config, 'toClient'),
  }
}

type Reader = (config: Config) => object

/** The faults that have settings, and how those are read. */
const settings: Readonly<Record<string, { readonly names: readonly string[]; readonly read: Reader }>> = {
  latency: {
    names: ['ms', 'jitterMs'],
    read: (config) => ({
      ms: config.number('ms', waitMs),
      jitterMs: config.number('jitterMs', { ...waitMs, fallback: 0 }),
    }),
  },
  bandwidth: {
    names: ['bytesPerSecond'],
    read: (config) => ({ bytesPerSecond: config.number('bytesPerSecond', bytes) }),
  },
  slice: {
    names: ['bytesMin', 'bytesMax', 'everyMs'],
    read(config) {
      const bytesMin = whole(config, 'bytesMin', { ...bytes, fallback: 1 })
      const bytesMax = whole(config, 'bytesMax', { min: bytesMin, max: bytes.max, fallback: 7 })
      return { bytesMin, bytesMax, everyMs: config.number('everyMs', { ...waitMs, fallback: 0 }) }
    },
  },
  cutAfter: {
    names: ['bytes', 'how'],
    read: (config) => ({
      bytes: whole(config, 'bytes', { min: 0, max: bytes.max }),
      how: oneOf(config, 'how', ['reset', 'end'], 'reset'),
    }),
  },
  flip: {
    names: ['everyBytes'],
    read: (config) => ({ everyBytes: whole(config, 'everyBytes', bytes) }),
  },
  garbage: {
    names: ['share', 'bytesMax'],
    read: (config) => ({
      share: config.number('share', share),
      bytesMax: whole(config, 'bytesMax', { min: 1, max: 65_536, fallback: 32 }),
    }),
  },
  frames: {
    names: ['drop', 'duplicate', 'reorder', 'reorderWaitMs', 'delay', 'delayMs', 'starts'],
    read: readFrames,
  },
}

const switches = ['blackhole', 'stopReading'] as const

function readDirection(parent: Config, name: Direction): DirectionFaults {
  const config = parent.section(name)
  const faults: Record<string, unknown> = {}
  for (const fault of config?.names() ?? []) {
    const setting = Object.hasOwn(settings, fault) ? settings[fault] : undefined
    if (setting !== undefined) {
      const section = config!.needed(fault)
      onlyNames(section, setting.names)
      faults[fault] = setting.read(section)
    } else if ((switches as readonly string[]).includes(fault)) {
      if (config!.flag(fault)) faults[fault] = true
    } else config!.unknown(fault)
  }
  return faults
}

function readFrames(config: Config): FrameFaults {
  const [drop, duplicate, reorder, delay] = ['drop', 'duplicate', 'reorder', 'delay'].map((name) =>
    config.number(name, { ...share, fallback: 0 }),
  ) as [number, number, number, number]
  if (drop + duplicate + reorder + delay > 1) config.refuse('delay', 'shares of at most 1 in all')
  const starts = config.text('starts', ' ').trim()
  if (!/^([0-9a-fA-F]{2})*$/.test(starts)) config.refuse('starts', 'hexadecimal')
  return {
    ...{ drop, duplicate, reorder, delay },
    reorderWaitMs: config.number('reorderWaitMs', { ...waitMs, fallback: 500 }),
    delayMs: config.number('delayMs', { ...waitMs, fallback: 1_000 }),
    starts: Buffer.from(starts, 'hex'),
  }
}

function onlyNames(config: Config, names: readonly string[]): void {
  for (const name of config.names()) if (!names.includes(name)) config.unknown(name)
}

function oneOf<const Name extends string>(
  config: Config,
  name: string,
  names: readonly Name[],
  fallback: Name,
): Name {
  const said = config.text(name, fallback)
  return names.find((candidate) => candidate === said) ?? config.refuse(name, `one of ${names.join(', ')}`)
}

function whole(
  config: Config,
  name: string,
  range: { readonly min: number; readonly max: number; readonly fallback?: number },
): number {
  const value = config.number(name, range)
  return Number.isInteger(value) ? value : config.refuse(name, 'a whole number')
}
