import type { Edge } from './edge.ts'
import { bytesWire } from './network-bytes.ts'
import { bytesDoor } from './terminal-bytes.ts'

/**
 * What terminals and networks read and write are bytes: at the terminals' end made and read by a codec of their own, at
 * the switch's by its own codec, source, correlation and seals.
 */
export const bytes: Edge = { door: bytesDoor, wire: bytesWire }
