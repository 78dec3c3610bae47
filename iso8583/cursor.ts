import type { IsoCodecErrorCode } from './error.ts'

/**
 * Where reading stands: the answer of `readRow` beyond its return value. One object for all, since reading never
 * waits, so that reading a row allocates nothing.
 */
export const cursor = {
  /** First byte of the content just read, and its size in units. */
  start: 0,
  units: 0,
  fault: '' as IsoCodecErrorCode | '',
  offset: 0,
  need: 0,
  have: 0,
  /** The path inside the element: `.9F02`. */
  path: '',
}

export function clearFault(): void {
  cursor.fault = ''
}

export function isFaulty(): boolean {
  return cursor.fault !== ''
}

/** Notes a fault. Returns -1: reading cannot go on. */
export function stop(fault: IsoCodecErrorCode, offset: number, need = -1, have = -1): -1 {
  cursor.fault = fault
  cursor.offset = offset
  cursor.need = need
  cursor.have = have
  cursor.path = ''
  return -1
}

/** Notes a fault inside nested data. */
export function wrong(fault: IsoCodecErrorCode, path: string, offset: number, need = -1, have = -1): false {
  stop(fault, offset, need, have)
  cursor.path = path
  return false
}
