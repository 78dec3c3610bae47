import { lengthKind } from './table.ts'

/** Writes the length `count` from `start` to `end`, from its last digit or byte on. */
export function writeLength(buffer: Buffer, kind: number, start: number, end: number, count: number): void {
  let rest = count
  for (let at = end - 1; at >= start; at--) {
    if (kind === lengthKind.bcd) {
      const pair = rest % 100
      buffer[at] = (Math.floor(pair / 10) << 4) | (pair % 10)
      rest = Math.floor(rest / 100)
    } else if (kind === lengthKind.binary) {
      buffer[at] = rest & 255
      rest = Math.floor(rest / 256)
    } else {
      buffer[at] = (kind === lengthKind.ascii ? 0x30 : 0xf0) + (rest % 10)
      rest = Math.floor(rest / 10)
    }
  }
}
