import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** A UUID whose order is the order of creation (RFC 9562, version 7). */
export function uuidv7(clock: Clock, random: Random): string {
  const bytes = random.bytes(16)
  bytes.writeUIntBE(Math.floor(clock.wallMs()), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return dashed(bytes.toString('hex'))
}

/** A UUID made of a name (RFC 9562, version 8, from SHA-256): the same name is the same UUID everywhere. */
export function uuidOf(name: string): string {
  const hex = hash('sha256', name)
  return dashed(`${hex.slice(0, 12)}8${hex.slice(13, 16)}8${hex.slice(17, 32)}`)
}

function dashed(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A number below 2^31 made of a name, evenly spread. */
export function numberOf(name: string): number {
  return Number.parseInt(hash('sha256', name).slice(0, 8), 16) >>> 1
}
